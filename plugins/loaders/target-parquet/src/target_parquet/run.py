"""The message loop: SCHEMA, RECORD, BATCH and STATE in, parts and manifests on disk, STATE out once they are durable."""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from singer_arrow import batch
from singer_arrow.documents import Manifest
from singer_arrow.errors import ArrowSingerError, Failure
from singer_arrow.start import importing
from target_parquet import loads, messages
from target_parquet.completeness import Hearing, Verdict
from target_parquet.errors import MessageRefused, SchemaMissing, TargetError
from target_parquet.loads import Load, PartsLoad
from target_parquet.messages import Message
from target_parquet.output_folder import OutputFolder
from target_parquet.settings import Settings

if TYPE_CHECKING:
    from target_parquet.records_load import RecordsLoad

log = logging.getLogger("target-parquet")
_HELD = 32 << 20  # bytes of lines that may wait in all loads together


class Run:
    """One run of the target: `open` holds the loads by stream; a finished one leaves it with its manifest durable.

    What a stream fails by is kept until the end: the other streams go on.
    """

    def __init__(self, settings: Settings, output: OutputFolder, states: TextIO) -> None:
        self._settings = settings
        self._output = output
        self._states = states
        self._run_id = os.environ.get("MELTANO_RUN_ID") or str(uuid.uuid4())
        self._schemas: dict[str, Message] = {}
        self._open: dict[str, PartsLoad | RecordsLoad] = {}
        self._done: set[str] = set()
        self._failed: dict[str, Failure] = {}
        self._hearing = Hearing()
        self._current: RecordsLoad | None = None  # the load of the newest RECORD, until something else comes
        self._held = 0
        self._state: dict[str, Any] | None = None
        self._by_type = {
            "SCHEMA": self._on_schema,
            "RECORD": self._on_record,
            "BATCH": self._on_batch,
            "STATE": self._on_state,
            "ACTIVATE_VERSION": self._on_version,
        }

    def consume(self, lines: messages.Input) -> None:
        """Reads messages to the end. Raises for what failed, when the loads that are complete are staged."""
        try:
            for chunk in messages.chunks(lines):
                for message in messages.of(chunk):
                    self._take(message)
                self._hold(len(chunk))
            self._finish(self._open.values())
            self._check_unused_schemas()
        except Exception as error:
            self._save()
            if isinstance(error, Failure) and self._done:
                error.keeping(f"Complete and staged: {', '.join(sorted(self._done))}; nothing else is")
            raise
        except BaseException:
            self._abandon(self._open.values())
            raise
        if self._failed:
            raise batch.failure([*self._failed.values()], len(self._failed) + len(self._done))
        self._write_state()

    def _take(self, message: Message) -> None:
        handler = self._by_type.get(message.type)
        if handler is None:
            raise MessageRefused(f"standard input has a message of the unknown type {message.type!r}")
        if message.stream not in self._failed:
            handler(message)

    def _known(self, message: Message) -> Message:
        """The SCHEMA of a RECORD's or BATCH's stream."""
        known = self._schemas.get(message.stream)
        if known is None:
            raise SchemaMissing(f"stream {message.stream}: a {message.type} came before its SCHEMA")
        if message.stream in self._done:
            raise MessageRefused(f"stream {message.stream}: a {message.type} came after its load was complete")
        return known

    def _on_schema(self, message: Message) -> None:
        stream = message.stream
        self._hearing.on_schema(stream, bool(message.bookmark_properties))
        known, load = self._schemas.get(stream), self._open.get(stream)
        self._schemas[stream] = message
        if load is None or isinstance(load, PartsLoad) or (known is not None and _is_same(known, message)):
            return
        try:
            load.declare(message)
        except (TargetError, ArrowSingerError) as error:
            self._fail(stream, error)

    def _check_unused_schemas(self) -> None:
        """Fails the streams of which a SCHEMA came that cannot be, and nothing else."""
        for stream in sorted(self._schemas.keys() - self._done - self._failed.keys()):
            try:
                _records_load().check(self._schemas[stream])
            except (TargetError, ArrowSingerError) as error:
                self._fail(stream, error)

    def _records(self, stream: str) -> RecordsLoad:
        load = self._open.get(stream)
        if load is None:
            testimony = self._hearing.of(stream)
            load = _records_load()(self._schemas[stream], testimony, self._output, self._settings, self._run_id)
            self._open[stream] = load
        if isinstance(load, PartsLoad):
            raise MessageRefused(f"stream {stream}: records and parts came in one load")
        return load

    def _on_record(self, message: Message) -> None:
        load = self._current
        if load is None or load.stream != message.stream:
            self._known(message)
            self._hearing.on_data(message.stream)
            try:
                load = self._current = self._records(message.stream)
            except (TargetError, ArrowSingerError) as error:
                self._fail(message.stream, error)
                return
        load.testimony.records += 1
        try:
            load.record(message.record)
        except (TargetError, ArrowSingerError) as error:
            self._fail(message.stream, error)

    def _on_batch(self, message: Message) -> None:
        self._current = None
        self._known(message)
        self._hearing.on_data(message.stream, by_batch=True).records += 1
        try:
            self._adopt(message)
        except (TargetError, ArrowSingerError) as error:
            self._fail(message.stream, error)

    def _adopt(self, message: Message) -> None:
        encoding = message.encoding or messages.Encoding()
        for uri in message.manifest or []:
            if encoding.format == "jsonl":
                self._records(message.stream).lines(loads.local_path(uri), encoding.compression)
            elif encoding.format == "parquet":
                self._on_parquet(message.stream, loads.local_path(uri))
            else:
                raise MessageRefused(
                    f"stream {message.stream}: a BATCH came in the format {encoding.format!r}",
                    action="let the tap write parquet or jsonl (batch_config.encoding.format)",
                )

    def _on_parquet(self, stream: str, path: Path) -> None:
        part = loads.named(path)
        if part is None:
            self._records(stream).parquet(path)
            return
        load = self._open.setdefault(stream, PartsLoad(stream, self._output))
        if not isinstance(load, PartsLoad):
            raise MessageRefused(f"stream {stream}: records and parts came in one load")
        load.take(part)

    def _on_version(self, message: Message) -> None:
        """Nothing to do: a full load overwrites its table anyway."""

    def _on_state(self, message: Message) -> None:
        self._current = None
        self._state = message.value
        self._hearing.on_state(message.value)
        self._finish([load for load in self._open.values() if load.is_complete()])
        if not self._open:
            self._write_state()

    def _hold(self, size: int) -> None:
        """Writes what waits once it is much, however wide the records are and however many streams are open."""
        self._held += size
        if self._held < _HELD:
            return
        self._held = 0
        for stream, load in list(self._open.items()):
            if not isinstance(load, PartsLoad):
                try:
                    load.flush() if load is self._current else load.rest()
                except (TargetError, ArrowSingerError) as error:
                    self._fail(stream, error)

    def _finish(self, complete: Iterable[PartsLoad | RecordsLoad]) -> None:
        for load in list(complete):
            try:
                self._stage(load)
            except (TargetError, ArrowSingerError) as error:
                self._fail(load.stream, error)

    def _stage(self, load: Load) -> None:
        bookmarks = self._state.get("bookmarks") if isinstance(self._state, dict) else None
        manifest = load.manifest(bookmarks.get(load.stream) or None if isinstance(bookmarks, dict) else None)
        self._output.publish(manifest)
        load.close()
        del self._open[load.stream]
        self._done.add(load.stream)
        message, figures = told(manifest)
        log.info("%s", message, extra={"stream": manifest.stream, "load": manifest.load_id, "figures": figures})

    def _fail(self, stream: str, error: Failure) -> None:
        self._failed[stream] = error
        self._current = None
        load = self._open.pop(stream, None)
        if load:
            load.abandon()

    def _save(self) -> None:
        """The input is broken: stages what the tap has said is complete, takes back the rest."""
        for load in list(self._open.values()):
            if not isinstance(load, PartsLoad) and load.testimony.verdict is Verdict.COMPLETE:
                try:
                    self._stage(load)
                except (TargetError, ArrowSingerError, OSError) as error:  # the broken input is what the run ends with
                    log.error("stream %s was complete, and could not be staged: %s", load.stream, error)
        self._abandon(self._open.values())

    @staticmethod
    def _abandon(incomplete: Iterable[Load]) -> None:
        for load in incomplete:
            load.abandon()

    def _write_state(self) -> None:
        if self._state is not None:
            self._states.write(json.dumps(_without_empty(self._state)) + "\n")
            self._states.flush()
            self._state = None


@cache
def _records_load() -> type[RecordsLoad]:
    """What takes records, imported when the first one comes: pyarrow comes with it."""
    with importing():
        from target_parquet.records_load import RecordsLoad

    return RecordsLoad


def told(manifest: Manifest) -> tuple[str, dict[str, Any]]:
    """What is said of a stream that is staged: a line for people, and its figures (bytes, seconds, rows per second)."""
    seconds = (datetime.fromisoformat(manifest.ended_at) - datetime.fromisoformat(manifest.started_at)).total_seconds()
    size, rows = sum(file.bytes for file in manifest.files), manifest.rows
    speed = round(rows / seconds) if seconds > 0 else None
    name = f"{manifest.source}/{manifest.stream}"
    line = f"{name:<40} {rows:>11,} rows {size / 1e6:>7,.1f} MB {seconds:>6,.1f} s"
    figures = {"rows": rows, "bytes": size, "seconds": round(seconds, 3), "rows_per_second": speed, "files": len(manifest.files)}
    return line + ("" if speed is None else f" {speed:>9,} rows/s"), {**figures, "mode": manifest.mode}


def _is_same(one: Message, other: Message) -> bool:
    """Whether two SCHEMAs are the same byte by byte: taps repeat them for each parent's children."""
    return bytes(one.schema) == bytes(other.schema) and one.key_properties == other.key_properties


def _without_empty(state: Any) -> Any:
    """A state without the empty bookmarks of streams that are read whole.

    Taps of singer-sdk 0.50 and later send a STATE only where it is not the one they began with: with such a bookmark in it, they
    would not tell the end of the stream any more.
    """
    bookmarks = state.get("bookmarks") if isinstance(state, dict) else None
    if not isinstance(bookmarks, dict):
        return state
    return {**state, "bookmarks": {stream: value for stream, value in bookmarks.items() if value != {}}}
