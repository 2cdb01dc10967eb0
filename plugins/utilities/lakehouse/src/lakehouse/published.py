"""What the job publishes about the ledger (docs/contracts.md): bookmarks, loads, and what is committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from lakehouse.errors import ConvertError
from lakehouse.stages.base import Stage
from singer_arrow.documents import VERSION, DeltaFigures, PublishedDocument

FOLDER = "_published"
KEEP = 5  # documents of each target, the newest
READS = 4  # documents read at once
FIGURES = "_figures"
Document = TypeVar("Document", PublishedDocument, DeltaFigures)


def newest(stage: Stage, target: str, order: str | None = None) -> PublishedDocument | None:
    """The newest document about `target`, of one order if given; None when nothing was published."""
    return next(documents(stage, target, order), None)


def documents(stage: Stage, target: str, order: str | None = None) -> Iterator[PublishedDocument]:
    """The documents about `target`, newest first; a job publishes several. All are looked at: other targets' may be newer."""
    folders = sorted((name for name in stage.folders(FOLDER) if order is None or name.endswith(f"-{order}")), reverse=True)
    for folder in folders:
        document = _read(stage, f"{FOLDER}/{folder}", PublishedDocument)
        if document and document.target == target:
            yield document


def outdated(stage: Stage) -> list[str]:
    """Folders, each with `/` at its end, of documents that are not among the newest of their target.

    So are folders that a job died in, once there are as many newer documents; what this program cannot read is not outdated.
    """
    folders = sorted(stage.folders(FOLDER), reverse=True)
    if len(folders) <= KEEP:
        return []

    def target_of(folder: str) -> str | None:
        try:
            document = _read(stage, f"{FOLDER}/{folder}", PublishedDocument)
        except ConvertError:
            return ""
        return document.target if document else None

    seen: Counter[str] = Counter()
    found = []
    with ThreadPoolExecutor(READS) as pool:
        for folder, target in zip(folders, pool.map(target_of, folders), strict=True):
            newer = seen.total() if target is None else seen[target]
            if target != "" and newer >= KEEP:
                found.append(f"{FOLDER}/{folder}/")
            if target:
                seen[target] += 1
    return found


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
