"""`tap-mssql --reconcile` and `--repair`: the server's figures are those of the rows it sends; a repair reads its ranges."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from lakehouse_kit import fits
from mssql_kit import TAP, Ran, Tap, execute, good, numbered

from sandbox.launch import Counterpart, counterpart


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with counterpart("sqlserver", tmp_path_factory.mktemp("reconcile"), "--scale", "0.01") as running:
        yield running


def told(tap: Tap, *options: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    tap.folder.mkdir(parents=True, exist_ok=True)
    config = tap.folder / "reconcile.json"
    config.write_text(json.dumps(tap.config()))
    done = subprocess.run([str(TAP), "--config", str(config), *options], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr[-3000:]
    return done


def figures(tap: Tap, *options: str) -> dict[str, Any]:
    told(tap, "--reconcile", str(tap.folder / "figures"), *options)
    return {each["stream"]: each for each in fits("source-figures", json.loads((tap.folder / "figures").read_text()))["tables"]}


def hashed(values: list[Any]) -> str:
    data = [each.encode("utf-16-le") if isinstance(each, str) else each for each in values if each is not None]
    return str(sum(int.from_bytes(hashlib.sha256(each).digest()[:6], "big") for each in data))


def test_the_servers_figures_are_those_of_the_rows_it_sends(server: Counterpart, tmp_path: Path) -> None:
    tap = Tap(server, tmp_path, {"streams": ["dbo.AllTypes", "Sales.*", "Person.Person", "HumanResources.vEmployee"]})
    ran = good(tap.run())
    found = figures(tap)
    assert set(found) == ran.streams
    for stream, table in found.items():
        assert table["problem"] == "" and len(table["ranges"]) == len(table["bounds"]) + 1
        rows, facts = ran.table(stream), ran.document(stream)["columns"]
        assert sum(each["rows"] for each in table["ranges"]) == rows.num_rows
        if table["bounds"]:
            key = rows.column(table["key_columns"][0])
            ends = [None, *map(int, table["bounds"]), None]
            for one, lower, upper in zip(table["ranges"], ends, ends[1:], strict=False):
                low = rows.num_rows if lower is None else pc.sum(pc.greater(key, lower)).as_py()
                high = 0 if upper is None else pc.sum(pc.greater(key, upper)).as_py()
                assert one["rows"] == low - high
            continue
        for name, figure in table["ranges"][0]["columns"].items():
            for what, value in figure.items():
                if what == "hash":
                    assert value == hashed(rows.column(name).to_pylist()), name
                    continue
                fact = facts[name].get(what)
                kind = rows.schema.field(name).type
                if what in ("min", "max") and pa.types.is_floating(kind) and value is not None:
                    assert pa.scalar(float(value), kind) == pa.scalar(float(fact), kind), name
                else:
                    assert value == (None if fact is None else str(fact)), f"{name}: {what}"
    compared = {c["name"]: c["figures"] for c in found["dbo-AllTypes"]["columns"]}
    assert compared["c_xml"] == compared["c_sql_variant"] == ["non_null"]


def test_a_stream_that_is_limited_or_unknown_is_said(server: Counterpart, tmp_path: Path) -> None:
    window = {"pattern": "Sales.SalesOrderHeader", "replication_key": "ModifiedDate", "end_value": "2030-01-01"}
    tap = Tap(server, tmp_path, {"streams": ["Sales.*"], "stream_options": [window]})
    found = figures(tap, "--only", "Sales-SalesOrderHeader")
    assert list(found) == ["Sales-SalesOrderHeader"] and "end_value" in found["Sales-SalesOrderHeader"]["problem"]
    done = told(tap, "--reconcile", str(tmp_path / "none"), "--only", "Sales-Custmer", code=2)
    assert "the nearest is Sales-Customer" in done.stderr


def test_streams_that_a_run_refuses_are_said_and_the_others_are_compared(tmp_path: Path) -> None:
    """A query that the server does not take, a key that is no column, a name that is none in Delta, two columns that are one."""
    with numbered(tmp_path, 10) as server:
        execute(
            server,
            "CREATE TABLE big.[---] (id int)",
            "CREATE TABLE big.Two ([a b] int, a_b int)",
            "CREATE TABLE big.Key (id int)",
        )
        queries, options = [{"name": "big.Query", "sql": "SELECT nope FROM big.Many"}], [{"pattern": "big.Key", "key": ["nope"]}]
        found = figures(Tap(server, tmp_path / "tap", {"queries": queries, "stream_options": options}))
        assert [each["rows"] for each in found.pop("big-Many")["ranges"]] == [10]
        told = {
            "big-Query": "Invalid column name",
            "big-Key": "key column nope",
            "big----": "no usable name",
            "big-Two": "'a b' and",
        }
        assert found.keys() == told.keys() and all(told[stream] in table["problem"] for stream, table in found.items()), found


def test_a_repair_reads_its_ranges_and_nothing_else(tmp_path: Path) -> None:
    with numbered(tmp_path, 3_000) as server:
        tap = Tap(server, tmp_path / "tap", {"range_rows": 150})
        [table] = figures(tap).values()
        assert len(table["bounds"]) == 15
        differing = [
            {"range": {"lower": lower, "upper": upper}, "differences": []}
            for lower, upper in ((None, "99"), ("99", "299"), ("2500", "2600"), ("2999", None))
        ]
        same = {name: table[name] for name in ("stream", "table", "mode", "key_columns")}
        found = {
            "version": 1, "reconciled_at": "2026-11-24T16:12:24.000000Z", "target": "lighthouse",
            "tables": [same | {"source_rows": 3_000, "delta_rows": 1, "ranges": 4, "differing": differing}],
        }  # fmt: skip
        (tap.folder / "found").write_text(json.dumps(found))
        (tap.folder / "out").write_text(told(tap, "--repair", str(tap.folder / "found")).stdout)
        lines = [json.loads(line) for line in (tap.folder / "out").read_text().splitlines()]
        ran = Ran(0, lines, "")
        assert ran.rows["big-Many"] == {*range(300), *range(2501, 2601)}
        document = ran.document("big-Many")
        assert (document["mode"], document["cursor"], document["source_rows"]) == ("repair", None, 400)
        assert document["ranges"] == [each["range"] for each in differing]
        assert ran.state == {"bookmarks": {}}
