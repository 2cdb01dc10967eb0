from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "convert"))
from lakehouse_kit import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    counterpart = Workspace(tmp_path)
    yield counterpart
    counterpart.stop()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output/docker_elt"
