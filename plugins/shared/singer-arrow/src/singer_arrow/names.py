"""The names that more than one step uses: one function that makes each, and one that reads it (docs/contracts.md, Names)."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote

from singer_arrow.errors import NameRefused

MANIFESTS = "_manifests"  # the folder of a source's manifests
MOST_OF_FOLDER = 255  # characters of a name, in the file systems of Linux
DEAD_LETTERS = "_dead_letters"  # the folder of a source's, or a spool's, dead letters
LOAD_ID = r"\d{8}T\d{6}Z-[0-9a-f]{12}"
_PART = re.compile(rf"(?P<load_id>{LOAD_ID})-(?P<number>\d{{4,}}(?:\.\d+)*)-(?P<sha256>[0-9a-f]{{12}})\.parquet")
_OF_LOAD = re.compile(rf"({LOAD_ID})[-.].+", re.DOTALL)
_NOT_IN_COLUMN = re.compile(r"[ ,;{}()\n\t=]")
_RESERVED_TABLES = frozenset({"_loads"})


def load_id(run_id: str, writer: str, stream: str, started: datetime) -> str:
    """The id of one stream's load in one run: UTC start to the second and 12 hex digits of run, writer and stream.

    `writer` is who makes the load: a tap by its name, or, for a foreign tap's load, the target's source folder.
    """
    digest = hashlib.sha256("\0".join((run_id, writer, stream)).encode()).hexdigest()[:12]
    return f"{started.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest}"


def load_of(file: str) -> str | None:
    """The id of the load that a file belongs to by its name (part, load document, manifest, plan, range), else None."""
    found = _OF_LOAD.fullmatch(file)
    return found[1] if found else None


def load_document(load_id: str) -> str:
    """`<load_id>.load.json`: the file beside the parts of a complete load."""
    return f"{load_id}.load.json"


def manifest(load_id: str) -> str:
    """`_manifests/<load_id>.json`, relative to the folder of the source."""
    return f"{MANIFESTS}/{load_id}.json"


def dead_letters(load_id: str) -> str:
    """`_dead_letters/<load_id>.jsonl`, relative to the folder of the source, or to the root of a tap's spool."""
    return f"{DEAD_LETTERS}/{load_id}.jsonl"


def folder(stream: str) -> str:
    """The stream's folder: every character outside `A-Z a-z 0-9 _ . -` percent-encoded; never starts with a dot.

    One that is longer than file systems take ends in `%2D` and 16 hex digits of the stream's SHA-256.
    """
    name = quote(stream, safe="_.-").replace("~", "%7E")
    name = "%2E" + name[1:] if name.startswith(".") else name
    if len(name) <= MOST_OF_FOLDER:
        return name
    end = "%2D" + hashlib.sha256(stream.encode()).hexdigest()[:16]  # no other folder has one: a minus is not encoded
    return re.sub(r"%[0-9A-F]?$", "", name[: MOST_OF_FOLDER - len(end)]) + end


class Part(NamedTuple):
    """The name of a part, taken apart; `sha256` are the first 12 hex digits."""

    load_id: str
    number: str
    sha256: str


def part_number(part: int, range_number: str = "") -> str:
    """The number of a load's or a range's part; `part` counts from 1.

    `0001`, `0002` of a load that is read in one go; `0007`, `0007.02`, `0007.03` of its range `0007`.
    """
    if not range_number:
        return f"{part:04d}"
    return range_number if part == 1 else f"{range_number}.{part:02d}"


def part_name(load_id: str, number: str, sha256: str) -> str:
    """`<load_id>-<number>-<first 12 of sha256>.parquet`; the number as `part_number` gives it."""
    return f"{load_id}-{number}-{sha256[:12]}.parquet"


def parse_part_name(file: str) -> Part | None:
    """The parts of a part's name; None for a file that is named otherwise."""
    found = _PART.fullmatch(file)
    return Part(found["load_id"], found["number"], found["sha256"]) if found else None


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
        raise NameRefused(
            f"{schema}.{table}: no usable name for the Delta table (would be {name!r})",
            action="deselect its stream, or rename it at the source",
        )
    return name


def refuse_collisions(tables: Iterable[tuple[str, str]]) -> None:
    """Raises NameRefused naming every Delta table that more than one (stream, table) would write."""
    streams: dict[str, list[str]] = defaultdict(list)
    for stream, table in tables:
        streams[table].append(stream)
    met = [f"{table}: {', '.join(names)}" for table, names in sorted(streams.items()) if len(names) > 1]
    if met:
        raise NameRefused("streams that would share one Delta table: " + "; ".join(met))


def column_name(name: str) -> str:
    """The Delta column of a source column: the same, but for characters that Delta refuses without column mapping."""
    return _NOT_IN_COLUMN.sub("_", name)


def row_number(columns: Iterable[str]) -> str:
    """The column of the parts that numbers a load's rows: `_row`, else `_row_1`, …, which meets none of the source's columns."""
    taken = {each.lower() for name in columns for each in (name, column_name(name))}
    number, name = 0, "_row"
    while name in taken:
        number += 1
        name = f"_row_{number}"
    return name


def column_names(stream: str, names: Iterable[str]) -> dict[str, str]:
    """Source column → Delta column. Raises NameRefused when two meet (Delta compares without case)."""
    result = {name: column_name(name) for name in names}
    seen: dict[str, str] = {}
    for name, column in result.items():
        other = seen.setdefault(column.lower(), name)
        if other != name:
            raise NameRefused(f"{stream}: columns {other!r} and {name!r} would be one Delta column {column!r}")
    return result
