"""The target's settings: a superset of the published target-parquet's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from singer_arrow import settings
from singer_arrow.errors import SettingsRefused

PROGRAM = "target-parquet"
_DRIFT = {"refuse": "freeze", "ignore": "discard_value"}  # of extra_fields


class Settings(settings.Settings, kw_only=True, frozen=True):
    """Checked before the first message is read. Sizes are in rows."""

    fixed: ClassVar[Mapping[str, bool]] = {"streams_in_separate_folder": True, "add_record_metadata": False}

    destination_path: Annotated[
        Path,
        Meta(description="Folder for this source's parts and manifests.", examples=["output/docker_elt/api"]),
    ]
    source: Annotated[
        str,
        Meta(description="Name of the source in manifests; the last folder of `destination_path` unless set.", examples=["api"]),
    ] = ""
    default_schema: Annotated[
        str,
        Meta(
            description="First part of the Delta table's name for streams of other taps; what stands before the first dash of "
            "the stream's name unless set.",
            examples=["api"],
        ),
    ] = ""
    file_size: Annotated[int, Meta(gt=0, description="Most rows in one part that is written from records.")] = 1_000_000
    max_batch_size: Annotated[int, Meta(gt=0, description="Records converted to Arrow at a time.")] = 10_000
    compression_method: Annotated[Literal["zstd"], Meta(description="Parts are always zstd.")] = "zstd"
    streams_in_separate_folder: Annotated[bool, Meta(description="Each stream always has its own folder: true.")] = True
    on_schema_drift: Annotated[
        Literal["freeze", "evolve", "discard_value", "discard_row"],
        Meta(
            description="What becomes of RECORDs with fields that the schema does not declare: they are dead letters (freeze), a "
            "column is added (evolve), the field is left out (discard_value), or the record (discard_row)."
        ),
    ] = "freeze"
    extra_fields: Annotated[
        Literal["refuse", "ignore"] | None,
        Meta(description="The older name: `refuse` is `on_schema_drift: freeze`, `ignore` is `discard_value`."),
    ] = None
    max_dead_letters: Annotated[
        int,
        Meta(ge=0, description="Most RECORDs of a stream that may not fit its schema: they are put aside."),
    ] = 0
    complete_without_state: Annotated[
        bool,
        Meta(
            description="Stages streams of which the tap has not said, by a STATE, that they are complete. Then completeness "
            "rests on the tap's exit code, which a target does not see."
        ),
    ] = False
    add_record_metadata: Annotated[bool, Meta(description="No columns are added to a stream: false.")] = False
    disable_collection: Annotated[
        bool, Meta(description="Accepted for compatibility with the published plugin; no usage data is ever collected.")
    ] = True
    logging_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Meta(description="Lowest level that is logged.")] = (
        "INFO"
    )

    @classmethod
    def prepared(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """`extra_fields` as `on_schema_drift`, where only the older name is given."""
        drift = _DRIFT.get(str(config.get("extra_fields")))
        return config if drift is None or config.get("on_schema_drift") else {**config, "on_schema_drift": drift}

    @classmethod
    def contradictions(cls, values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """The older name and the newer one, and they do not say the same."""
        older = values.get("extra_fields")
        if older and values.get("on_schema_drift") != _DRIFT[older]:
            yield "extra_fields", f"is {older}, which contradicts on_schema_drift; leave it out"

    @property
    def source_name(self) -> str:
        """The source's name in manifests."""
        return self.source or self.destination_path.name


def parse(config: Mapping[str, Any]) -> Settings:
    """Checks a configuration. Raises SettingsRefused with every problem; unset settings take their default."""
    checked = Settings.parse(config, PROGRAM)
    return msgspec.structs.replace(checked, destination_path=checked.destination_path.expanduser().absolute())


def read(path: Path | None) -> Settings:
    """Reads and checks a configuration file. Raises SettingsRefused."""
    try:
        config = json.loads(path.read_text()) if path else {}
    except (OSError, ValueError) as error:
        raise SettingsRefused(PROGRAM, [f"the file {path} cannot be read: {error}"]) from None
    return parse(config)
