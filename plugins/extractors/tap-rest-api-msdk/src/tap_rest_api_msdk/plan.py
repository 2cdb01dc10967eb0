"""`tap-rest-api-msdk --plan`: what a run would read and how; of each stream the first page is asked for, and no more."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from singer_arrow import batch
from singer_arrow.errors import Failure
from tap_rest_api_msdk import config, connect, stream_choice
from tap_rest_api_msdk.config import Paging, TapConfig
from tap_rest_api_msdk.errors import ApiUnavailable, CredentialsRefused
from tap_rest_api_msdk.reading import sample
from tap_rest_api_msdk.reading.children import ALONE
from tap_rest_api_msdk.reading.stream_reader import StreamReader

HEADS = ("stream", "mode", "from", "pages by", "pages", "records")


class Step(Struct, frozen=True):
    """One stream. `records` is the API's total of what the load asks for, `pages` what follows from it; None where not known.

    `bookmark`: what the load reads from, None for everything. `problem` says why it could not be looked at.
    """

    stream: str
    mode: str | None
    key: list[str]
    replication_key: str | None
    bookmark: str | None
    pages_by: str
    pages: int | None
    records: int | None
    warnings: list[str]
    problem: str = ""


def main(arguments: Sequence[str]) -> int:
    """Prints the steps, as a table or with `--json`. Returns 0, or 3 where a stream could not be looked at."""
    wanted, catalog, state = (batch.given(arguments, option) for option in ("--config", "--catalog", "--state"))
    steps = list(plan(config.parse(wanted or {}), catalog, batch.bookmarks(state or {})))
    sys.stdout.write(as_json(steps) if "--json" in arguments else as_table(steps))
    sys.stdout.flush()
    return 3 if any(each.problem for each in steps) else 0


def plan(given: TapConfig, catalog: Mapping[str, Any] | None, bookmarks: Mapping[str, Any]) -> Iterator[Step]:
    """A step for each selected stream. An API that does not let us in is told once, of its first stream."""
    client = connect.client(given)
    closed = ""
    for stream, entry in stream_choice.selected(given.streams, catalog):
        choice = stream_choice.choose(stream_choice.known(stream, entry), entry)
        key = choice.replication_key if choice.is_incremental else None
        told = (stream.name, list(choice.key), key, by(stream.paging))
        if stream.parent:
            yield step(*told, warnings=[f"is read for each record of {stream.parent}"])
            continue
        if closed:
            yield step(*told, problem=closed)
            continue
        try:
            completed = sample.completed(stream_choice.known(stream, entry), given, client)
            choice = stream_choice.choose(completed, entry)
            stream_choice.check(choice)
            found = StreamReader(choice, given, client, ALONE).look(bookmarks.get(stream.name) or {})
        except Failure as error:
            closed = "as the stream before" if isinstance(error, CredentialsRefused | ApiUnavailable) else ""
            yield step(*told, problem=f"{error.what}; {error.action}" if error.action else error.what)
            continue
        size = stream.paging.size or found.on_first_page
        warnings = [*([] if choice.key else ["has no primary_keys: gaps between pages cannot be excluded"]), *found.notes]
        yield Step(
            stream=stream.name,
            mode=found.mode,
            key=list(choice.key),
            replication_key=key,
            bookmark=found.start,
            pages_by=by(stream.paging),
            pages=None if found.total is None else max(1, -(-found.total // size)) if size else 1,
            records=found.total,
            warnings=warnings,
        )


def step(
    stream: str, key: list[str], replication_key: str | None, pages_by: str, warnings: Sequence[str] = (), problem: str = ""
) -> Step:
    """A stream that was not looked at."""
    return Step(stream, None, key, replication_key, None, pages_by, None, None, list(warnings), problem)


def by(paging: Paging) -> str:
    """How pages are asked for, for people: the published tap's name of the style, and their size."""
    style = paging.style.removesuffix("_paginator")
    return f"{style}, {paging.size:,} a page" if paging.size else style


def as_json(steps: Sequence[Step]) -> str:
    """For programs: a list of objects with the fields of Step."""
    return json.dumps([asdict(each) for each in steps], ensure_ascii=False, indent=2) + "\n"


def as_table(steps: Sequence[Step]) -> str:
    """For people: a row per stream, then warnings and problems."""
    rows = [
        HEADS,
        *((s.stream, s.mode or "?", s.bookmark or "-", s.pages_by, _number(s.pages), _number(s.records)) for s in steps),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    lines = [
        "  ".join(_placed(text, width, at) for at, (text, width) in enumerate(zip(row, widths, strict=True))) for row in rows
    ]
    more = [f"{s.stream}: {text}" for s in steps for text in (*s.warnings, *([s.problem] if s.problem else []))]
    lines += ["", "Warnings", *more] if more else []
    return "".join(f"{line.rstrip()}\n" for line in [*lines, "", "Records are the API's own totals of what a load asks for."])


def _placed(text: str, width: int, column: int) -> str:
    return f"{text:>{width}}" if column > 3 else f"{text:<{width}}"


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"
