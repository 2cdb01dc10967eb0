"""What the job publishes about the ledger (docs/contracts.md): bookmarks, loads, and what is committed."""

from __future__ import annotations

from typing import Any

import msgspec

from lakehouse.errors import ConvertError
from lakehouse.stage import Stage

FOLDER = "_published"
LOOK_BACK = 50  # documents that are opened in search of one for our target


class LoadResult(msgspec.Struct, frozen=True):
    """One load in Delta, or why it is not there. `equal` is None where figures were not compared."""

    load_id: str
    source: str
    stream: str
    table: str
    mode: str
    rows: int
    source_rows: int | None
    delta_rows: int | None
    status: str
    equal: bool | None
    problems: list[str] = []


class Published(msgspec.Struct, frozen=True):
    """One published document."""

    version: int
    published_at: str
    target: str
    order: str
    bookmarks: dict[str, dict[str, Any]]
    loads: list[LoadResult]
    committed: list[str]


def newest(stage: Stage, target: str, order: str | None = None) -> Published | None:
    """The newest document about `target`, of one order if given; None when nothing was published."""
    folders = sorted((name for name in stage.folders(FOLDER) if order is None or name.endswith(f"-{order}")), reverse=True)
    for folder in folders[:LOOK_BACK]:
        document = _read(stage, f"{FOLDER}/{folder}")
        if document and document.target == target:
            return document
    return None


def _read(stage: Stage, folder: str) -> Published | None:
    """A folder's document; None for a folder that a job died in."""
    files = [name for name, size in stage.sizes(folder).items() if size and not name.startswith((".", "_"))]
    if not files:
        return None
    text = stage.read(f"{folder}/{files[0]}")
    try:
        document = msgspec.json.decode(text, type=Published)
    except msgspec.MsgspecError as error:
        raise ConvertError(f"{stage.url}/{folder}: not a document this program knows: {error}") from None
    if document.version != 1:
        raise ConvertError(f"{stage.url}/{folder}: version {document.version}; this program knows version 1.")
    return document
