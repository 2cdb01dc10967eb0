"""A tap's run with BATCH output, without the SDK: what it is called with, where parts go, the messages of a complete load."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from singer_arrow.errors import Failure, NameRefused, SelectionRefused, SomeFailed

Message = dict[str, Any]
State = dict[str, Any]

_ENCODING = {"format": "parquet", "compression": "zstd"}
_IN_PROGRESS = ("progress_markers", "replication_key_signpost", "starting_replication_value")  # the SDK's own
_OF_THE_SDK = ("stream_maps", "flattening_enabled")  # what the SDK adds to a tap's output; then it is the SDK's to do


class Command(Struct):
    """What a tap was asked for: its configuration, a catalog and a state where given; `discover` wants the catalog only."""

    config: dict[str, Any]
    catalog: dict[str, Any] | None
    state: State
    discover: bool


def command(arguments: Sequence[str]) -> Command | None:
    """`--config FILE [--discover] [--catalog FILE] [--state FILE]` for BATCH output; None for anything else: the SDK's to do."""
    rest = [each for each in arguments if each != "--discover"]
    names = rest[::2]
    if len(rest) % 2 or not {"--config"} <= {*names} <= {"--config", "--catalog", "--state"} or len({*names}) < len(names):
        return None
    files = {}
    for name, path in zip(names, rest[1::2], strict=True):
        try:
            files[name] = json.loads(Path(path).read_text())
        except (OSError, ValueError):
            return None
    config = files["--config"]
    if not isinstance(config, dict) or not config.get("batch_config") or any(config.get(name) for name in _OF_THE_SDK):
        return None
    return Command(config, files.get("--catalog"), dict(files.get("--state") or {}), len(rest) < len(arguments))


def given(arguments: Sequence[str], option: str) -> dict[str, Any] | None:
    """The JSON of the file behind an option; None where it is not given. Raises OSError, ValueError."""
    if option not in arguments[:-1]:
        return None
    return dict(json.loads(Path(arguments[arguments.index(option) + 1]).read_text() or "{}"))


def folder(batch_config: Mapping[str, Any]) -> Path:
    """The folder of batch_config. Raises SelectionRefused for one that is no local folder."""
    storage = batch_config.get("storage") or {}
    root = urlsplit(str(storage.get("root") or ""))
    if root.scheme not in ("", "file") or not root.path:
        raise SelectionRefused(
            f"batch_config.storage.root is {storage.get('root')}, which is not a folder of this machine",
            action="set it to a file:// URL, such as file:///project/output",
        )
    return Path(unquote(root.path), storage.get("prefix") or "")


def bookmarks(state: State) -> dict[str, dict[str, Any]]:
    """The bookmarks of a state by stream, without what the SDK left there of a run that did not end."""
    found: dict[str, dict[str, Any]] = state.setdefault("bookmarks", {})
    for bookmark in found.values():
        for name in _IN_PROGRESS:
            bookmark.pop(name, None)
    return found


def messages(
    stream: str, schema: Mapping[str, Any], key: Iterable[str], replication_key: str | None, parts: Iterable[Path]
) -> list[Message]:
    """SCHEMA and BATCH of a complete load."""
    described: Message = {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": list(key)}
    if replication_key:
        described["bookmark_properties"] = [replication_key]
    manifest = [part.absolute().as_uri() for part in parts]
    return [described, {"type": "BATCH", "stream": stream, "encoding": _ENCODING, "manifest": manifest}]


def write(message: Mapping[str, Any]) -> None:
    """A line of standard output."""
    sys.stdout.write(json.dumps(message, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def failure(errors: Sequence[Failure], streams: int, others: str = "complete and staged") -> Failure:
    """What to raise for the streams that failed: one error that names them, and what is safe.

    `others` is what those are that did not. The error is a SelectionRefused where all streams were refused:
    then nothing was read.
    """
    if streams == 1:
        return errors[0]
    lines = "".join(f"\n  {error}" for error in dict.fromkeys(errors))  # two streams that would be one table have one error
    if len(errors) == streams and all(isinstance(error, SelectionRefused | NameRefused) for error in errors):
        return SelectionRefused(f"all {streams} streams were refused:{lines}", action="solve these problems, and run again")
    left = streams - len(errors)
    safe = f"The other {'one is' if left == 1 else f'{left} are'} {others}" if left else "Nothing is staged"
    return SomeFailed(
        f"{len(errors)} of {streams} streams failed:{lines}", safe=safe, action="solve these problems, and run again"
    )
