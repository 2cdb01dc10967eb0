"""The whole pipeline against the sandbox: one sandbox for the folder; each test has its own project folder, stage and target."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chain_kit import SCALE, Pipeline, Result, kill_tree
from collector_kit import SECRETS, WATCHED, Collector, collector

from sandbox.launch import Sandbox, sandbox


@pytest.fixture(scope="session")
def counterparts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("sandbox"), SCALE) as running:
        yield running


@pytest.fixture(scope="session")
def pipeline(counterparts: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Pipeline]]:
    """Makes a pipeline with an empty folder, and a stage and target of its own where the name is new."""
    made: list[Pipeline] = []

    def make(name: str) -> Pipeline:
        made.append(Pipeline.make(counterparts, tmp_path_factory.mktemp(name), name))
        return made[-1]

    yield make
    for each in made:
        for process in each.processes:
            kill_tree(process.pid)


@pytest.fixture(scope="session")
def heard() -> Iterator[Collector]:
    """A collector that hears of the first run."""
    with collector() as kept:
        yield kept


@pytest.fixture(scope="session")
def first(pipeline: Callable[[str], Pipeline], heard: Collector) -> tuple[Pipeline, Result]:
    """A first run that went well, watched all the way; shared, so tests read it only."""
    one = pipeline("first")
    one.environment |= SECRETS
    result = one.run(watch=True, **heard.places, **WATCHED)
    assert result.code == 0, result.text
    kept = one.folder.parent / "kept"
    for name in ("output", "state"):
        shutil.copytree(one.folder / name, kept / name)
    for manifest in kept.glob("output/docker_elt/*/_manifests/*.json"):  # for any target: tests deliver them to their own
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"target": None}))
    return one, result


@pytest.fixture(scope="session")
def kept(first: tuple[Pipeline, Result]) -> Path:
    """`output` and `state` as the first run left them."""
    return first[0].folder.parent / "kept"
