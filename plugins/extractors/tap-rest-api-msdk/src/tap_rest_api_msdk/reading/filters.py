"""Records that an incremental stream has read before, left out here where the API cannot leave them out."""

from __future__ import annotations

import pyarrow as pa

from singer_arrow import compute as pc
from tap_rest_api_msdk import bookmarks
from tap_rest_api_msdk.stream_choice import StreamChoice


class Cut:
    """Leaves out the rows of a load whose replication key lies more than `lookback` before `start`, and counts them in `rows`.

    Nothing is left out of a full load, nor where the API is asked for new records. A row without a replication key stays.
    """

    def __init__(self, choice: StreamChoice, schema: pa.Schema, start: str | None, lookback: float) -> None:
        self.rows = 0
        key, stream = choice.replication_key, choice.config
        self._key = key if choice.is_incremental and start is not None and not stream.search_field else None
        if self._key is not None:
            kind = schema.field(self._key).type
            self._least = bookmarks.scalar(kind, str(bookmarks.earlier(kind, start, lookback)))

    def behind(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that stay."""
        if self._key is None:
            return batch
        column = batch.column(self._key)
        kept = batch.filter(pc.call("or_kleene", pc.call("is_null", column), pc.call("greater_equal", column, self._least)))
        self.rows += batch.num_rows - kept.num_rows
        return kept
