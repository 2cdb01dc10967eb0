"""Engines that stay for all tests of the job, a stage and target for each, and the stories that share them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clients_kit import Clients
from engine_kit import Engine, Lake
from story_kit import Stories


@pytest.fixture(scope="session", params=["sail", pytest.param("spark", marks=pytest.mark.spark)])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    running = Engine(request.param, tmp_path_factory.mktemp(request.param))
    yield running
    running.stop()


@pytest.fixture
def lake(engine: Engine, tmp_path: Path) -> Lake:
    return Lake(engine, tmp_path)


@pytest.fixture(scope="session")
def stories(engine: Engine, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stories:
    """What the scenarios that are asked for share, and how each ended."""
    return Stories(engine, request.session.items, tmp_path_factory.mktemp)


@pytest.fixture(scope="session")
def clients(engine: Engine) -> Iterator[Clients]:
    """Starts jobs as processes of their own on the same engine."""
    running = Clients(engine)
    yield running
    running.stop()
