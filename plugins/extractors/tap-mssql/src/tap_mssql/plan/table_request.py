"""What a stream asks of its table: columns, key, replication key and bookmark."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from msgspec import Struct
from msgspec.structs import replace

from singer_arrow import bookmarks
from singer_arrow.bookmarks import KEY, Columns, OnNewColumn
from singer_arrow.documents import KeyRange, Mode, OnDelete
from tap_mssql.errors import Drifted, ReadFailed
from tap_mssql.plan import statements
from tap_mssql.plan.tracking import Since
from tap_mssql.server.sql_types import SqlColumn, quote
from tap_mssql.server.table import Table

WHERE = "where"  # in a bookmark: the condition that its loads were read under
ON_DELETE = "on_delete"  # in a bookmark of changes: `mark` where deleted rows stayed in Delta, marked
QUERY = "query"  # in a bookmark: the fingerprint of the query that they were read from
UNBOUNDED_BYTES = 64  # of a value whose declaration does not say how long it can be: a guess


class TableRequest(Struct, frozen=True):
    """A LoadRequest (read/source.py) of a SQL Server table.

    `key` identifies rows for merging; `set_key` is the one that the settings name, where they do. `bookmark` is the replication
    key's, as text (`bookmark_is_open`: the rows that have that value are not read yet), `known_columns` are those it came with,
    `again` is the fingerprint that it has of the rows that come once more.
    `skips_nulls`: without a key, rows without a replication key are left out; so are always those that do not meet `where`.
    `left_out` says which columns are not read, and why;
    `column_notes` what became of the columns since the last load. `ranges` of a repair: only their rows are read.
    `is_log_based`: the server says what changed, `since` what the bookmark holds; `on_delete`: what deleted rows become in Delta.
    """

    stream: str
    table: Table
    columns: tuple[SqlColumn, ...]
    key: tuple[str, ...]
    set_key: tuple[str, ...] | None = None
    left_out: tuple[str, ...] = ()
    replication_key: SqlColumn | None = None
    bookmark: str | None = None
    bookmark_is_open: bool = False
    again: str | None = None
    skips_nulls: bool = False
    where: str = ""
    lookback: int = 0
    start_value: str | None = None
    end_value: str | None = None
    known_columns: Columns | None = None
    on_new_column: OnNewColumn = "backfill"
    column_notes: tuple[str, ...] = ()
    ranges: tuple[KeyRange, ...] = ()
    is_log_based: bool = False
    since: Since | None = None
    on_delete: OnDelete = "apply"

    @property
    def estimated_rows(self) -> int:
        """Rows the stream has, as the table's statistics say; 0 where they don't, for some of the rows, or for a repair."""
        return 0 if self.ranges or self.where else self.table.row_estimate or 0

    @property
    def stored_row_bytes(self) -> int:
        """Bytes that a row takes on the server's disk, on average; 0 where nothing says so."""
        return self.table.row_bytes

    @property
    def declared_row_bytes(self) -> int:
        """Bytes of the columns as declared."""
        return sum(c.max_length if c.max_length > 0 else UNBOUNDED_BYTES for c in self.columns)

    @property
    def key_collations(self) -> dict[str, str]:
        """By which collation the server compares the key's text columns, by column."""
        return {c.name: c.collation for c in self.columns if c.collation and c.name in self.key}

    @property
    def merges_by_unproven_key(self) -> bool:
        """Whether rows are merged by a key that was given and holds none that the server keeps (of a query it keeps none)."""
        is_proven = bool(self.table.key) and not self.table.sql and set(self.table.key) <= set(self.key)
        return self.replication_key is not None and bool(self.key) and not is_proven

    @property
    def is_incremental(self) -> bool:
        """Whether only what a replication key says is new is read."""
        return self.replication_key is not None or self.is_log_based

    @property
    def may_double(self) -> bool:
        """Whether rows that are read twice would be twice in Delta: there is no key to merge by."""
        return self.replication_key is not None and not self.key

    @property
    def is_backfill(self) -> bool:
        """Whether the window is given, so that the bookmark stays."""
        return self.start_value is not None or self.end_value is not None

    @property
    def mode(self) -> Mode:
        """What the load does to the Delta table: without a bookmark there is nothing it could be added to."""
        if self.ranges:
            return "repair"
        if self.is_log_based:
            return "overwrite" if self.since is None else "merge"
        if self.replication_key is None or self.bookmark is None:
            return "overwrite"
        return "merge" if self.key else "append"

    def compared(self, schema: pa.Schema) -> TableRequest:
        """The request for a load of these columns, without a bookmark where they ask for the whole table.

        Raises SelectionRefused where they do not fit those that the last load had.
        """
        if self.bookmark is None and self.since is None:
            return self
        now = bookmarks.columns_of(schema)
        changes = bookmarks.compare(self.stream, self.known_columns, now, self.on_new_column, self.is_backfill)
        found = self.whole() if changes.reads_whole else self
        return replace(found, column_notes=changes.notes)

    def whole(self) -> TableRequest:
        """The request for the whole table, whatever the bookmark says."""
        return replace(self, bookmark=None, since=None)

    def repairing(self, ranges: Sequence[KeyRange]) -> TableRequest:
        """The request that reads some ranges of keys again, whatever the replication key says."""
        where = self.where
        if self.replication_key is not None and self.may_double and self.skips_nulls:
            where = statements.all_of(where, f"{quote(self.replication_key.name)} IS NOT NULL")
        return replace(
            self, replication_key=None, bookmark=None, lookback=0, ranges=tuple(ranges), is_log_based=False, where=where
        )

    def adapted(self, now: Table) -> TableRequest:
        """The request for the table as it is now: the selected columns, and those that were not there to be selected.

        A key that was given stays; with another one of the table's own, the stream is read whole. Raises ReadFailed where its key
        or replication key is gone, or the table has another name.
        """
        known, selected = {c.name for c in self.table.columns}, {c.name for c in self.columns}
        columns = tuple(c for c in now.columns if c.name in selected or c.name not in known)
        key = self.set_key or (now.key if self.key == self.table.key else self.key)
        replication_key = now.column(self.replication_key.name) if self.replication_key else None
        gone = [name for name in key if now.column(name) is None]
        if self.replication_key and not replication_key:
            gone.append(self.replication_key.name)
        name = f"{now.schema}.{now.name}"
        if gone or (now.schema, now.name) != (self.table.schema, self.table.name):
            what = f"key column {', '.join(gone)} is gone from {name}" if gone else f"its table was renamed to {name}"
            raise ReadFailed(f"stream {self.stream}: {what}", safe=Drifted.SAFE, action="discover again, and select anew")
        found = replace(self, table=now, columns=columns, key=key, replication_key=replication_key)
        other_key = bookmarks.other_key({KEY: list(self.key)}, key)
        if self.bookmark is None or not other_key:
            return found
        if self.is_backfill:
            what = f"{other_key[0]}, and start_value or end_value would make it a part"
            raise ReadFailed(f"stream {self.stream}: {what}", safe=Drifted.SAFE, action="load it once without them")
        return replace(found.whole(), column_notes=other_key)
