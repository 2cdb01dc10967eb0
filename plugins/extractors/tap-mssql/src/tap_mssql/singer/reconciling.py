"""`tap-mssql --reconcile FILE` and `--repair FILE`: what the tables hold now, and the ranges read again that differ in Delta."""

from __future__ import annotations

import difflib
import logging
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from singer_arrow import batch, documents
from singer_arrow.batch import Message
from singer_arrow.documents import KeyRange, Reconciliation, SourceFigures
from singer_arrow.errors import Failure, SelectionRefused
from tap_mssql.plan import key_ranges, stream_choice
from tap_mssql.plan.stream_choice import StreamChoice
from tap_mssql.plan.table_request import TableRequest
from tap_mssql.reconcile import ask as asking
from tap_mssql.singer import batch_output
from tap_mssql.singer.run import Run

log = logging.getLogger("tap-mssql")


def ask(run: Run, choices: Sequence[StreamChoice], file: Path, only: Sequence[str]) -> None:
    """Writes the figures of the streams, or of some of them, into a file. Raises SelectionRefused for one that is not there."""
    known = [c.stream for c in choices]
    for name in only:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise SelectionRefused(
                f"stream {name} is not one of those that are selected" + (f"; the nearest is {near[0]}" if near else ""),
                action="entrypoint.sh plan lists them",
            )
    documents.write(file, figures(run, [c for c in choices if not only or c.stream in only]))


def figures(run: Run, choices: Sequence[StreamChoice]) -> SourceFigures:
    """What the streams' tables hold now, range by range; one that a run would refuse has its `problem`, and stops no other."""
    refused = stream_choice.check(choices, run.settings)
    found = asking.ask([c.request({}) for c in choices if c.stream not in refused], run.settings, run.isolation)
    unknown = [asking.unknown(stream, str(error)) for stream, error in refused.items()]
    return msgspec.structs.replace(found, tables=[*found.tables, *unknown])


def repair(run: Run, choices: Sequence[StreamChoice], file: Path, write: Callable[[Message], None]) -> None:
    """Reads the differing ranges again; each stream's messages are written when its load is complete.

    No state goes along: a repair leaves the bookmark where it is. Raises what ended a stream, after the others' messages.
    """
    requests = list(_requests({c.stream: c for c in choices}, _read(file)))
    failed: list[Failure] = []
    if requests:
        with run.reading_requests(requests) as scheduler:
            for load in scheduler.ended():
                if load.error is not None:
                    failed.append(load.error)
                    continue
                for message in batch_output.messages(load, {}):
                    write(message)
                write({"type": "STATE", "value": {"bookmarks": {}}})
    if failed:
        raise batch.failure(failed, len(requests))


def _read(file: Path) -> Reconciliation:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Reconciliation)
    except msgspec.MsgspecError as error:
        raise SelectionRefused(f"{file} does not say what differs: {error}", action="run entrypoint.sh repair again") from None


def _requests(choices: dict[str, StreamChoice], found: Reconciliation) -> Iterator[TableRequest]:
    """A request per stream that differs and has a key to be repaired by; the others are named in the log."""
    for table in found.tables:
        if not table.differing:
            continue
        if table.stream not in choices or not table.key_columns or table.mode == "append":
            log.warning(
                "stream %s differs and has no key to repair it by: it is read whole by entrypoint.sh refresh %s",
                table.stream, shlex.quote(table.stream),
            )  # fmt: skip
            continue
        request, ranges = choices[table.stream].request({}), [each.range for each in table.differing]
        column = key_ranges.cutting_column(request.table, request.key)
        if list(request.key) != table.key_columns or (column is None and ranges != [KeyRange()]):
            raise SelectionRefused(
                f"stream {table.stream}: its key or its indexes changed since {found.reconciled_at}",
                action="run entrypoint.sh repair again",
            )
        yield request.repairing(ranges)
