"""A stream's pages as Arrow batches: flat where they are nested, typed by the declared schema, the unfit ones told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa

from singer_arrow import declared
from singer_arrow.converter import Converted, Counted, RecordConverter, Rejection, beside
from singer_arrow.declared import Declared
from singer_arrow.decoded import Decoded
from singer_arrow.documents import Drift
from singer_arrow.readers import UNFIT
from tap_rest_api_msdk.config import StreamConfig
from tap_rest_api_msdk.records import flatten
from tap_rest_api_msdk.schemas import JsonSchema


class Converter:
    """Converts the records of one stream. Rows and columns are those of `schema`, which grows with `on_schema_drift: evolve`.

    `key` are columns that are never NULL; `evolved` those that earlier loads had, of which the declared ones are passed over.
    """

    def __init__(
        self,
        stream: StreamConfig,
        schema: JsonSchema,
        key: Sequence[str] = (),
        keep_100ns: bool = False,
        evolved: Sequence[Declared] = (),
    ) -> None:
        self.stream = stream
        self.on_drift = drift = stream.on_schema_drift or ("evolve" if stream.is_inferred else "freeze")
        columns = _columns(schema, stream, key)
        self.declared = {column.name for column in columns}
        self.secret = [column.name for column in columns if column.is_secret]
        made = {field.name for field in beside(columns).values()} if keep_100ns else set()
        columns += [each for each in evolved if drift == "evolve" and each.name not in self.declared | made]
        self._converter = RecordConverter(stream.name, columns, drift, keep_100ns, text_columns=stream.text_keys)
        self._flattener = flatten.Flattener(self._whole, stream.text_keys)
        self._is_nested = False

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the rows so far."""
        return self._converter.schema

    @property
    def columns(self) -> list[Declared]:
        """The columns so far, without those of keep_100ns."""
        return self._converter.columns

    @property
    def evolved(self) -> list[Declared]:
        """The columns that nobody declared."""
        return [column for column in self.columns if column.name not in self.declared]

    @property
    def record_type(self) -> type[msgspec.Struct]:
        """The type of the structs that `decoded` makes."""
        return self._converter.record_type

    @property
    def page_type(self) -> type[msgspec.Struct] | None:
        """What the records of a page may be decoded to at once, with the rest of it; None where they are needed as they came."""
        if self._is_nested or self.stream.keeps_raw or self._converter.is_careful:
            return None
        return self.record_type

    @property
    def raw_columns(self) -> list[str]:
        """Those whose values `decoded` leaves as JSON text."""
        return self._converter.raw_columns

    @property
    def drift(self) -> list[Drift]:
        """Members that came and were not declared."""
        return self._converter.drift

    @property
    def notes(self) -> list[str]:
        """What a reader of the load should know of its values."""
        return self._converter.notes

    @property
    def counted(self) -> Counted:
        """What `drift` and `notes` are made of."""
        return self._converter.counted

    def count_from(self, counted: Counted) -> None:
        """Goes on counting there."""
        self._converter.count_from(counted)

    def convert(self, records: Sequence[msgspec.Raw]) -> Converted:
        """The records of a page as rows, and those that do not fit."""
        if not self._is_nested:
            is_clean = isinstance(records, Decoded) or not (flatten.may_matter(self.declared) and self._is_lenient)
            if is_clean or not flatten.is_needed(records, self._whole):
                before = self.counted
                converted = self._converter.convert(self._with_raw(records, records))
                if not converted.rejected or not flatten.is_needed(records, self._whole):
                    return converted
                self.count_from(before)
            self._is_nested = True
            self._flattener = flatten.Flattener(self._whole, self.stream.text_keys)
        flat, unfit = self._flattener.records(records)
        converted = self._converter.convert(self._with_raw(flat, records))
        if not unfit:
            return converted
        told = [Rejection(place, None, reason, bytes(records[place])) for place, reason in unfit.items()]
        rejected = sorted({each.index: each for each in [*converted.rejected, *told]}.values())
        return converted._replace(rejected=rejected)

    def decoded(self, records: Sequence[msgspec.Raw]) -> tuple[list[Any], pa.RecordBatch] | None:
        """The records as structs, one member for each column, and as rows, where all of them are clean and flat; else None."""
        if self._is_nested:
            return None
        try:
            found: list[Any] = (
                records.structs
                if isinstance(records, Decoded)
                else msgspec.json.decode(
                    b"[" + b",".join(self._with_raw(records, records)) + b"]",
                    type=list[self._converter.record_type],  # type: ignore[name-defined]
                )
            )
            return found, self._converter.batch(found)
        except UNFIT:
            return None

    def flat_one(self, record: msgspec.Raw) -> msgspec.Raw:
        """One record, flat."""
        return self._flattener.records([record])[0][0]

    def flat(self, records: Sequence[msgspec.Raw]) -> Sequence[msgspec.Raw]:
        """The records of a page that was converted, as they were taken."""
        flat = self._flattener.records(records)[0] if self._is_nested else records
        return self._with_raw(flat, records)

    @property
    def _whole(self) -> set[str]:
        """The members that are columns themselves, whatever they hold; those that were added hold JSON."""
        return self.declared | {column.name for column in self.evolved if column.is_json}

    @property
    def _is_lenient(self) -> bool:
        """Whether a member that is not declared would be left out, or become a column, before it could be made flat."""
        return self.stream.on_schema_drift in ("discard_value", "discard_row", "evolve") or self.stream.is_inferred

    def _with_raw(self, records: Sequence[msgspec.Raw], originals: Sequence[msgspec.Raw]) -> Sequence[msgspec.Raw]:
        return flatten.with_raw(records, originals) if self.stream.keeps_raw else records


def _columns(schema: JsonSchema, stream: StreamConfig, key: Sequence[str]) -> list[Declared]:
    never_null = {
        name for name, each in schema["properties"].items() if not declared.is_nullable(declared.resolved(each, schema))
    }
    return declared.columns(schema, stream.text_keys, never_null | set(key))
