"""The tap: configuration in, streams out."""

from __future__ import annotations

from typing import Any

from singer_sdk import Tap
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.plugin_base import JSONSchemaValidator

from tap_rest_api_msdk.client import ApiClient
from tap_rest_api_msdk.config import TapConfig, problems_and_config
from tap_rest_api_msdk.errors import ConfigRefused
from tap_rest_api_msdk.settings import CONFIG
from tap_rest_api_msdk.streams import RestStream


class TapRestApi(Tap):
    """Singer tap for REST APIs: typed records straight into Parquet parts, complete or not at all."""

    name = "tap-rest-api-msdk"
    config_jsonschema = CONFIG
    # discovery checks the configuration too
    dynamic_catalog = True
    # decimals as JSON numbers with all their digits
    message_writer_class = MsgSpecWriter

    _model: TapConfig

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """All problems of the configuration by setting, without the values of secrets. Raises ConfigRefused."""
        self.append_builtin_config(self.config_jsonschema)
        wrong = [
            f"{_place(error.absolute_path)}: {_expected(error)}"
            for error in JSONSchemaValidator(self.config_jsonschema).iter_errors(self._config)
        ]
        known = self.config_jsonschema["properties"]
        problems = wrong + [f"{name}: no such setting" for name in self._config if name not in known]
        # a value of the wrong type would trip the checks that follow
        if not wrong:
            more, model = problems_and_config(self._config)
            problems += more
            if model:
                self._model = model
        if problems:
            raise ConfigRefused("\n  ".join(["configuration refused:", *problems]))
        return []

    def discover_streams(self) -> list[RestStream]:
        """The configured streams; no request is made."""
        model = self._model
        client = ApiClient(model.headers, model.timeout, model.patience)
        return [RestStream(self, stream, model.api_url, client, model.extra_fields) for stream in model.streams]


def _place(path: Any) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "configuration"


def _expected(error: Any) -> str:
    if error.validator == "type":
        kinds = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
        return "must be of type " + " or ".join(kind for kind in kinds if kind != "null")
    if error.validator == "required":
        return "missing: " + ", ".join(name for name in error.validator_value if name not in error.instance)
    return f"is not what {error.validator} allows"
