"""JSON records → Arrow batches by declared columns: every value exact, or its record rejected with the reason.

Clean records take the short way: msgspec decodes each to a struct of the columns' types, and Arrow takes each column as a
whole. Where anything is wrong, or a field is not declared, the same records go through the careful way, column by column, which
finds what is good.

Measured against structs with Decimal values and pyarrow.json with an explicit schema, the short way took the least CPU; the last
checks no digits of floats and keeps no JSON besides. Arrow is asked once a column, whatever the number of records: convert
several small pages at once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple

import msgspec
import pyarrow as pa
from msgspec import Struct

from singer_arrow import compute as pc
from singer_arrow import evolving, json_text, names
from singer_arrow.declared import Declared
from singer_arrow.decoded import Decoded
from singer_arrow.documents import Became, Drift
from singer_arrow.errors import NameRefused, SelectionRefused
from singer_arrow.readers import UNFIT, Made, Reader, Unfit, reader_of

OnDrift = Literal["freeze", "evolve", "discard_value", "discard_row"]
Text = bytes | msgspec.Raw
_CAREFUL = 20  # pages between two attempts at the short way, where pages are odd but good
_LEAVE_OUT = "set on_schema_drift to discard_value, which leaves out what is not declared"
_SUFFIX_100NS = "_100ns"
_DIGITS_100NS = ("datetime2", "datetime2(7)", "datetimeoffset", "datetimeoffset(7)", "")


class Rejection(Struct, frozen=True, order=True):
    """A record that is not in the batch: its place in what was converted (from 0), the field (None: the record itself), why,
    and the record's JSON as it came."""

    index: int
    field: str | None
    reason: str
    record: bytes


class Converted(NamedTuple):
    """The good records, in their order, with the converter's schema; the others (ascending); and which `discard_row` left out."""

    batch: pa.RecordBatch
    rejected: list[Rejection]
    left_out: list[int]


class Counted(Struct, frozen=True):
    """What was counted of records: fields that came and were not declared, and by column the values whose digits were cut."""

    drift: list[Drift]
    cut: dict[str, int]


class RecordConverter:
    """Converts the records of one stream, page by page; not for several threads at once.

    `on_schema_drift` says what becomes of a record with a field that no column is declared for: `freeze` rejects it,
    `discard_value` leaves the field out, `discard_row` the record, `evolve` adds a column (`singer_arrow.evolving` says of which
    type; `evolved` are types, as text, that such columns had before, and `text_columns` keep the JSON text of any value).
    `keep_100ns` adds the text beside each time that is declared with seven digits. `schema` is that of the batches to come: it
    grows with `evolve` and `declare`.

    Raises SelectionRefused where `keep_100ns` makes a name twice.
    """

    def __init__(
        self,
        stream: str,
        columns: Sequence[Declared],
        on_schema_drift: OnDrift = "freeze",
        keep_100ns: bool = False,
        evolved: Mapping[str, str] | None = None,
        text_columns: Collection[str] = (),
    ) -> None:
        self.stream = stream
        self.columns: list[Declared] = []
        self.schema = pa.schema([])
        self.cut: Counter[str] = Counter()  # values whose digits beyond microseconds were cut, by column
        self._drift: dict[str, Drift] = {}
        self._on_drift = on_schema_drift
        self._keep_100ns = keep_100ns
        self._evolved, self._text_columns = dict(evolved or {}), frozenset(text_columns)
        self._careful_pages = 0  # so many go the careful way at once: the one before was odd, and none of its records bad
        self.declare(columns)

    def declare(self, columns: Sequence[Declared]) -> None:
        """Adds columns; records before have NULL in them."""
        self.columns += columns
        self._readers: list[Reader] = [reader_of(column) for column in self.columns]
        self._beside = beside(self.columns) if self._keep_100ns else {}
        fields = [field for column in self.columns for field in (column.field, self._beside.get(column.name)) if field]
        twice = sorted(name for name, times in Counter(field.name for field in fields).items() if times > 1)
        if twice:
            raise SelectionRefused(
                f"stream {self.stream}: keep_100ns adds {', '.join(twice)}, a name that a column has already",
                action="rename that column in the schema, or set keep_100ns to false",
            )
        names.column_names(self.stream, [field.name for field in fields])
        self.schema = pa.schema(fields)
        self._known = {column.name for column in self.columns}
        self.record_type = _struct(self._readers)
        self._record = msgspec.json.Decoder(self.record_type)

    @property
    def raw_columns(self) -> list[str]:
        """The columns whose values `record_type` holds as JSON text."""
        return [each.column.name for each in self._readers if each.slot is msgspec.Raw]

    @property
    def drift(self) -> list[Drift]:
        """The fields that came and were not declared, for load document and manifest."""
        return list(self._drift.values())

    @property
    def notes(self) -> list[str]:
        """What a reader of the load should know: digits that were cut, by column."""
        return [
            f"{name}: {count} values had a digit finer than {_unit(self.schema.field(name).type)} does not hold"
            + (f"; {self._beside[name].name} has the text" if name in self._beside else "")
            for name, count in self.cut.items()
        ]

    @property
    def counted(self) -> Counted:
        """What `drift` and `notes` are made of."""
        return Counted(self.drift, dict(self.cut))

    def count_from(self, counted: Counted) -> None:
        """Goes on counting there: behind records of an earlier run, or before some that are converted again.

        A field that became a column meanwhile stays counted: the same records do not add it a second time.
        """
        added = {name: each for name, each in self._drift.items() if each.became == "column" and name in self._known}
        self._drift = {each.field: each for each in counted.drift} | added
        self.cut = Counter(counted.cut)

    @property
    def is_careful(self) -> bool:
        """Whether the next records are not worth decoding: those before them had to be looked at one by one, and were good."""
        return self._careful_pages > 0

    def convert(self, records: Sequence[Text] | Decoded) -> Converted:
        """Takes records, each the text of one JSON value, in their order.

        Text of other origin than msgspec's Raw may be anything; it is rejected where it is no record. Raises NameRefused where
        a column that `evolve` adds would meet another one in Delta.
        """
        if self._careful_pages:
            self._careful_pages -= 1
            return self._carefully(records)
        before = self.schema
        try:
            structs = records.structs if isinstance(records, Decoded) else [*map(self._record.decode, records)]
            return Converted(self.batch(structs), [], [])
        except UNFIT:
            converted = self._carefully(records)
        if not converted.rejected and self.schema is before:
            self._careful_pages = _CAREFUL
        return converted

    def batch(self, records: Sequence[Any]) -> pa.RecordBatch:
        """Records decoded as `record_type`. Raises any of `readers.UNFIT` where a value is unfit: then `convert` the texts."""
        values = list(chain.from_iterable(map(msgspec.structs.astuple, records)))
        width = len(self._readers)
        if len(values) != width * len(records):
            raise Unfit("records are not of the columns")
        made = [reader.made(values[place::width]) for place, reader in enumerate(self._readers)]
        for column, each in zip(self.columns, made, strict=True):
            if each.values.null_count and not column.field.nullable:
                raise Unfit(f"{column.name} is NULL")
        return self._batch(made)

    def _batch(self, made: Sequence[Made]) -> pa.RecordBatch:
        arrays = []
        for column, each in zip(self.columns, made, strict=True):
            arrays.append(each.values)
            if column.name in self._beside:
                arrays.append(each.texts)
            if each.cut is not None:
                self.cut[column.name] += pc.sum(each.cut).as_py() or 0
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _carefully(self, records: Sequence[Text]) -> Converted:
        """The good ones of the records, one column after the other."""
        bad: dict[int, tuple[str | None, str]] = {}  # place → field and reason; the first one found
        objects = self._taken_apart(records, bad)
        left_out = self._drifted(objects, bad)
        places = [place for place, each in enumerate(objects) if each is not None]
        good = [each for each in objects if each is not None]
        made = []
        for column, reader in zip(self.columns, self._readers, strict=True):
            fitted = _Fitted(reader, [each.get(column.name, b"null") for each in good])
            made.append(fitted.made)
            for place, reason in fitted.unfit:
                bad.setdefault(places[place], (column.name, reason))
        if kept := [place for place, each in enumerate(places) if each not in bad]:
            taken = pa.array(kept, pa.int64()) if len(kept) < len(places) else None
        else:
            taken = pa.array([], pa.int64())
        batch = self._batch(made if taken is None else [_taken(each, taken) for each in made])
        rejected = [Rejection(place, *bad[place], bytes(records[place])) for place in sorted(bad)]
        return Converted(batch, rejected, left_out)

    def _taken_apart(self, records: Sequence[Text], bad: dict[int, tuple[str | None, str]]) -> list[Mapping[str, Text] | None]:
        """Each record as name → JSON text, None for one that is none."""
        objects: list[Mapping[str, Text] | None] = []
        for place, record in enumerate(records):
            try:
                objects.append(_members(record))
            except json_text.NotJson as error:
                objects.append(None)
                bad[place] = (None, f"it is not a JSON object: {error}")
        return objects

    def _drifted(self, objects: list[Mapping[str, Text] | None], bad: dict[int, tuple[str | None, str]]) -> list[int]:
        """Settles the fields that are not declared; objects of records that do not go on become None. Which were left out."""
        unknown = {
            place: [name for name in each if name not in self._known]
            for place, each in enumerate(objects)
            if each is not None and not each.keys() <= self._known
        }
        if not unknown:
            return []
        counts = Counter(name for fields in unknown.values() for name in fields)
        if self._on_drift == "evolve":
            self._evolve(counts, objects)
            return []
        becomes: Became = "left out"
        if self._on_drift != "discard_value":
            becomes = "rejected" if self._on_drift == "freeze" else "record left out"
            for place, fields in unknown.items():
                objects[place] = None
                if becomes == "rejected":
                    bad[place] = (fields[0], "it is not declared in the stream's schema (on_schema_drift: freeze)")
        for name, count in counts.items():
            self._count(name, count, becomes)
        return [*unknown] if becomes == "record left out" else []

    def _evolve(self, counts: Mapping[str, int], objects: Sequence[Mapping[str, Text] | None]) -> None:
        """Adds a column for each field, of a type that its values here have; none where all are null."""
        new = []
        for name, count in counts.items():
            texts = [bytes(each[name]) for each in objects if each is not None and name in each]
            column = evolving.column_of(name, texts, self._evolved.get(name), name in self._text_columns)
            self._count(name, count, "column", str(column.field.type) if column else None)
            if column:
                new.append(column)
        if new:
            try:
                self.declare(new)
            except NameRefused as error:
                raise NameRefused(error.what, action=f"{_LEAVE_OUT}, or rename one of them at the source") from None

    def _count(self, name: str, count: int, became: Became, arrow: str | None = None) -> None:
        before = self._drift.get(name)
        self._drift[name] = Drift(name, became, count + (before.records if before else 0), arrow)


def beside(columns: Sequence[Declared]) -> dict[str, pa.Field]:
    """The columns of text that `keep_100ns` adds, by the name of the time that each stands beside."""
    return {
        column.name: pa.field(column.name + _SUFFIX_100NS, pa.string(), column.field.nullable)
        for column in columns
        if pa.types.is_timestamp(column.field.type) and column.source_type.lower() in _DIGITS_100NS
    }


_NOT_IN_STRUCT = re.compile(r'[\x00-\x1f"\\]')  # characters that msgspec takes in no field's name


def _struct(readers: Sequence[Reader]) -> type[msgspec.Struct]:
    """The type that a record is decoded to. With a name that msgspec does not take it has no field, so that no record is one."""
    if any(_NOT_IN_STRUCT.search(reader.column.name) for reader in readers):
        return msgspec.defstruct("Record", [("none", int)], gc=False)
    slots = [(f"c{place}", reader.slot, reader.default) for place, reader in enumerate(readers)]
    rename = {f"c{place}": reader.column.name for place, reader in enumerate(readers)}
    return msgspec.defstruct("Record", slots, rename=rename, forbid_unknown_fields=True, gc=False)


class _Fitted:
    """A column's values of good and bad records: NULL in place of what is unfit, and the places and reasons of that."""

    def __init__(self, reader: Reader, texts: list[Text]) -> None:
        self._reader = reader
        self._pieces: list[Made] = []
        self.unfit: list[tuple[int, str]] = []
        self._fit(texts, 0)
        self.made = _joined(self._pieces, reader)
        if self.made.values.null_count > len(self.unfit) and not reader.column.field.nullable:
            known = {place for place, _ in self.unfit}
            nulls = pc.indices_nonzero(self.made.values.is_null()).to_pylist()
            self.unfit += [(place, "it is NULL or missing, and never NULL as declared") for place in nulls if place not in known]

    def _fit(self, texts: list[Text], at: int) -> None:
        """Halves what does not fit until each value that is unfit stands alone."""
        try:
            self._pieces.append(self._reader.made(self._reader.decoded(texts)))
        except UNFIT as error:
            if len(texts) == 1:
                self.unfit.append((at, self._reader.reason(bytes(texts[0]), error)))
                self._pieces.append(Made(pa.nulls(1, self._reader.arrow)))
                return
            half = len(texts) // 2
            self._fit(texts[:half], at)
            self._fit(texts[half:], at + half)


def _joined(pieces: Sequence[Made], reader: Reader) -> Made:
    if len(pieces) == 1:
        return pieces[0]

    def whole(place: int, arrow: pa.DataType) -> pa.Array | None:
        if all(piece[place] is None for piece in pieces):
            return None
        return pa.concat_arrays([pa.nulls(len(p.values), arrow) if p[place] is None else p[place] for p in pieces])

    return Made(whole(0, reader.arrow), whole(1, pa.bool_()), whole(2, pa.string()))


def _taken(made: Made, places: pa.Array) -> Made:
    return Made(*(each if each is None else each.take(places) for each in made))


_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _members(record: Text) -> Mapping[str, Text]:
    """A record as name → JSON text, also where it holds what msgspec does not take. Raises NotJson."""
    try:
        return _OBJECT.decode(record)
    except UNFIT:
        return json_text.members(bytes(record))


def _unit(arrow: pa.DataType) -> str:
    return f"{'a microsecond' if arrow.unit == 'us' else '100 ns'}, which {arrow}"
