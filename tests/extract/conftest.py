"""For the tests of the extractors: forks of the REST tap, and all cases of a module under way together."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.register_assert_rewrite("api_kit")

from api_kit import runs  # noqa: E402
from api_kit.cases import Result, play  # noqa: E402
from api_kit.forks import AT_ONCE, Forks  # noqa: E402


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Processes that have imported the REST tap."""
    with Forks() as started:
        yield started


@pytest.fixture(scope="module", autouse=True)
def quick(request: pytest.FixtureRequest) -> Iterator[None]:
    """Lets runs of the REST tap begin as forks of such a process, unless they have variables of their own."""
    if request.module.__name__.startswith("test_rest_"):
        runs.quick.append(request.getfixturevalue("forks").run)
    yield
    runs.quick.clear()


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest, quick: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Result]:
    """What came of a case. Those of all selected tests of the module are begun at once: most of their time they wait."""
    chosen = [
        item.callspec.params["case"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec")
        if "case" in item.callspec.params
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun = {id(case): pool.submit(play, case, tmp_path_factory.mktemp("case")) for case in chosen}
        yield lambda case: begun[id(case)].result()
