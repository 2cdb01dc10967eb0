"""Columns that this login may not SELECT: their stream is refused, or read without them (on_unreadable); the others go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mssql_kit import Tap, execute, good

from sandbox.launch import Counterpart, counterpart


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    """A column of Half is denied, the key of Locked, and all of Closed."""
    with counterpart("sqlserver", tmp_path_factory.mktemp("unreadable"), "--scale", "0.001") as running:
        for name in ("Half", "Locked", "Closed", "Open"):
            execute(running, f"CREATE TABLE dbo.{name} (a int NOT NULL PRIMARY KEY, b int NULL, c int NULL)")
            execute(running, f"INSERT INTO dbo.{name} VALUES (1, 2, 3), (4, 5, NULL)")
        execute(running, "DENY SELECT ON dbo.Half(b) TO reader", "DENY SELECT ON dbo.Locked(a) TO reader")
        execute(running, "DENY SELECT ON dbo.Closed TO reader")
        yield running


@pytest.fixture
def tap(server: Counterpart, tmp_path: Path) -> Tap:
    return Tap(server, tmp_path, {"streams": ["dbo.Half", "dbo.Locked", "dbo.Closed", "dbo.Open"]})


def test_a_stream_with_a_column_that_may_not_be_read_is_refused_and_the_others_are_read(tap: Tap) -> None:
    ran = tap.run()
    assert ran.code == 3 and ran.streams == {"dbo-Open"}
    assert "3 of 4 streams failed" in ran.said and "The other one is complete and staged" in ran.said
    assert "stream dbo-Half: this login may not SELECT b of dbo.Half. Nothing of this load is staged" in ran.said
    assert "set on_unreadable to skip.\n" in ran.said
    assert "key columns are always read: GRANT SELECT on them, or deselect the stream.\n" in ran.said


def test_skip_reads_the_stream_without_the_column_and_says_so_but_not_without_its_key(tap: Tap) -> None:
    ran = tap.run(on_unreadable="skip")
    assert ran.code == 3 and ran.streams == {"dbo-Open", "dbo-Half"}
    assert ran.table("dbo-Half").to_pylist() == [{"a": 1, "c": 3}, {"a": 4, "c": None}]
    assert "left out: b: this login may not SELECT it" in ran.document("dbo-Half")["notes"]
    assert "stream dbo-Half: left out (on_unreadable: skip): b: this login may not SELECT it" in ran.said
    assert "stream dbo-Locked: this login may not SELECT a of dbo.Locked" in ran.said


def test_a_column_that_is_not_selected_need_not_be_readable(tap: Tap) -> None:
    streams = ["dbo.Half"]
    catalog = Tap(tap.server, tap.folder / "discovery", {"streams": streams}).discovered()
    for entry in catalog["streams"]:
        for each in entry["metadata"]:
            each["metadata"]["selected"] = each["breadcrumb"] != ["properties", "b"]
    ran = good(Tap(tap.server, tap.folder / "chosen", {"streams": streams}, catalog=catalog).run())
    assert ran.table("dbo-Half").column_names == ["a", "c"]


@pytest.mark.parametrize(("setting", "planned"), [("fail", {"dbo-Open"}), ("skip", {"dbo-Open", "dbo-Half"})])
def test_plan_says_what_a_run_would_say(setting: str, planned: set[str], tap: Tap) -> None:
    steps, said = tap.plan(on_unreadable=setting)
    assert set(steps) == planned
    assert "stream dbo-Locked: this login may not SELECT a of dbo.Locked" in said
    if setting == "skip":
        assert steps["dbo-Half"]["warnings"] == ["b: this login may not SELECT it"]
    else:
        assert "stream dbo-Half: this login may not SELECT b of dbo.Half" in said
