"""The target's settings: a superset of the published target-parquet's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from singer_arrow.settings import checked
from target_parquet.errors import SettingsRefused


class Settings(msgspec.Struct, kw_only=True, frozen=True):
    """Checked before the first message is read. Sizes are in rows."""

    destination_path: Annotated[
        Path, Meta(description="Folder of this source's parts and manifests.", examples=["output/docker_elt/api"])
    ]
    source: Annotated[str, Meta(description="The source's name in manifests; the destination's last folder unless set.")] = ""
    file_size: Annotated[int, Meta(gt=0, description="Most rows in one part that is written from records.")] = 1_000_000
    max_batch_size: Annotated[int, Meta(gt=0, description="Records turned into Arrow at a time.")] = 10_000
    compression_method: Annotated[Literal["zstd"], Meta(description="Parts are zstd, always.")] = "zstd"
    streams_in_separate_folder: Annotated[bool, Meta(description="Each stream has its folder, always: true.")] = True
    extra_fields: Annotated[Literal["refuse", "ignore"], Meta(description="What to do with fields the schema lacks.")] = "refuse"
    add_record_metadata: Annotated[bool, Meta(description="No columns are added to a stream: false.")] = False
    disable_collection: Annotated[
        bool, Meta(description="Accepted for the published plugin's sake; nothing is ever collected.")
    ] = True
    logging_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Meta(description="Least level that is logged.")] = (
        "INFO"
    )

    @property
    def source_name(self) -> str:
        """The source's name in manifests."""
        return self.source or self.destination_path.name


_ALWAYS = {"streams_in_separate_folder": True, "add_record_metadata": False}


def parse(config: dict[str, Any]) -> Settings:
    """Checks a configuration. Raises SettingsRefused naming every wrong setting; unset ones take their default."""
    given = {name: value for name, value in config.items() if value not in (None, "")}
    settings, problems = checked(Settings, given, _ALWAYS)
    if settings is None:
        lines = [f"  {name}: {what}" for name, what in problems]
        raise SettingsRefused("target-parquet's configuration has problems:\n" + "\n".join(lines))
    return msgspec.structs.replace(settings, destination_path=settings.destination_path.expanduser().absolute())


def read(path: Path | None) -> Settings:
    """Reads and checks a configuration file."""
    if path is None:
        return parse({})
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SettingsRefused(f"target-parquet cannot read its configuration {path}: {error}") from None
    return parse(config)
