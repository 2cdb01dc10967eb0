"""target-parquet as a process: what is staged is whole, named and counted, or not there at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lakehouse_kit import fits

from singer_arrow import documents, names
from singer_arrow.documents import Cursor, LoadDocument
from singer_arrow.facts import utc_text
from singer_arrow.parts import PartWriter

TARGET = shutil.which("target-parquet", path=str(Path(sys.executable).parent)) or "target-parquet"
SCHEMA = pa.schema([pa.field("id", pa.int32(), nullable=False), ("amount", pa.decimal128(19, 4))])
STREAM = "Sales-Order"


def line(**message: Any) -> str:
    return json.dumps(message) + "\n"


def schema_line(stream: str = STREAM, **extra: Any) -> str:
    properties = {"id": {"type": "integer"}, "amount": {"type": ["number", "null"], "x-sql-datatype": "decimal(19,4)"}}
    return line(type="SCHEMA", stream=stream, schema={"properties": properties}, key_properties=["id"], **extra)


def run(folder: Path, *lines: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    config = folder / "config.json"
    config.write_text(json.dumps({"destination_path": str(folder / "out" / "sqlserver"), **settings}))
    return subprocess.run([TARGET, "--config", str(config)], input="".join(lines), capture_output=True, text=True, timeout=60)


def manifests(folder: Path) -> list[dict[str, Any]]:
    paths = sorted((folder / "out/sqlserver/_manifests").glob("*.json"))
    return [fits("manifest", json.loads(path.read_text())) for path in paths]


def staged(folder: Path) -> list[Path]:
    return sorted(p for p in (folder / "out").rglob("*") if p.is_file() and p.name != ".lock")


def load(
    folder: Path,
    rows: int = 10,
    complete: bool = True,
    limit: int = 1_000_000,
    row_number: str | None = None,
    cursor: Cursor | None = None,
) -> list[Path]:
    """The parts of one load in a spool, as a tap leaves them."""
    from singer_arrow.parts import PartLimits

    spool = folder / "spool" / names.folder(STREAM)
    writer = PartWriter(
        spool,
        "20261124T000000Z-0abc0abc0abc",
        SCHEMA,
        {"amount": "money"},
        limits=PartLimits(part_rows=limit, group_rows=1),
        row_number=row_number,
    )
    for number in range(rows):
        writer.write(pa.RecordBatch.from_pylist([{"id": number, "amount": Decimal("0.1000")}], schema=SCHEMA))
    writer.close()
    document = LoadDocument(
        load_id=writer.load_id,
        run_id="r",
        stream=STREAM,
        source_schema="Sales",
        source_table="Order",
        mode="overwrite",
        key_columns=["id"],
        cursor=cursor,
        schema=documents.columns_of(STREAM, SCHEMA, {"amount": "money"}),
        files=writer.files,
        rows=writer.rows,
        source_rows=rows,
        columns=writer.facts(),
        row_number=row_number,
        started_at=utc_text(datetime.now(UTC)),
        ended_at=utc_text(datetime.now(UTC)),
    )
    if complete:
        path = documents.document_path(spool, writer.load_id)
        documents.write(path, document)
        fits("load-document", json.loads(path.read_text()))
    return [spool / file.path for file in writer.files]


def batch_line(*parts: Path) -> str:
    encoding = {"format": "parquet", "compression": "zstd"}
    return line(type="BATCH", stream=STREAM, encoding=encoding, manifest=[p.as_uri() for p in parts])


STATE = line(type="STATE", value={"bookmarks": {STREAM: {"replication_key_value": "7"}}})


@pytest.mark.parametrize(("level", "told"), [("INFO", True), ("WARNING", False)])
def test_a_staged_stream_is_told_where_that_level_is_logged(level: str, told: bool, tmp_path: Path) -> None:
    sent = (
        schema_line(),
        line(type="RECORD", stream=STREAM, record={"id": 1}),
        line(type="STATE", value={"bookmarks": {STREAM: {}}}),
    )
    ran = run(tmp_path, *sent, logging_level=level)
    assert ran.returncode == 0, ran.stderr
    assert [(each["rows"], each["bookmark"]) for each in manifests(tmp_path)] == [(1, None)]
    assert (STREAM in ran.stderr) is told


def test_parts_are_adopted_as_they_are_and_the_manifest_names_them(tmp_path: Path) -> None:
    parts = load(tmp_path, rows=5, limit=2, cursor=Cursor("id", None, "7"))
    bytes_before = [p.read_bytes() for p in parts]
    done = run(tmp_path, schema_line(), batch_line(*parts[:2]), batch_line(*parts[2:]), STATE)
    assert done.returncode == 0, done.stderr
    [manifest] = manifests(tmp_path)
    files = [tmp_path / "out/sqlserver" / f["path"] for f in manifest["files"]]
    assert [f.read_bytes() for f in files] == bytes_before
    assert (manifest["rows"], manifest["source_rows"], manifest["table"]) == (5, 5, "sales_order")
    assert manifest["columns"]["amount"]["sum"] == "0.5000"
    assert manifest["bookmark"] == {"replication_key_value": "7"}
    assert json.loads(done.stdout) == {"bookmarks": {STREAM: {"replication_key_value": "7"}}}
    assert not [p for p in (tmp_path / "spool").rglob("*") if p.is_file()], "the spool of a staged load is empty"


def test_a_load_of_the_whole_table_leaves_no_position_of_incremental_loads_before_it(tmp_path: Path) -> None:
    """The tap hands on the bookmark of a stream that was INCREMENTAL: the next incremental load must not go on from there."""
    before = {"columns": {"id": "int32"}, "replication_key": "id", "replication_key_value": "7", "again": "0" * 64, "own": 1}
    state = line(type="STATE", value={"bookmarks": {STREAM: before}})
    done = run(tmp_path, schema_line(), batch_line(*load(tmp_path)), state)
    assert done.returncode == 0, done.stderr
    assert [each["bookmark"] for each in manifests(tmp_path)] == [{"columns": {"id": "int32"}, "own": 1}]


@pytest.mark.parametrize(("given", "target"), [(None, None), (" ", None), ("/Main.Lighthouse ", "/Main.Lighthouse ")])
def test_a_manifest_names_the_target_it_was_staged_for(
    given: str | None, target: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAKEHOUSE_TARGET", raising=False)
    if given is not None:
        monkeypatch.setenv("LAKEHOUSE_TARGET", given)
    records = schema_line(stream="n"), line(type="RECORD", stream="n", record={"id": 1})
    assert run(tmp_path, schema_line(), batch_line(*load(tmp_path)), *records, STATE).returncode == 0
    assert [m["target"] for m in manifests(tmp_path)] == [target, target]


def test_a_load_without_its_document_leaves_nothing_and_fails(tmp_path: Path) -> None:
    parts = load(tmp_path, complete=False)
    done = run(tmp_path, schema_line(), batch_line(*parts), STATE)
    assert done.returncode == 3 and "ended before its load was complete" in done.stderr and "Traceback" not in done.stderr
    assert staged(tmp_path) == [] and done.stdout == "" and all(p.exists() for p in parts)


def test_the_dead_letters_of_a_load_go_with_it_and_are_as_many_as_it_says(tmp_path: Path) -> None:
    for name, there in (("whole", 2), ("short", 1)):
        folder = tmp_path / name
        [part] = load(folder)
        [path] = part.parent.glob("*.load.json")
        path.write_text(path.read_text().replace('"dead_letters": 0', '"dead_letters": 2'))
        letters = folder / "spool" / names.dead_letters("20261124T000000Z-0abc0abc0abc")
        letters.parent.mkdir()
        letters.write_text("{}\n" * there)
        letters.chmod(0o600)
        done = run(folder, schema_line(), batch_line(part), STATE)
        placed = folder / "out/sqlserver" / names.dead_letters("20261124T000000Z-0abc0abc0abc")
        if there == 2:
            assert done.returncode == 0, done.stderr
            assert manifests(folder)[0]["dead_letters"] == 2
            assert placed.read_text() == "{}\n{}\n" and placed.stat().st_mode & 0o777 == 0o600 and not letters.exists()
        else:
            assert done.returncode == 3 and "does not hold the load's 2 dead letters" in done.stderr
            assert staged(folder) == [] and letters.exists()


def test_a_part_that_was_changed_is_refused(tmp_path: Path) -> None:
    [part] = load(tmp_path)
    content = bytearray(part.read_bytes())
    content[10] ^= 1
    part.write_bytes(content)
    done = run(tmp_path, schema_line(), batch_line(part), STATE)
    assert done.returncode == 3 and "does not hold what its name says" in done.stderr
    assert staged(tmp_path) == []


def test_a_missing_part_is_refused_although_the_others_are_whole(tmp_path: Path) -> None:
    parts = load(tmp_path, rows=4, limit=2)
    done = run(tmp_path, schema_line(), batch_line(parts[0]), STATE)
    assert done.returncode == 3 and parts[1].name in done.stderr
    assert staged(tmp_path) == []


def test_records_become_exact_parts(tmp_path: Path) -> None:
    records = [line(type="RECORD", stream=STREAM, record={"id": i, "amount": None if i % 3 else 0.1}) for i in range(25)]
    done = run(tmp_path, schema_line(), *records, STATE, max_batch_size=4, file_size=10)
    assert done.returncode == 0, done.stderr
    [manifest] = manifests(tmp_path)
    table = pa.concat_tables(pq.read_table(tmp_path / "out/sqlserver" / f["path"]) for f in manifest["files"])
    assert table.column("id").to_pylist() == list(range(25)) and table.schema.field("amount").type == pa.decimal128(19, 4)
    assert manifest["columns"]["amount"] == {"non_null": 9, "sum": "0.9000", "min": "0.1000", "max": "0.1000"}
    assert len(manifest["files"]) > 1 and manifest["source_rows"] is None
    assert manifest["row_number"] == "_row" and "_row" not in manifest["columns"]
    assert [column["name"] for column in manifest["schema"]] == ["id", "amount"]
    assert table.column("_row").to_pylist() == list(range(1, 26)), "one numbering for the whole load"


def test_the_row_number_meets_no_column_and_loads_without_a_key_have_none(tmp_path: Path) -> None:
    properties = {"id": {"type": "integer"}, "_ROW": {"type": "string"}, "=row_1": {"type": "string"}}
    described = line(type="SCHEMA", stream="k", schema={"properties": properties}, key_properties=["id"])
    keyless = line(type="SCHEMA", stream="n", schema={"properties": {"id": {"type": "integer"}}}, key_properties=[])
    done = run(tmp_path, described, keyless, *(line(type="RECORD", stream=s, record={"id": 1}) for s in "kn"), STATE)
    assert done.returncode == 0, done.stderr
    assert {m["stream"]: m["row_number"] for m in manifests(tmp_path)} == {"k": "_row_2", "n": None}


def test_parts_of_a_tap_with_row_numbers_are_adopted_and_not_without_the_column_they_promise(tmp_path: Path) -> None:
    [part] = load(tmp_path, row_number="_row")
    done = run(tmp_path, schema_line(), batch_line(part), STATE)
    assert done.returncode == 0, done.stderr
    [manifest] = manifests(tmp_path)
    assert manifest["row_number"] == "_row"
    [part] = load(tmp_path / "short")
    [path] = part.parent.glob("*.load.json")
    path.write_text(path.read_text().replace('"row_number": null', '"row_number": "_row"'))
    done = run(tmp_path / "short", schema_line(), batch_line(part), STATE)
    assert done.returncode == 3 and "has another schema" in done.stderr


def test_a_part_of_deleted_keys_has_the_keys_only_and_is_counted_apart(tmp_path: Path) -> None:
    """Refused: a part that says so and has all columns; one that has keys only and does not say so; another count."""
    keys = pa.schema([SCHEMA.field("id")])

    def load_with_deletes(folder: Path, schema: pa.Schema, deletes: int, says: bool = True) -> list[Path]:
        [part] = load(folder)
        writer = PartWriter(part.parent, "20261124T000000Z-0abc0abc0abc", schema, {}, range_number="9999")
        writer.write(pa.RecordBatch.from_pylist([{"id": 77}, {"id": 78}], schema=schema))
        writer.close()
        [path] = part.parent.glob("*.load.json")
        document = documents.read_load_document(path)
        more = [msgspec.structs.replace(each, deletes=says) for each in writer.files]
        documents.write(path, msgspec.structs.replace(document, files=[*document.files, *more], deletes=deletes))
        return [part, *(part.parent / each.path for each in writer.files)]

    done = run(tmp_path, schema_line(), batch_line(*load_with_deletes(tmp_path, keys, 2)), STATE)
    assert done.returncode == 0, done.stderr
    [manifest] = manifests(tmp_path)
    assert (manifest["rows"], manifest["deletes"]) == (10, 2)
    assert [each["deletes"] for each in manifest["files"]] == [False, True]
    for wrong, schema, deletes, says, told in (
        ("whole", SCHEMA, 2, True, "has another schema"),
        ("unsaid", keys, 0, False, "do not add up"),
        ("count", keys, 3, True, "do not add up"),
    ):
        done = run(
            tmp_path / wrong, schema_line(), batch_line(*load_with_deletes(tmp_path / wrong, schema, deletes, says)), STATE
        )
        assert done.returncode == 3 and told in done.stderr, (wrong, done.stderr)


def test_files_of_other_taps_may_hold_nan_and_infinities(tmp_path: Path) -> None:
    values = pa.chunked_array([[float("nan"), None, 1.5, float("inf")], [float("-inf"), float("nan")]], pa.float64())
    pq.write_table(pa.table({"id": pa.array(range(6), pa.int64()), "amount": values}), tmp_path / "of-another.parquet")
    done = run(
        tmp_path,
        schema_line(),
        batch_line(tmp_path / "of-another.parquet"),
        line(type="STATE", value={"currently_syncing": None}),
    )
    assert done.returncode == 0, done.stderr
    [manifest] = manifests(tmp_path)
    assert manifest["columns"]["amount"] == {"non_null": 5, "nan": 2, "min": "-inf", "max": "inf"}
    assert "nan" not in manifest["columns"]["id"]


def test_a_record_that_does_not_fit_stages_nothing_but_its_dead_letter(tmp_path: Path) -> None:
    bad = line(type="RECORD", stream=STREAM, record={"id": 2, "amount": 0.12345})
    done = run(tmp_path, schema_line(), line(type="RECORD", stream=STREAM, record={"id": 1}), bad, STATE)
    assert done.returncode == 3 and "Sales-Order" in done.stderr and "amount" in done.stderr and "Traceback" not in done.stderr
    [letter] = staged(tmp_path)
    assert letter.parent.name == "_dead_letters" and str(letter) in done.stderr and done.stdout == ""


def test_what_a_killed_target_left_is_swept_by_the_next(tmp_path: Path) -> None:
    orphan = tmp_path / "out/sqlserver/Sales-Order/20200101T000000Z-abc-0001-000000000000.parquet"
    half = orphan.with_name(".half.parquet.1.tmp")
    orphan.parent.mkdir(parents=True)
    orphan.touch()
    half.touch()
    assert run(tmp_path, schema_line(), batch_line(*load(tmp_path)), STATE).returncode == 0
    assert not orphan.exists() and not half.exists()
    assert len(staged(tmp_path)) == 2


def test_two_targets_never_share_a_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"destination_path": str(tmp_path / "out" / "sqlserver")}))
    first = subprocess.Popen([TARGET, "--config", str(tmp_path / "config.json")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert first.stdin
        first.stdin.write((schema_line() + STATE).encode())
        first.stdin.flush()
        assert first.stdout and first.stdout.readline()
        second = run(tmp_path, schema_line(), STATE)
        assert second.returncode == 3 and "another target-parquet writes into" in second.stderr
    finally:
        os.kill(first.pid, signal.SIGTERM)
        first.wait()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["not json\n"], "not a Singer message"),
        ([line(type="RECORD", stream="x", record={})], "a RECORD came before its SCHEMA"),
        ([line(type="NOVELTY")], "unknown type 'NOVELTY'"),
    ],
)
def test_broken_input_is_one_message(tmp_path: Path, lines: list[str], words: str) -> None:
    done = run(tmp_path, *lines)
    assert done.returncode == 3 and words in done.stderr and "Traceback" not in done.stderr


def test_bad_settings_are_named_all_at_once(tmp_path: Path) -> None:
    done = run(tmp_path, destination_pth="x", file_size="many", compression_method="gzip")
    assert done.returncode == 2
    for told in (
        "destination_pth: there is no such setting; did you mean destination_path?",
        "file_size: must be a whole number, not 'many'",
        "compression_method: must be zstd, not 'gzip'",
    ):
        assert told in done.stderr
    done = run(tmp_path, streams_in_separate_folder=False, add_record_metadata="true")
    assert "streams_in_separate_folder: is always true" in done.stderr
    assert "add_record_metadata: is always false" in done.stderr
