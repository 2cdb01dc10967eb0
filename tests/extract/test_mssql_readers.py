"""Readers join while the machine idles, and only then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mssql_kit import Tap, good, numbered

from sandbox.launch import Counterpart
from sandbox.proxy import proxy
from tap_mssql.read import limits
from tap_mssql.read.limits import ReaderLimit

ROWS = 40_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with numbered(tmp_path_factory.mktemp("readers"), ROWS) as running:
        yield running


def grown(monkeypatch: pytest.MonkeyPatch, *shares: float, most: int = 4, idle_readers: int = 0) -> int:
    """Readers allowed after looks at a machine that idled for such shares of its time."""
    idle = total = 0.0
    monkeypatch.setattr(limits.os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(limits, "_processor_time", lambda: (idle, total))
    readers = ReaderLimit(most)
    for share in shares:
        total += 2 * ReaderLimit.TICKS
        idle += share * 2 * ReaderLimit.TICKS
        readers.grow(readers.allowed - idle_readers)
    return readers.allowed


def test_one_joins_at_a_time_while_the_machine_idles(monkeypatch: pytest.MonkeyPatch) -> None:
    assert grown(monkeypatch) == 1
    assert grown(monkeypatch, 0.5, 0.5) == 3
    assert grown(monkeypatch, 0.9, 0.9, 0.9, 0.9, 0.9, most=4) == 4
    assert grown(monkeypatch, 0.9, most=1) == 1


def test_nobody_joins_where_nothing_idles_or_a_reader_has_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert grown(monkeypatch, 0.3, 0.3, 0.3) == 1
    assert grown(monkeypatch, 0.9, 0.9, idle_readers=1) == 1


@pytest.mark.alone
def test_a_slow_link_is_shared_by_several_readers(server: Counterpart, tmp_path: Path) -> None:
    """Each message takes a while, the machine idles: more connections than the one that discovers and the one that reads."""
    with proxy(int(server.facts["port"]), [], latency=0.03) as between:
        ran = good(Tap(server, tmp_path).run(port=between.port, streams=["big.Many"], range_rows=1_000))
        assert between.accepted > 2
    assert sorted(ran.table("big-Many")["id"].to_pylist()) == list(range(ROWS))
