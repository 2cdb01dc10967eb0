"""300 random APIs: tap-rest-api-msdk never ends with 0 and other data than the server held, and never goes on for ever.

REST_SEEDS=17 (or 17-20) runs these seeds only.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from api_kit import runs
from api_kit.forks import AT_ONCE
from api_kit.mixtures import Mixture, mixture
from api_kit.runs import Run, settings, stream
from api_kit.server import Api
from api_kit.styles import PAGE
from api_kit.table import Table

SEEDS = range(300)
BLOCKS = 6  # tests, so that a failure names fewer seeds
REQUESTS = 3_000
SECONDS = 30.0
TIMES = {"request_timeout_seconds": 3, "throttle_max_seconds": 3}
HOPELESS = {"backoff_max_seconds": 0.5, "settle_max_seconds": 1}


def chosen(block: int) -> list[int]:
    """The seeds of a block."""
    first, _, last = os.environ.get("REST_SEEDS", "").partition("-")
    seeds = range(int(first), int(last or first) + 1) if first else SEEDS
    return [seed for seed in seeds if seed % BLOCKS == block]


def hopeless(made: Mixture) -> bool:
    """Whether two faults together leave a client nothing: an empty table that is 404, a page for people with 403."""
    faults = " ".join(made.names)
    return (made.count == 0 and "404 behind the end" in faults) or ("403" in faults and "html" in faults)


def verdict(made: Mixture, run: Run, held: Table, requests: int) -> str:
    """What is wrong with a run; empty for one that was right."""
    try:
        runs.bounded(run, SECONDS)
        assert requests < REQUESTS, f"{requests} requests"
        if run.code == runs.ENDED:
            runs.whole(run, *held.states, total=made.total)
            if not made.keys and made.style != "single_page" and len(run.staged()) > PAGE:
                assert any("missing" in note or "gap" in note for note in run.document()["notes"]), (
                    "without keys, and without a note"
                )
        else:
            assert not made.curable or hopeless(made), f"could have been complete; exit {run.code}: {run.log[-1500:]}"
            runs.refused(run)
    except AssertionError as wrong:
        return f"{made}\n    {str(wrong)[:2000]}"
    return ""


def play(seed: int, folder: Path) -> str:
    made = mixture(seed)
    serve, held = made.serve()
    with Api(serve, budget=REQUESTS) as api:
        things = stream(primary_keys=["id"] if made.keys else None)
        times = TIMES | ({"backoff_max_seconds": 6, "settle_max_seconds": 4} if made.curable else HOPELESS)
        total = "$.total" if made.total else None
        config = settings(api.url, folder / "spool", things, style=made.style, total_path=total, **times, **made.settings)
        run = runs.run(folder, config, seconds=SECONDS)
    return verdict(made, run, held, len(api.requests))


@pytest.mark.parametrize("block", range(BLOCKS))
def test_a_random_api_is_read_exactly_or_refused(block: int, tmp_path: Path) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda seed: play(seed, tmp_path / str(seed)), chosen(block)))
    wrong = [each for each in found if each]
    assert not wrong, f"{len(wrong)} of {len(found)} seeds:\n" + "\n".join(wrong)


def test_a_seed_always_makes_the_same_api() -> None:
    assert [str(mixture(seed)) for seed in SEEDS] == [str(mixture(seed)) for seed in SEEDS]


def test_the_seeds_make_apis_of_every_kind() -> None:
    """Most could be read whole; each misbehaviour comes several times."""
    made = [mixture(seed) for seed in SEEDS]
    assert sum(each.curable for each in made) > len(made) / 2
    assert len({each.style for each in made}) == 11
    assert len({name for each in made for name in each.names}) >= 40
