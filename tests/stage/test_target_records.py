"""RECORDs of any tap: exact, whole, and of a tap that failed never staged."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from target_kit import Target, as_line, record, schema, state

from singer_arrow.errors import Failure, NameRefused, SettingsRefused, SomeFailed, TooManyDeadLetters
from target_parquet.errors import IncompleteLoad, MessageRefused

AMOUNT = {"type": ["number", "null"], "x-sql-datatype": "decimal(19,4)"}


# --- what a tap may send


def test_a_schema_that_comes_again_in_another_order_is_the_same(tmp_path: Path) -> None:
    one = schema(amount=AMOUNT)
    other = {**one, "schema": {"properties": dict(reversed(one["schema"]["properties"].items()))}}
    target = Target(tmp_path)
    target.take(one, record(id=1, amount=0.1), other, record(id=2, amount=5), state())
    assert target.rows("orders") == [{"id": 1, "amount": Decimal("0.1")}, {"id": 2, "amount": Decimal(5)}]


def test_columns_may_come_with_a_later_schema_and_stay_when_it_has_them_no_more(tmp_path: Path) -> None:
    target = Target(tmp_path, file_size=2, max_batch_size=1)
    target.take(
        schema(), *(record(id=n) for n in range(5)), schema(name={"type": "string"}), record(id=5, name="x"),
        schema(), record(id=6), state(),
    )  # fmt: skip
    manifest = target.manifests()["orders"]
    assert [column["name"] for column in manifest["schema"]] == ["id", "name"] and manifest["rows"] == 7
    assert target.rows("orders") == [{"id": n, "name": "x" if n == 5 else None} for n in range(7)]
    assert {str(pq.read_schema(tmp_path / file["path"]).remove_metadata()) for file in manifest["files"]} == {
        "id: int64 not null\nname: string\n_row: int64 not null"
    }
    assert len(target.left()) == len(manifest["files"]) > 2 and manifest["columns"]["name"]["non_null"] == 1


def test_descriptions_of_a_schema_are_comments_of_the_manifest(tmp_path: Path) -> None:
    target = Target(tmp_path)
    target.take(schema(name={"type": "string", "description": "Who it is"}), record(id=1, name="x"), state())
    assert {each["name"]: each["comment"] for each in target.manifests()["orders"]["schema"]} == {"id": "", "name": "Who it is"}


def test_columns_of_a_later_schema_are_described_and_as_secret_as_those_of_the_first(tmp_path: Path) -> None:
    card = {"type": "string", "description": "Of the bank", "x-secret": True}
    target = Target(tmp_path, max_dead_letters=1)
    target.take(schema(), record(id=1), schema(card=card), record(id=2, card="4111"), record(id="x", card="4222"), state())
    manifest = target.manifests()["orders"]
    assert {each["name"]: each["comment"] for each in manifest["schema"]} == {"id": "", "card": "Of the bank"}
    [letters] = (tmp_path / "_dead_letters").glob("*.jsonl")
    assert json.loads(letters.read_text())["record"] == {"id": "x", "card": "***"}


@pytest.mark.parametrize("is_file", [False, True], ids=["RECORD", "BATCH"])
def test_a_key_that_is_no_column_is_refused_alone(is_file: bool, tmp_path: Path) -> None:
    """No job could ever apply such a load."""
    pq.write_table(pa.table({"id": [1]}), tmp_path / "rows.parquet")
    uri = (tmp_path / "rows.parquet").as_uri()
    batch = {"type": "BATCH", "stream": "orders", "encoding": {"format": "parquet"}, "manifest": [uri]}
    keyed = schema(key=["no"], **({"no": {"type": "integer"}} if is_file else {}))
    target = Target(tmp_path / "out")
    told = r"its key \(no\) is not among the columns of .* \(id\).*select these columns in the tap"
    with pytest.raises(SomeFailed, match=told):
        target.take(schema("lines"), record("lines", id=1), keyed, batch if is_file else record(id=1), state())
    assert [*target.manifests()] == ["lines"]


@pytest.mark.parametrize("changed", [schema(id={"type": "string"}), schema(key=[])])
def test_a_schema_that_contradicts_an_earlier_one_is_refused_and_the_other_stream_is_not(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    target = Target(tmp_path)
    with pytest.raises(SomeFailed, match="changed during the run"):
        target.take(schema(), schema("lines"), record(id=1), changed, record(id=2), record("lines", id=1), state())
    assert [*target.manifests()] == ["lines"] and target.states.getvalue() == ""


def test_values_have_their_declared_types_exactly(tmp_path: Path) -> None:
    properties = {
        "step": {"type": "number", "multipleOf": 1e-08}, "money": {"$ref": "#/definitions/money"}, "whole": {"type": "integer"},
        "double": {"type": "number"}, "name": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    }  # fmt: skip
    described = schema(**properties)
    described["schema"]["definitions"] = {"money": AMOUNT}
    target = Target(tmp_path)
    first = '{"type": "RECORD", "stream": "orders", "record": {"id": 1, "step": 0.00000001, "money": 1.5, "whole": 5.0, '
    target.take(
        described,
        first + '"double": NaN, "name": "ü"}}',
        record(id=2, double=float("inf")),
        record(id=3, double=-float("inf")),
        state(),
    )
    table = target.table("orders")
    assert table.schema.field("step").type == pa.decimal128(38, 8) and table.schema.field("money").type == pa.decimal128(19, 4)
    row = target.rows("orders")[0]
    assert (row["step"], row["money"], row["whole"], row["name"]) == (Decimal("1E-8"), Decimal("1.5"), 5, "ü")
    assert [str(x) for x in table.column("double").to_pylist()] == ["nan", "inf", "-inf"]


def test_infinity_elsewhere_is_told_by_stream_and_column(tmp_path: Path) -> None:
    with pytest.raises(TooManyDeadLetters, match=r"stream orders: 1 record does not fit.*record 2, id: Infinity is not a whole"):
        Target(tmp_path).take(schema(), record(id=1), record(id=float("inf")), state())


def test_a_record_nested_very_deep_is_a_dead_letter_and_no_crash(tmp_path: Path) -> None:
    target = Target(tmp_path, max_dead_letters=1)
    deep = "[" * 2000 + "]" * 2000
    line = '{"type": "RECORD", "stream": "orders", "record": {"id": 2, "any": %s}}'
    target.take(schema(any={}), record(id=1, any=[1]), line % deep, state())
    assert target.rows("orders") == [{"id": 1, "any": "[1]"}] and target.manifests()["orders"]["dead_letters"] == 1


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ({"type": "SCHEMA", "stream": "orders", "schema": {"type": "object"}, "key_properties": []}, "declares no columns"),
        (schema(a={"x-sql-datatype": "vector"}), "vector"),
        (schema(a={"$ref": "#/nowhere"}), "leads nowhere"),
    ],
)
def test_a_schema_that_cannot_be_stops_its_stream_and_no_other(described: dict[str, Any], words: str, tmp_path: Path) -> None:
    target = Target(tmp_path)
    with pytest.raises(Failure, match=words):
        target.take(described, record(id=1), schema("lines"), record("lines", id=1), state())
    assert [*target.manifests()] == ["lines"]


# --- records that do not fit


def test_dead_letters_are_put_aside_counted_and_the_rest_is_staged(tmp_path: Path) -> None:
    target = Target(tmp_path, max_dead_letters=2, max_batch_size=2)
    target.take(
        schema(amount=AMOUNT, card={"type": "string", "x-secret": True}), record(id=1), record(id="x", card="4711"), record(id=3),
        record(id=4, amount=0.12345), state(),
    )  # fmt: skip
    manifest = target.manifests()["orders"]
    assert (manifest["rows"], manifest["dead_letters"]) == (2, 2) and [row["id"] for row in target.rows("orders")] == [1, 3]
    [file] = (tmp_path / "_dead_letters").iterdir()
    assert file.name == manifest["load_id"] + ".jsonl" and file.stat().st_mode & 0o777 == 0o600
    told = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(each["position"], each["field"]) for each in told] == [(2, "id"), (4, "amount")]
    assert told[0]["record"] == {"id": "x", "card": "***"}


def test_too_many_dead_letters_end_their_stream_and_no_other(tmp_path: Path) -> None:
    target = Target(tmp_path, max_batch_size=2)
    with pytest.raises(SomeFailed, match="1 of 2 streams failed") as told:
        target.take(
            schema(), schema("lines"), record(id=1), record(id="x"), record("lines", id=1), record(id=3), record("lines", id=2),
            state(),
        )  # fmt: skip
    assert [*target.manifests()] == ["lines"] and len(target.rows("lines")) == 2
    [file] = (tmp_path / "_dead_letters").iterdir()
    assert str(file) in str(told.value) and "set max_dead_letters to 1 or more" in str(told.value)
    assert target.states.getvalue() == "", "a bookmark of a stream that is not staged must not be kept"


@pytest.mark.parametrize("extra", [{}, {"extra_fields": "refuse"}])
def test_fields_that_are_not_declared_are_dead_letters_unless_set_otherwise(extra: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(TooManyDeadLetters, match="new: it is not declared"):
        Target(tmp_path, **extra).take(schema(), record(id=1, new=1), state())


def test_drift_is_left_out_or_becomes_a_column_and_the_manifest_says_so(tmp_path: Path) -> None:
    told = schema(), record(id=1), record(id=2, new=1.5), state()
    for name, config, rows, drift, left_out in (
        ("value", {"extra_fields": "ignore"}, [{"id": 1}, {"id": 2}], ("left out", None), 0),
        ("row", {"on_schema_drift": "discard_row"}, [{"id": 1}], ("record left out", None), 1),
        ("column", {"on_schema_drift": "evolve"}, [{"id": 1, "new": None}, {"id": 2, "new": 1.5}], ("column", "double"), 0),
    ):
        target = Target(tmp_path / name, max_batch_size=1, **config)
        target.take(*told)
        manifest = target.manifests()["orders"]
        assert target.rows("orders") == rows and manifest["left_out"] == left_out
        assert manifest["drift"] == [{"field": "new", "became": drift[0], "records": 1, "type": drift[1]}]


def test_a_column_that_cannot_be_added_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("ID", "_row"):
        with pytest.raises(NameRefused, match=name):
            Target(tmp_path / name, on_schema_drift="evolve").take(schema(), record(id=1), record(**{"id": 2, name: 3}), state())


def test_the_older_and_the_newer_name_of_a_setting_may_not_contradict(tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused, match="extra_fields: is refuse, which contradicts on_schema_drift"):
        Target(tmp_path, extra_fields="refuse", on_schema_drift="evolve")


# --- memory


def test_wide_records_of_many_streams_in_turn_are_written_as_they_come_and_arrive_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("target_parquet.run._HELD", 100_000)
    streams, target = ("one", "two", "three"), Target(tmp_path, complete_without_state=True)
    text = {"type": "string"}
    records = [record(stream, id=n, text=f"{stream} {n} " + "x" * 20_000) for n in range(40) for stream in streams]
    target.take(*(schema(stream, text=text) for stream in streams), *records)
    for stream in streams:
        rows = target.rows(stream)
        assert [(row["id"], row["text"][: len(stream) + 3].strip()) for row in rows] == [(n, f"{stream} {n}") for n in range(40)]
        [part] = (tmp_path).rglob(f"{stream}/*.parquet")
        assert pq.ParquetFile(part).num_row_groups > 5, "nothing waited for the end"


# --- a tap that fails


def test_a_stream_is_staged_only_when_the_tap_said_that_it_is_complete(tmp_path: Path) -> None:
    target = Target(tmp_path)
    with pytest.raises(
        SomeFailed, match=r"(?s)1 of 2 streams.*stream lines: the tap ended before.*100 records.*no STATE"
    ) as told:
        target.take(
            schema(), *(record(id=n) for n in range(250)), state(orders={}),
            schema("lines"), *(record("lines", id=n) for n in range(100)),
        )  # fmt: skip
    assert target.manifests()["orders"]["rows"] == 250 and [*target.manifests()] == ["orders"]
    assert len(target.left()) == 1 and target.states.getvalue() == ""
    assert "complete_without_state: true" in str(told.value) and "The other one is complete and staged" in str(told.value)


def test_a_tap_that_was_reading_a_stream_when_it_died_has_not_sent_it(tmp_path: Path) -> None:
    for bookmark in ({"progress_markers": {"replication_key_value": "5"}}, {"starting_replication_value": None}):
        with pytest.raises(IncompleteLoad, match="its last STATE says that the stream was still being read"):
            Target(tmp_path, complete_without_state=True).take(schema(), record(id=1), state(orders=bookmark))
    with pytest.raises(IncompleteLoad, match="still being read"):
        syncing = {"type": "STATE", "value": {"currently_syncing": "orders", "bookmarks": {}}}
        Target(tmp_path).take(schema(), record(id=1), syncing)
    assert Target(tmp_path).manifests() == {} and Target(tmp_path).left() == []


def test_a_tap_without_states_is_refused_unless_its_exit_code_is_to_be_trusted(tmp_path: Path) -> None:
    lines = schema(), record(id=1)
    with pytest.raises(IncompleteLoad, match="no STATE after the last"):
        Target(tmp_path).take(*lines)
    target = Target(tmp_path, complete_without_state=True)
    target.take(*lines)
    assert target.rows("orders") == [{"id": 1}]
    assert "rests on the tap's exit code (complete_without_state)" in target.manifests()["orders"]["notes"][0]


@pytest.mark.parametrize("torn", [b'{"type": "RECORD", "stream": "lines", "rec', b"Traceback (most recent call last):\n"])
def test_a_tap_that_dies_in_a_line_keeps_the_streams_that_are_complete(torn: bytes, tmp_path: Path) -> None:
    target = Target(tmp_path)
    with pytest.raises(MessageRefused, match="not a Singer message") as told:
        target.take(schema(), record(id=1), state(orders={}), schema("lines"), record("lines", id=1), torn)
    assert "Complete and staged: orders; nothing else is" in str(told.value)
    assert ("the tap ended within it" in str(told.value)) is not torn.endswith(b"\n")
    assert [*target.manifests()] == ["orders"] and len(target.left()) == 1


def test_files_of_a_foreign_tap_are_complete_by_the_same_rule(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": 1}\n\n{"id": 2.0}\n')
    (tmp_path / "bad.jsonl").write_text('{"id": 1}\n{"id": 1},{"id": 2}\nx\n')
    batch = {"type": "BATCH", "stream": "orders", "encoding": {"format": "jsonl"}}
    good, bad = ({**batch, "manifest": [(tmp_path / name).as_uri()]} for name in ("rows.jsonl", "bad.jsonl"))
    with pytest.raises(IncompleteLoad):
        Target(tmp_path / "out").take(schema(), good, state(orders={}))
    target = Target(tmp_path / "out", max_dead_letters=2)
    target.take(schema(cursor="id"), good, bad, state(orders={"replication_key_value": 2}))
    assert [row["id"] for row in target.rows("orders")] == [1, 2, 1] and target.manifests()["orders"]["dead_letters"] == 2


GZIP = gzip.compress(b'{"id": 1}\n' * 5000)


@pytest.mark.parametrize(
    ("content", "compression", "told"),
    [
        (None, "gzip", "cannot be read: No such file or directory"),
        (GZIP[:-20], "gzip", "cannot be read: Compressed file ended before the end-of-stream marker"),
        (GZIP[:10] + b"\xff" * 20 + GZIP[30:], "gzip", "cannot be read: Error -3 while decompressing data"),
        (b'{"id": 1}\n', "gzip", "cannot be read: Not a gzipped file"),
        (b"x", "snappy", "in the compression 'snappy'.*let the tap write gzip or none"),
    ],
    ids=["missing", "torn", "broken", "plain", "unknown"],
)
def test_a_file_of_records_that_cannot_be_read_stops_its_stream_alone(
    content: bytes | None, compression: str, told: str, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl.gz"
    if content is not None:
        file.write_bytes(content)
    encoding = {"format": "jsonl", "compression": compression}
    batch = {"type": "BATCH", "stream": "orders", "encoding": encoding, "manifest": [file.as_uri()]}
    target = Target(tmp_path / "out")
    with pytest.raises(SomeFailed, match=rf"stream orders: .*{told}"):
        target.take(schema(), schema("lines"), record("lines", id=1), batch, record("lines", id=2), state())
    assert [*target.manifests()] == ["lines"] and len(target.left()) == 1


def test_a_file_of_records_may_be_packed(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl.gz").write_bytes(GZIP)
    encoding = {"format": "jsonl", "compression": "gzip"}
    batch = {"type": "BATCH", "stream": "orders", "encoding": encoding, "manifest": [(tmp_path / "rows.jsonl.gz").as_uri()]}
    target = Target(tmp_path / "out", complete_without_state=True)
    target.take(schema(), batch, state())
    assert target.manifests()["orders"]["rows"] == 5000


def test_bookmarks_that_say_nothing_are_not_kept(tmp_path: Path) -> None:
    """The SDK sends a STATE only where it differs from the one it began with: an empty bookmark would hide a stream's end."""
    target = Target(tmp_path)
    target.take(schema(), record(id=1), state(orders={}, lines={"replication_key_value": "7"}))
    assert json.loads(target.states.getvalue()) == {"bookmarks": {"lines": {"replication_key_value": "7"}}}


class Repeated:
    """An input that holds one chunk and gives it again and again, `first` before and `last` behind."""

    def __init__(self, first: bytes, chunk: bytes, times: int, last: bytes) -> None:
        self._first, self._chunk, self._left, self._last = [first], chunk, times, [last]

    def read1(self, size: int, /) -> bytes:
        if self._first:
            return self._first.pop()
        self._left -= 1
        return self._chunk if self._left >= 0 else self._last.pop() if self._last else b""


def test_memory_does_not_grow_with_the_records(tmp_path: Path) -> None:
    chunk = as_line(record(id=1, text="x" * 100)) * 1_000

    def peak(times: int) -> int:
        target = Target(tmp_path / str(times), max_batch_size=500)
        tracemalloc.start()
        target.read(Repeated(as_line(schema(text={"type": "string"})), chunk, times, as_line(state())))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert target.manifests()["orders"]["rows"] == times * 1_000
        return used

    small, large = peak(5), peak(61)
    assert large < small + 500_000, (small, large)
