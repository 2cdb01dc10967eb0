"""A stream's pages as Arrow batches: flat where they are nested, typed by the declared schema."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pyarrow as pa

from singer_arrow.records import RecordDecoder
from tap_rest_api_msdk import schemas
from tap_rest_api_msdk.config import StreamConfig
from tap_rest_api_msdk.errors import AnswerRefused
from tap_rest_api_msdk.records import flatten
from tap_rest_api_msdk.schemas import JsonSchema


class Converter:
    """Converts the records of one stream. Rows and columns are those of `schema`; errors name stream and column."""

    def __init__(self, stream: StreamConfig, schema: JsonSchema) -> None:
        self.schema = schemas.arrow_schema(schema)
        self._stream = stream
        self.json_columns = schemas.json_columns(schema, stream.text_keys)
        self._decoder = RecordDecoder(stream.name, self.schema, self.json_columns, stream.on_schema_drift in ("discard_value",))
        self._list = msgspec.json.Decoder(list[self._decoder.record_type])  # type: ignore[name-defined]
        self._columns = frozenset(self.schema.names)
        self._flattener = flatten.Flattener(self._columns, stream.text_keys)
        self._is_nested = False

    def batch(self, records: Sequence[msgspec.Raw]) -> pa.RecordBatch:
        """The records of a page as rows. Raises ValueRefused or AnswerRefused."""
        return self.batch_of(self.decoded(records))

    def batch_of(self, decoded: Sequence[object]) -> pa.RecordBatch:
        """Decoded records as rows. Raises ValueRefused."""
        return self._decoder.batch(decoded)

    def decoded(self, records: Sequence[msgspec.Raw]) -> list[object]:
        """The records as structs of the decoder's record type. Raises AnswerRefused."""
        try:
            if not self._is_nested:
                try:
                    return self._list.decode(self._joined(self._with_raw(records, records)))
                except msgspec.ValidationError:
                    if not flatten.is_needed(records, self._columns):
                        raise
                    self._is_nested = True
            return self._list.decode(self._joined(self._with_raw(self._flattener.records(records), records)))
        except msgspec.MsgspecError as error:
            raise AnswerRefused(self._decoder.explain(error)) from error
        except (ValueError, RecursionError) as error:
            raise AnswerRefused(f"stream {self._stream.name}: {str(error) or 'a record is nested too deeply'}") from error

    def _with_raw(self, records: Sequence[msgspec.Raw], originals: Sequence[msgspec.Raw]) -> Sequence[msgspec.Raw]:
        return flatten.with_raw(records, originals) if self._stream.keeps_raw else records

    @staticmethod
    def _joined(records: Sequence[msgspec.Raw]) -> bytes:
        return b"[" + b",".join(map(bytes, records)) + b"]"
