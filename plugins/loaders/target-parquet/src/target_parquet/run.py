"""The message loop: SCHEMA, RECORD, BATCH and STATE in, parts and manifests on disk, STATE out once they are durable."""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Iterable
from typing import Any, TextIO

from target_parquet import loads
from target_parquet.errors import MessageRefused
from target_parquet.loads import Load, PartsLoad, RecordsLoad
from target_parquet.messages import Message, decode
from target_parquet.output_folder import OutputFolder
from target_parquet.settings import Settings

log = logging.getLogger("target-parquet")


class Run:
    """One run of the target: `open` holds the loads by stream; a finished one leaves it with its manifest durable."""

    def __init__(self, settings: Settings, output: OutputFolder, states: TextIO) -> None:
        self._settings = settings
        self._output = output
        self._states = states
        self._run_id = os.environ.get("MELTANO_RUN_ID") or str(uuid.uuid4())
        self._schemas: dict[str, Message] = {}
        self._open: dict[str, Load] = {}
        self._done: set[str] = set()
        self._state: dict[str, Any] | None = None
        self._by_type = {
            "SCHEMA": self._on_schema,
            "RECORD": self._on_record,
            "BATCH": self._on_batch,
            "STATE": self._on_state,
            "ACTIVATE_VERSION": self._on_version,
        }

    def consume(self, lines: Iterable[bytes]) -> None:
        """Reads messages to the end; on any error takes back what is incomplete, and raises."""
        try:
            for line in lines:
                if line.strip():
                    self._take(decode(line))
            self._finish(list(self._open.values()))
            self._write_state()
        except BaseException:
            for load in self._open.values():
                load.abandon()
            raise

    def _take(self, message: Message) -> None:
        handler = self._by_type.get(message.type)
        if handler is None:
            raise MessageRefused(f"standard input has a message of the unknown type {message.type!r}")
        if message.type in ("RECORD", "BATCH"):
            if message.stream not in self._schemas:
                raise MessageRefused(f"stream {message.stream}: a {message.type} came before its SCHEMA")
            if message.stream in self._done:
                raise MessageRefused(f"stream {message.stream}: a {message.type} came after its load was complete")
        handler(message)

    def _on_schema(self, message: Message) -> None:
        known = self._schemas.setdefault(message.stream, message)
        if bytes(known.schema) != bytes(message.schema) and json.loads(known.schema) != json.loads(message.schema):
            raise MessageRefused(f"stream {message.stream}: its SCHEMA changed during the run", action="run again")

    def _records(self, stream: str) -> RecordsLoad:
        load = self._open.get(stream)
        if load is None:
            load = self._open[stream] = RecordsLoad(self._schemas[stream], self._output, self._settings, self._run_id)
        if not isinstance(load, RecordsLoad):
            raise MessageRefused(f"stream {stream}: records and parts came in one load")
        return load

    def _on_record(self, message: Message) -> None:
        self._records(message.stream).record(message.record)

    def _on_batch(self, message: Message) -> None:
        encoding = message.encoding.format if message.encoding else ""
        for uri in message.manifest or []:
            if encoding == "jsonl":
                assert message.encoding is not None
                self._records(message.stream).lines(loads.local_path(uri), message.encoding.compression)
            elif encoding == "parquet":
                self._on_parquet(message.stream, uri)
            else:
                raise MessageRefused(
                    f"stream {message.stream}: a BATCH came in the format {encoding!r}",
                    action="let the tap write parquet or jsonl (batch_config.encoding.format)",
                )

    def _on_parquet(self, stream: str, uri: str) -> None:
        part = loads.checked(uri)
        if part.load_id is None:
            self._records(stream).parquet(part)
            return
        load = self._open.setdefault(stream, PartsLoad(stream, self._output))
        if not isinstance(load, PartsLoad):
            raise MessageRefused(f"stream {stream}: records and parts came in one load")
        load.take(part)

    def _on_version(self, message: Message) -> None:
        """Nothing to do: a full load overwrites its table anyway."""

    def _on_state(self, message: Message) -> None:
        self._state = message.value
        self._finish([load for load in self._open.values() if load.is_complete()])
        if not self._open:
            self._write_state()

    def _finish(self, complete: list[Load]) -> None:
        bookmarks = (self._state or {}).get("bookmarks", {})
        for load in complete:
            manifest = load.manifest(bookmarks.get(load.stream))
            self._output.publish(manifest)
            load.close()
            del self._open[load.stream]
            self._done.add(load.stream)
            log.info("staged %s: %d rows, %d files, %s", load.stream, manifest.rows, len(manifest.files), manifest.mode)

    def _write_state(self) -> None:
        if self._state is not None:
            self._states.write(json.dumps(self._state) + "\n")
            self._states.flush()
            self._state = None
