"""The same job file on real Spark and Delta, tables by path and by name."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from lakehouse_kit import ROOT, Made, boundaries, fits, make_load, plain

from lakehouse.job_file import joined

pytestmark = pytest.mark.spark
PYTHON = ROOT / ".venvs/spark/bin/python"


def run_job(stage: Path, target: str, loads: list[Made], warehouse: Path) -> subprocess.CompletedProcess[str]:
    wanted = [{"manifest": str(load.path.relative_to(stage)), "sha256": hashlib.sha256(load.path.read_bytes()).hexdigest()}
              for load in loads]  # fmt: skip
    order = json.dumps({"target": target, "staged": [load.load_id for load in loads], "loads": wanted}).encode()
    stage.joinpath("order.json").write_bytes(order)
    file = stage.with_name("job.py")
    file.write_text(joined())
    job = [str(ROOT / "tests/convert/spark/run_job.py"), str(warehouse), str(file)]
    options = ["--stage", str(stage), "--target", target, "--order", "order.json"]
    command = [str(PYTHON), *job, *options, "--order-sha256", hashlib.sha256(order).hexdigest()]
    return subprocess.run(command, capture_output=True, text=True, timeout=580, cwd=warehouse.parent)


@pytest.mark.parametrize("by", ["path", "name"])
def test_real_spark_agrees_with_every_promise(tmp_path: Path, by: str) -> None:
    stage, warehouse = tmp_path / "stage", tmp_path / "warehouse"
    tables = tmp_path / "delta" if by == "path" else warehouse / "lighthouse.db"
    target = str(tables) if by == "path" else "lighthouse"
    data = boundaries()
    keyed = pa.table({"Id": [1, 2], "Name": ["a", "b"], "Changed": [1, 1]})
    late = pa.table({"Id": [2, 3, 3], "Name": ["late", "old", "new"], "Changed": [5, 5, 5], "Extra": ["x", "y", "z"]})
    cursor = {"column": "Changed", "from": None, "to": "1"}
    merge = {"mode": "merge", "key_columns": ["Id"], "cursor": cursor, "table": "keyed"}
    loads = [
        make_load(stage, "Sales-Ação & Odd", [data.slice(0, 2), data.slice(2)], table="sales_odd"),
        make_load(stage, "Empty", [], schema=data.schema),
        make_load(stage, "Keyed", [keyed], **merge),
        make_load(stage, "Keyed", [late], started=1, **merge),
        make_load(stage, "Log", [keyed], mode="append"),
    ]
    for attempt in ("first", "again"):
        done = run_job(stage, target, loads, warehouse)
        assert done.returncode == 0, f"{attempt}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    found = DeltaTable(str(tables / "sales_odd")).to_pyarrow_table().sort_by("Id")
    for name in data.column_names:
        assert plain(found.column(name.replace(" ", "_"))) == plain(data.column(name)), name
    merged = DeltaTable(str(tables / "keyed")).to_pyarrow_table().sort_by("Id").to_pylist()
    assert [(row["Id"], row["Name"], row["Extra"]) for row in merged] == [(1, "a", None), (2, "late", "x"), (3, "new", "z")]
    assert DeltaTable(str(tables / "log")).to_pyarrow_table().num_rows == 2
    ledger = DeltaTable(str(tables / "_loads")).to_pyarrow_table()
    assert sorted(ledger["load_id"].to_pylist()) == sorted(load.load_id for load in loads)
    assert None not in ledger["delta_version"].to_pylist()
    documents = [next(folder.glob("part-*")) for folder in sorted(stage.joinpath("_published").iterdir())]
    last = fits("published-document", json.loads(documents[-1].read_text()))
    assert {load["status"] for load in last["loads"]} == {"already"}
    for row in ledger.to_pylist():
        fits("ledger-row", row | {"committed_at": row["committed_at"].isoformat()})
