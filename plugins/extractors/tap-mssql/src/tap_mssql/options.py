"""What `stream_options` may say about the streams a pattern names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _as_text(value: Any) -> Any:
    """A YAML number or date as the text one would have written; a boolean is left to be refused."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        return repr(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def _as_list(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _as_method(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_as_text), Field(min_length=1)]
Name = Annotated[str, Field(min_length=1)]


INCREMENTAL_ONLY = ("replication_key", "lookback", "start_value", "end_value")


class StreamOptions(BaseModel):
    """Options of the streams of one pattern. `lookback` is in seconds for a key that is a date or time, else in its own units."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    replication_method: Annotated[Literal["FULL_TABLE", "INCREMENTAL"], BeforeValidator(_as_method)] | None = Field(
        None, description="Whole table each time, or only what its replication key says is new."
    )
    replication_key: Name | None = Field(None, description="Column whose values only grow; makes the stream INCREMENTAL.")
    key: Annotated[tuple[Name, ...], BeforeValidator(_as_list), Field(min_length=1)] | None = Field(
        None, description="Columns that identify a row, where the table has no key of its own."
    )
    lookback: int = Field(0, ge=0, description="How far below the bookmark an incremental load starts again.")
    start_value: Text | None = Field(
        None, description="Backfill: only rows with a replication key from this value on; the bookmark stays where it is."
    )
    end_value: Text | None = Field(None, description="Backfill: only rows with a replication key up to this value.")

    @model_validator(mode="after")
    def _sensible(self) -> StreamOptions:
        if self.key and len({name.lower() for name in self.key}) < len(self.key):
            raise ValueError("key: names a column twice")
        if self.replication_method == "FULL_TABLE":
            given = [name for name in INCREMENTAL_ONLY if getattr(self, name)]
            if given:
                raise ValueError(f"{', '.join(given)}: only for replication_method INCREMENTAL")
        return self


def merged(options: Iterable[StreamOptions]) -> StreamOptions:
    """One over the other, the last one on top; a FULL_TABLE takes away what the ones below it say about replication keys."""
    found: dict[str, Any] = {}
    for each in options:
        if each.replication_method == "FULL_TABLE":
            found = {name: value for name, value in found.items() if name not in INCREMENTAL_ONLY}
        elif each.replication_key:
            found.pop("replication_method", None)
        found |= each.model_dump(exclude_unset=True)
    return StreamOptions.model_validate(found)
