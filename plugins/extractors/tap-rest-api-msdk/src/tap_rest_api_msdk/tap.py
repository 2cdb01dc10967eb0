"""The tap: configuration in, streams out."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

from singer_arrow import exits
from singer_arrow.settings import json_schema
from tap_rest_api_msdk import config, connect, stream_choice
from tap_rest_api_msdk.late_sdk import Message, MsgSpecWriter, RecordMessage, Stream, Tap, serialize_jsonl
from tap_rest_api_msdk.reading import sample
from tap_rest_api_msdk.reading.families import Families
from tap_rest_api_msdk.settings import PROGRAM, Settings
from tap_rest_api_msdk.streams import RestStream


class Writer(MsgSpecWriter):
    """Writes decimals as JSON numbers with all their digits; RECORDs wait for the message behind them, or a full buffer."""

    def write_message(self, message: Message) -> None:
        """Writes a message to standard output."""
        if isinstance(message, RecordMessage):
            sys.stdout.buffer.write(serialize_jsonl(message.to_dict()))
        else:
            super().write_message(message)


class TapRestApi(Tap):
    """Singer tap for REST APIs: typed records straight into Parquet parts, complete or not at all."""

    name = PROGRAM
    config_jsonschema: ClassVar[dict[str, Any]] = {"type": "object", "properties": json_schema(Settings)["properties"]}
    # discovery checks the configuration too
    dynamic_catalog = True
    message_writer_class = Writer

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Our own check, which tells every problem at once. Raises SettingsRefused."""
        self._model = config.parse(dict(self.config))
        return []

    def _setup_signal_handlers(self) -> None:
        """Ours end the program with a code of their own; the SDK's would end it with 0, as if it were complete."""
        exits.on_signals(PROGRAM)

    def discover_streams(self) -> list[RestStream]:
        """The configured streams; requests are made only for schemas that are neither declared nor in the catalog."""
        model, client = self._model, connect.client(self._model)
        entries = {name: entry.to_dict() for name, entry in (self.input_catalog or {}).items()}
        known = [stream_choice.known(stream, entries.get(stream.name)) for stream in model.streams]
        families = Families(model.streams, model.settings.max_children)
        return [RestStream(self, sample.completed(stream, model, client), model, client, families) for stream in known]

    @property
    def streams(self) -> dict[str, Stream]:
        """The streams in the order of the configuration, where parents are listed before their children."""
        found = super().streams
        return {stream.name: found[stream.name] for stream in self._model.streams}
