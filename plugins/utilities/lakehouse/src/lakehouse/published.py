"""What the job publishes about the ledger (docs/contracts.md): bookmarks, loads, and what is committed."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from lakehouse.errors import ConvertError
from lakehouse.stages.base import Stage
from singer_arrow.documents import VERSION, DeltaFigures, PublishedDocument

FOLDER = "_published"
FIGURES = "_figures"
Document = TypeVar("Document", PublishedDocument, DeltaFigures)
LOOK_BACK = 50  # documents that are opened in search of one for our target


def newest(stage: Stage, target: str, order: str | None = None) -> PublishedDocument | None:
    """The newest document about `target`, of one order if given; None when nothing was published."""
    folders = sorted((name for name in stage.folders(FOLDER) if order is None or name.endswith(f"-{order}")), reverse=True)
    for folder in folders[:LOOK_BACK]:
        document = _read(stage, f"{FOLDER}/{folder}", PublishedDocument)
        if document and document.target == target:
            return document
    return None


def figures(stage: Stage, order: str) -> DeltaFigures | None:
    """The figures that the job told for an order; None where it told none."""
    for folder in stage.folders(FIGURES):
        if folder.endswith(f"-{order}"):
            return _read(stage, f"{FIGURES}/{folder}", DeltaFigures)
    return None


def _read(stage: Stage, folder: str, kind: type[Document]) -> Document | None:
    """A folder's document; None for a folder that a job died in."""
    files = [name for name, size in stage.sizes(folder).items() if size and not name.startswith((".", "_"))]
    if not files:
        return None
    text = stage.read(f"{folder}/{files[0]}")
    try:
        document = msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        raise ConvertError(
            f"{stage.url}/{folder} is not a published document: {error}",
            safe="Nothing was changed",
            action="remove that folder and run again",
        ) from None
    if document.version != VERSION:
        raise ConvertError(
            f"{stage.url}/{folder} is a document of version {document.version}; this program reads version {VERSION}",
            safe="Nothing was changed",
            action="use the program that wrote it, or another LAKEHOUSE_STAGE",
        )
    return document
