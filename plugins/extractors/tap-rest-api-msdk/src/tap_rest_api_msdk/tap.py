"""The tap: configuration in, streams out."""

from __future__ import annotations

from typing import Any, ClassVar

from singer_sdk import Tap
from singer_sdk.contrib.msgspec import MsgSpecWriter

from singer_arrow.settings import json_schema
from tap_rest_api_msdk import config
from tap_rest_api_msdk.client import ApiClient
from tap_rest_api_msdk.settings import PROGRAM, Settings
from tap_rest_api_msdk.streams import RestStream


class TapRestApi(Tap):
    """Singer tap for REST APIs: typed records straight into Parquet parts, complete or not at all."""

    name = PROGRAM
    config_jsonschema: ClassVar[dict[str, Any]] = {"type": "object", "properties": json_schema(Settings)["properties"]}
    # discovery checks the configuration too
    dynamic_catalog = True
    # decimals as JSON numbers with all their digits
    message_writer_class = MsgSpecWriter

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Our own check, which tells every problem at once. Raises SettingsRefused."""
        self._model = config.parse(dict(self.config))
        return []

    def discover_streams(self) -> list[RestStream]:
        """The configured streams; no request is made."""
        model = self._model
        client = ApiClient(model.headers, model.timeout, model.patience)
        return [RestStream(self, stream, model, client) for stream in model.streams]
