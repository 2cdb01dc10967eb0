"""A misbehaviour and its right outcome: what the server does, what the tap is told, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from _pytest.mark import ParameterSet

from api_kit import runs
from api_kit.faults import Fault
from api_kit.runs import Run, settings, stream
from api_kit.server import Api
from api_kit.styles import STYLES
from api_kit.table import Row, Table, rows

COMPLETE, STOPPED, EITHER = "complete", "refused", "complete or refused"
NO_TOTAL: dict[str, Any] = {"total_path": None}


@dataclass(frozen=True)
class Case:
    """`words` are in the message of a refused run; `requests` and `seconds` bound any run; `cap` is the server's own page size.

    `wanted` says what is complete where that is not the whole table. Without `total` the server tells none.
    """

    fault: Fault
    outcome: str = COMPLETE
    words: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    stream: dict[str, Any] = field(default_factory=dict)
    style: str = "offset"
    rows: int = 100
    cap: int = 10**6
    total: bool = True
    requests: int = 60
    least: int = 0
    seconds: float = runs.SECONDS
    wanted: Callable[[Table], list[list[Row]]] = lambda table: table.states


def complete(fault: Fault, **more: Any) -> Case:
    """The load is complete, and holds what the server held."""
    return Case(fault, COMPLETE, **more)


def refused(fault: Fault, *words: str, **more: Any) -> Case:
    """Exit 3 in these words, and no load."""
    return Case(fault, STOPPED, words, **more)


def either(fault: Fault, *words: str, **more: Any) -> Case:
    """Complete, or refused in these words: both are honest."""
    return Case(fault, EITHER, words, **more)


def without_total(case: Callable[..., Case], fault: Fault, *words: str, **more: Any) -> Case:
    """A case of a server that tells no total, which the tap knows."""
    return case(fault, *words, total=False, **{**more, "settings": {**NO_TOTAL, **more.get("settings", {})}})


class Played(NamedTuple):
    """A case's run, and the server with what it was asked."""

    run: Run
    api: Api


Result = Callable[[Case], Played]


def play(case: Case, folder: Path) -> Played:
    """Runs the tap against the server of a case, and holds the outcome against what is right."""
    table = Table(rows(case.rows))
    serve = case.fault(STYLES[case.style].serve(table, case.cap, case.total), table)
    with Api(serve, budget=case.requests + 200) as api:
        config = settings(api.url, folder / "spool", stream(**case.stream), style=case.style, **case.settings)
        run = runs.run(folder, config, seconds=case.seconds + 20)
    runs.bounded(run, case.seconds)
    assert len(api.requests) <= case.requests, f"{len(api.requests)} requests: {run.log[-2000:]}"
    if case.outcome == COMPLETE or (case.outcome == EITHER and run.code == runs.ENDED):
        staged = runs.whole(run, *case.wanted(table), total=case.total)
        assert len(staged) >= case.least
    else:
        runs.refused(run, *case.words)
    return Played(run, api)


def named(cases: Mapping[str, Case]) -> list[ParameterSet]:
    """Cases for parametrize, by their names."""
    return [pytest.param(case, id=name) for name, case in cases.items()]
