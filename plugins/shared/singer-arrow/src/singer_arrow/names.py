"""One function for each name that more than one step uses (docs/contracts.md, Names)."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote

from singer_arrow.errors import NameRefused

LOAD_DOCUMENT_SUFFIX = ".load.json"
_NOT_IN_COLUMN = re.compile(r"[ ,;{}()\n\t=]")
_RESERVED_TABLES = frozenset({"_loads"})


def load_id(run_id: str, source: str, stream: str, started: datetime) -> str:
    """The id of one stream's load in one run: UTC start to the second and 12 hex digits of run, source and stream."""
    digest = hashlib.sha256("\0".join((run_id, source, stream)).encode()).hexdigest()[:12]
    return f"{started.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest}"


def folder(stream: str) -> str:
    """The stream's folder: every character outside `A-Z a-z 0-9 _ . -` percent-encoded; never starts with a dot."""
    name = quote(stream, safe="_.-").replace("~", "%7E")
    return "%2E" + name[1:] if name.startswith(".") else name


def part_name(load: str, number: str, sha256: str) -> str:
    """`<load_id>-<number>-<first 12 of sha256>.parquet`; numbers as PartWriter gives them."""
    return f"{load}-{number}-{sha256[:12]}.parquet"


def snake_case(name: str) -> str:
    """`SalesOrderHeader` → `sales_order_header`; runs of anything else but letters and digits become one underscore."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[\W_]+", "_", words).strip("_").lower()


def table_name(schema: str, table: str) -> str:
    """The Delta table of a source table: `<source schema>_<table>` in snake_case.

    Raises NameRefused for a name that leaves nothing usable or is reserved for the ledger.
    """
    name = "_".join(part for part in (snake_case(schema), snake_case(table)) if part)
    if not snake_case(table) or name in _RESERVED_TABLES:
        raise NameRefused(f"{schema}.{table}: no usable name for the Delta table (would be {name!r}); rename or deselect it")
    return name


def refuse_collisions(tables: Iterable[tuple[str, str]]) -> None:
    """Raises NameRefused naming every Delta table that more than one (stream, table) would write."""
    streams: dict[str, list[str]] = defaultdict(list)
    for stream, table in tables:
        streams[table].append(stream)
    met = [f"{table}: {', '.join(names)}" for table, names in sorted(streams.items()) if len(names) > 1]
    if met:
        raise NameRefused("streams that would share one Delta table: " + "; ".join(met) + "; deselect all but one of each")


def column_name(name: str) -> str:
    """The Delta column of a source column: the same, but for characters that Delta refuses without column mapping."""
    return _NOT_IN_COLUMN.sub("_", name)


def column_names(stream: str, names: Iterable[str]) -> dict[str, str]:
    """Source column → Delta column. Raises NameRefused when two meet (Delta compares without case)."""
    result = {name: column_name(name) for name in names}
    seen: dict[str, str] = {}
    for name, column in result.items():
        other = seen.setdefault(column.lower(), name)
        if other != name:
            raise NameRefused(f"{stream}: columns {other!r} and {name!r} would be one Delta column {column!r}")
    return result
