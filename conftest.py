"""For every test: the driver finds the libraries that scripts/setup downloaded, and which tests stay together in one process.

With `-n 3` (pytest-xdist) each process takes the next group of tests when it is done with one. A group is one file, but for what
several files share: what is dear to make is made once, and what there is one of is used by one process.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tap_mssql.server.libraries import load_libraries

TOGETHER = {  # names of tests, and why they are one group
    r"tests/convert/.*spark": "spark",  # one engine, and 2 GB each: never two at once
    r"tests/convert/.*\[(.*-)?sail\b": "sail",  # one engine
    r"tests/chain/test_(kill|refusals|rerun|secrets|collectors)\.py": "first run",  # they look at one run of the whole pipeline
    r"tests/container/": "tests/container",  # one image
    r"tests/docs/": "docs",  # some run commands in the project itself
}
SPARK_S = 1200  # the first test of a story runs the whole story
LONGEST = ("spark", "tests/container", "first run", "tests/chain", "sail")  # begin first: none is left over at the end

load_libraries()


def group(test: str) -> str:
    """What a test, named as pytest does, runs together with."""
    return next((name for pattern, name in TOGETHER.items() if re.match(pattern, test)), test.partition("::")[0])


def rank(test: str) -> int:
    """The place of a test's group among the longest; those that are not long come behind."""
    return next((place for place, begin in enumerate(LONGEST) if group(test).startswith(begin)), len(LONGEST))


class Groups(LoadScopeScheduling):
    """Hands out groups whole. Not `--dist loadgroup`: pytest-xdist 3.8 loses its marks with pytest 9.2 (its issue 1386)."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    """Who hands out the tests: called by pytest-xdist."""
    return Groups(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Real Spark is in one group, whatever the name of a test; where several processes share the tests, the longest begin."""
    if apart := [item.nodeid for item in items if item.get_closest_marker("spark") and group(item.nodeid) != "spark"]:
        raise pytest.UsageError(f"tests on real Spark are named so in tests/convert, since they are one group: {apart}")
    for item in items:
        if group(item.nodeid) == "spark" and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SPARK_S))
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank(item.nodeid))
