"""The target's settings: a superset of the published target-parquet's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from target_parquet.errors import SettingsRefused


class Settings(BaseModel):
    """Checked before the first message is read. Sizes are in rows."""

    model_config = ConfigDict(extra="forbid")

    destination_path: Path = Field(description="Folder of this source's parts and manifests.", examples=["output/docker_elt/api"])
    source: str = Field("", description="The source's name in manifests; the destination's last folder unless set.")
    file_size: int = Field(1_000_000, gt=0, description="Most rows in one part that is written from records.")
    max_batch_size: int = Field(10_000, gt=0, description="Records turned into Arrow at a time.")
    compression_method: Literal["zstd"] = Field("zstd", description="Parts are zstd, always.")
    streams_in_separate_folder: Literal[True] = Field(True, description="Each stream has its folder, always.")
    extra_fields: Literal["refuse", "ignore"] = Field("refuse", description="What to do with fields the schema lacks.")
    add_record_metadata: Literal[False] = Field(False, description="No columns are added to a stream.")
    disable_collection: bool = Field(True, description="Accepted for the published plugin's sake; nothing is ever collected.")
    logging_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")

    @field_validator("destination_path")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @property
    def source_name(self) -> str:
        """The source's name in manifests."""
        return self.source or self.destination_path.name


def parse(config: dict[str, Any]) -> Settings:
    """Checks a configuration. Raises SettingsRefused naming every wrong setting; unset ones take their default."""
    given = {name: value for name, value in config.items() if value not in (None, "")}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        problems = [f"  {'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors(include_input=False)]
        raise SettingsRefused("target-parquet's configuration has problems:\n" + "\n".join(problems)) from None


def read(path: Path | None) -> Settings:
    """Reads and checks a configuration file."""
    if path is None:
        return parse({})
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SettingsRefused(f"target-parquet cannot read its configuration {path}: {error}") from None
    return parse(config)
