"""For all tests: hypothesis measures no times, since machines differ; a workspace and an output folder per test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from lakehouse_kit import Workspace

settings.register_profile("lighthouse", deadline=None)
settings.load_profile("lighthouse")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    counterpart = Workspace(tmp_path)
    yield counterpart
    counterpart.stop()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output/docker_elt"
