"""A SQL Server counterpart per module, started with its OPTIONS, and a cursor per test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlserver_kit import Counterpart, connect, running


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with running(tmp_path_factory.mktemp("server"), *getattr(request.module, "OPTIONS", ())) as found:
        yield found


@pytest.fixture
def cursor(server: Counterpart) -> Iterator[Any]:
    connection = connect(server)
    yield connection.cursor()
    connection.close()
