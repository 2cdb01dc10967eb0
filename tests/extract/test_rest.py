"""tap-rest-api-msdk against the API counterpart: everything arrives exactly, or the run says why not."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from sandbox.adventureworks.orders import order_tables

ROOT = Path(__file__).resolve().parents[2]

SCALE, CAP, PAGE_SIZE = 0.02, 150, 400
USER, PASSWORD = "ana", "s3nha-secreta-ç"
KEYS = {
    "SalesOrderHeader": ["SalesOrderID"],
    "SalesOrderDetail": ["SalesOrderID", "SalesOrderDetailID"],
    "PurchaseOrderHeader": ["PurchaseOrderID"],
    "PurchaseOrderDetail": ["PurchaseOrderID", "PurchaseOrderDetailID"],
}


def tap() -> str:
    """The tap's executable: TAP_REST_API_MSDK, beside this Python, or on the PATH."""
    beside = Path(sys.executable).with_name("tap-rest-api-msdk")
    found = os.environ.get("TAP_REST_API_MSDK") or (str(beside) if beside.exists() else shutil.which("tap-rest-api-msdk"))
    assert found, "tap-rest-api-msdk is not installed"
    return found


def column(field: pa.Field, values: pa.ChunkedArray) -> dict[str, Any]:
    """The property that declares a column of the order tables."""
    kinds = {
        "bool": ("boolean", "bit"),
        "int16": ("integer", "smallint"),
        "int32": ("integer", "int"),
        "string": ("string", "nvarchar(128)"),
        "timestamp[us]": ("string", "datetime"),
    }
    number = ("number", str(field.type).replace("decimal128", "decimal").replace(" ", ""))
    kind, declared = kinds.get(str(field.type), number)
    return {"type": [kind, "null"] if values.null_count else [kind], "x-sql-datatype": declared}


def config(url: str, tables: list[str], spool: Path | None = None, **more: Any) -> dict[str, Any]:
    """A configuration for tables of the counterpart; BATCH mode with a spool, RECORD mode without."""
    data = order_tables(SCALE)
    streams = [
        {
            "name": name,
            "path": f"/{name}",
            "primary_keys": KEYS[name],
            "schema": {"properties": {f.name: column(f, data[name][f.name]) for f in data[name].schema}},
        }
        for name in tables
    ]
    batch = {"encoding": {"format": "parquet", "compression": "zstd"}, "storage": {"root": f"{spool and spool.as_uri()}"}}
    return {
        "api_url": url,
        "auth_method": "basic",
        "username": USER,
        "password": PASSWORD,
        "records_path": "$.data[*]",
        "total_path": "$.total",
        "pagination_request_style": "offset_paginator",
        "pagination_response_style": "offset",
        "pagination_page_size": PAGE_SIZE,
        "pagination_initial_offset": 0,
        "streams": streams,
        **({"batch_config": batch} if spool else {}),
        **more,
    }


KEYLESS = {
    "name": "keyless",
    "path": "x",
    "schema": {
        "type": "object",
        "properties": {
            "id": {"type": "integer", "x-sql-datatype": "int"},
            "at": {"type": "string", "format": "date-time", "x-sql-datatype": "datetime"},
            "note": {"type": ["string", "null"]},
        },
    },
}


def run(folder: Path, settings: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    """Runs the tap in its own process."""
    file = folder / "config.json"
    file.write_text(json.dumps(settings))
    return subprocess.run([tap(), "--config", str(file), *options], capture_output=True, text=True, timeout=60)


def messages(output: str) -> list[dict[str, Any]]:
    """The Singer messages; numbers with a point as Decimal."""
    return [json.loads(line, parse_float=Decimal) for line in output.splitlines()]


def failed(result: subprocess.CompletedProcess[str], code: int = 3) -> str:
    """What a failed run says on stderr: no traceback and no secret anywhere."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert PASSWORD not in result.stderr + result.stdout
    return result.stderr


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a counterpart whose own page cap is below the page size asked for."""
    ready = tmp_path_factory.mktemp("api") / "ready.json"
    command = [str(ROOT / ".venvs/sandbox/bin/python"), "-m", "sandbox.api", "--ready", str(ready)]
    server = subprocess.Popen(
        [*command, "--scale", str(SCALE), "--max-page-size", str(CAP)],
        cwd=ROOT,
        env={**os.environ, "SANDBOX_USER": USER, "SANDBOX_PASSWORD": PASSWORD},
    )
    while not ready.exists() and server.poll() is None:
        time.sleep(0.05)
    yield json.loads(ready.read_text())["url"]
    server.terminate()
    server.wait(10)


@pytest.fixture(scope="module")
def batched(url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """One run of all four streams in BATCH mode: its spool and its messages."""
    folder = tmp_path_factory.mktemp("batched")
    spool = folder / "spool"
    result = run(folder, config(url, list(KEYS), spool))
    assert result.returncode == 0, result.stderr
    assert result.stderr == "", "the loader tells of each stream that it stages"
    return spool, messages(result.stdout)


@pytest.mark.parametrize("name", KEYS)
def test_every_record_arrives_exactly_though_the_server_caps_its_pages(
    batched: tuple[Path, list[dict[str, Any]]], name: str
) -> None:
    spool, sent = batched
    [batch] = [m for m in sent if m["type"] == "BATCH" and m["stream"] == name]
    [part] = batch["manifest"]
    [document] = [json.loads(p.read_text()) for p in (spool / name).glob("*.load.json")]
    expected = order_tables(SCALE)[name]
    staged = pq.read_table(part.removeprefix("file://"))
    assert staged.drop_columns([document["row_number"]]).to_pylist() == expected.to_pylist()
    assert staged.column(document["row_number"]).to_pylist() == list(range(1, expected.num_rows + 1)), "in the order read"
    assert document["rows"] == document["source_rows"] == expected.num_rows
    assert (document["mode"], document["key_columns"], document["cursor"]) == ("overwrite", KEYS[name], None)
    assert [f["path"] for f in document["files"]] == [Path(part).name]
    money = [f for f in expected.schema if pa.types.is_decimal(f.type)]
    assert money
    for field in money:
        assert pc.sum(staged[field.name]) == pc.sum(expected[field.name])
        if field.type.precision <= 28:  # docs/contracts.md: wider decimals have no sum
            assert document["columns"][field.name]["sum"] == str(pc.sum(expected[field.name]).as_py())


def test_records_are_the_same_as_batches(url: str, tmp_path: Path, batched: tuple[Path, list[dict[str, Any]]]) -> None:
    name = "SalesOrderHeader"
    result = run(tmp_path, config(url, [name]))
    assert result.returncode == 0, result.stderr
    records = [m["record"] for m in messages(result.stdout) if m["type"] == "RECORD"]
    [part] = (batched[0] / name).glob("*.parquet")
    rows = pq.read_table(part).drop_columns(["_row"]).to_pylist()
    assert records == [{k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in row.items()} for row in rows]
    assert f'"SubTotal":{rows[0]["SubTotal"]},' in result.stdout


def test_numbers_that_are_declared_as_text_are_text_in_records(url: str, tmp_path: Path) -> None:
    """For stream maps and targets, which take a value for what the schema says."""
    settings = config(url, ["SalesOrderHeader"])
    settings["streams"][0]["schema"]["properties"]["SubTotal"] = {"type": ["string"], "x-sql-datatype": "decimal(19,4)"}
    records = [m["record"] for m in messages(run(tmp_path, settings).stdout) if m["type"] == "RECORD"]
    wanted = [str(value) for value in order_tables(SCALE)["SalesOrderHeader"]["SubTotal"].to_pylist()]
    assert [record["SubTotal"] for record in records] == wanted


def test_a_column_that_is_not_selected_is_in_no_record(url: str, tmp_path: Path) -> None:
    settings = config(url, ["SalesOrderHeader"])
    catalog = json.loads(run(tmp_path, settings, "--discover").stdout)
    left_out = [each for each in catalog["streams"][0]["metadata"] if each["breadcrumb"] == ["properties", "Comment"]]
    left_out[0]["metadata"]["selected"] = False
    (tmp_path / "catalog.json").write_text(json.dumps(catalog))
    sent = messages(run(tmp_path, settings, "--catalog", str(tmp_path / "catalog.json")).stdout)
    records = [each["record"] for each in sent if each["type"] == "RECORD"]
    wanted = [name for name in order_tables(SCALE)["SalesOrderHeader"].column_names if name != "Comment"]
    assert len(records) == order_tables(SCALE)["SalesOrderHeader"].num_rows
    assert {tuple(record) for record in records} == {tuple(wanted)}


def test_records_of_an_incremental_stream_leave_its_columns_in_the_state(url: str, tmp_path: Path) -> None:
    name = "SalesOrderHeader"
    settings = config(url, [name])
    settings["streams"][0] |= {"replication_key": "ModifiedDate"}
    result = run(tmp_path, settings)
    assert result.returncode == 0, result.stderr
    bookmark = messages(result.stdout)[-1]["value"]["bookmarks"][name]
    assert bookmark["columns"] == {f.name: str(f.type) for f in order_tables(SCALE)[name].schema}
    (tmp_path / "state.json").write_text(json.dumps({"bookmarks": {name: bookmark | {"columns": {"SubTotal": "string"}}}}))
    assert "column SubTotal was string and is decimal128" in failed(
        run(tmp_path, settings, "--state", str(tmp_path / "state.json")), 2
    )


def test_the_catalog_is_the_same_without_the_sdk_as_with_it(tmp_path: Path) -> None:
    def catalog(spool: Path | None) -> dict[str, Any]:
        more = {"streams": [KEYLESS, {**KEYLESS, "name": "keyed", "primary_keys": ["id"], "replication_key": "at"}]}
        found = run(tmp_path, config("http://127.0.0.1:1", [], spool, **more), "--discover")
        assert found.returncode == 0, found.stderr
        return {entry["tap_stream_id"]: entry for entry in json.loads(found.stdout)["streams"]}

    assert catalog(tmp_path / "spool") == catalog(None)


def test_a_stream_that_fails_stops_no_other(url: str, tmp_path: Path) -> None:
    wanted = config(url, list(KEYS), tmp_path / "spool")
    wanted["streams"][0]["path"] = "/nowhere"
    result = run(tmp_path, wanted)
    said = failed(result)
    assert "1 of 4 streams failed:" in said
    assert "The other 3 are complete and staged" in said
    assert {m["stream"] for m in messages(result.stdout) if m["type"] == "BATCH"} == {s["name"] for s in wanted["streams"][1:]}


def test_sigterm_ends_a_run_with_143_and_without_a_load(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        file = tmp_path / "config.json"
        file.write_text(json.dumps(config(f"http://127.0.0.1:{silent.getsockname()[1]}", list(KEYS), tmp_path / "spool")))
        with subprocess.Popen([tap(), "--config", str(file)], stdout=subprocess.PIPE) as running:
            silent.accept()
            running.terminate()
            assert running.wait(5) == 143
            assert running.stdout is not None
            assert running.stdout.read() == b""
    assert not list(tmp_path.rglob("*.load.json"))


def test_a_wrong_password_is_told_at_once(url: str, tmp_path: Path) -> None:
    began = time.monotonic()
    result = run(tmp_path, config(url, ["SalesOrderHeader"], tmp_path / "spool", password="wrong"))
    assert "/SalesOrderHeader: the API refused the credentials (401)" in failed(result)
    assert "check API_USER and API_PASSWORD" in result.stderr
    assert "wrong" not in result.stderr
    assert time.monotonic() - began < 10


def test_an_api_that_is_down_is_named_after_bounded_tries(tmp_path: Path) -> None:
    settings = config("http://127.0.0.1:9", ["SalesOrderHeader"], tmp_path / "spool", backoff_max_seconds=0.5)
    told = failed(run(tmp_path, settings))
    assert "stream SalesOrderHeader, offset 0: http://127.0.0.1:9/SalesOrderHeader: no connection" in told
    assert "Connection refused" in told
    assert "Nothing of this stream was kept" in told


def test_all_problems_of_a_configuration_come_together(tmp_path: Path) -> None:
    settings = config("ftp://nowhere", ["SalesOrderHeader"], auth_method="oauth", use_request_body_not_params="often")
    told = failed(run(tmp_path, {**settings, "pasword": PASSWORD}, "--discover"), 2)
    for name in ("api_url", "grant_type", "access_token_url", "use_request_body_not_params", "pasword"):
        assert f"\n  - {name}: " in told
