"""For every test: the driver finds the libraries that scripts/setup downloaded, and which tests stay together in one process.

With `-n 2` (pytest-xdist) each process takes the next group of tests when it is done with one. A group is one file, but for what
several files share: what is dear to make is made once, and what there is one of is used by one process.
"""

from __future__ import annotations

import pytest

from tap_mssql.server.libraries import load_libraries

LONGEST = ("spark", "tests/container", "first run", "tests/chain", "sail")  # begin first: none is left over at the end

load_libraries()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a process of several: every test in its group, the longest groups first."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
    items.sort(key=lambda item: rank(group(item)))


def group(item: pytest.Item) -> str:
    """What a test runs together with."""
    fixtures = getattr(item, "fixturenames", ())
    folder, _, file = item.nodeid.partition("::")[0].rpartition("/")
    if item.get_closest_marker("spark"):
        return "spark"  # an engine for all; 2 GB each, so one at a time
    if "engine" in fixtures:
        return "sail"  # an engine for all
    if "first" in fixtures:
        return "first run"  # of the whole pipeline, which several files look at
    if folder == "tests/docs":
        return folder  # runs commands in the project itself
    return f"{folder}/{file}"


def rank(name: str) -> int:
    """The place of a group among the longest; those that are not long come behind."""
    return next((place for place, begin in enumerate(LONGEST) if name.startswith(begin)), len(LONGEST))
