"""Manifests as the targets write them (docs/contracts.md, Manifest, version 1). Anything else is refused."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from lakehouse.errors import UploadError

VERSION = 1
CHUNK = 1 << 20


class PartFile(msgspec.Struct, frozen=True):
    """One part: `path` relative to the source's folder, `bytes` its size."""

    path: str
    rows: int
    bytes: int
    sha256: str
    min_key: list[str] | None = None
    max_key: list[str] | None = None


class Column(msgspec.Struct, frozen=True):
    """One column: its names at the source and in Delta, its Arrow type and the source's."""

    name: str
    column: str
    type: str
    nullable: bool
    source_type: str | None = None


class Manifest(msgspec.Struct, frozen=True):
    """One load. Times are UTC."""

    version: int
    load_id: str
    run_id: str
    source: str
    stream: str
    table: str
    mode: Literal["overwrite", "append", "merge"]
    key_columns: list[str]
    cursor: dict[str, Any] | None
    schema: list[Column]
    files: list[PartFile]
    rows: int
    source_rows: int | None
    columns: dict[str, dict[str, Any]]
    dead_letters: int
    bookmark: dict[str, Any] | None
    started_at: datetime
    ended_at: datetime
    notes: list[str] = []


@dataclass(frozen=True)
class Staged:
    """A manifest and the bytes it was read from. `source` is the folder: `sqlserver` or `api`."""

    source: str
    text: bytes
    manifest: Manifest

    @property
    def load_id(self) -> str:
        """The load's id."""
        return self.manifest.load_id

    @property
    def sha256(self) -> str:
        """Hex digest of the manifest as it was read."""
        return hashlib.sha256(self.text).hexdigest()

    @property
    def path(self) -> str:
        """Relative to the stage."""
        return f"{self.source}/_manifests/{self.load_id}.json"


class _Versioned(msgspec.Struct):
    version: int


def parse(source: str, where: str, text: bytes) -> Staged:
    """Reads a manifest. Raises UploadError for an unknown version, a missing field or a path that leaves its folder."""
    try:
        version = msgspec.json.decode(text, type=_Versioned).version
        if version != VERSION:
            raise UploadError(f"{where}: manifest version {version}; this program knows version {VERSION}. Nothing was sent.")
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.MsgspecError as error:
        raise UploadError(f"{where}: not a manifest: {error}. Nothing was sent; run the extraction again.") from None
    for path in (each.path for each in manifest.files):
        if path.startswith("/") or ".." in path.split("/"):
            raise UploadError(f"{where}: the path {path} leaves its folder. Nothing was sent.")
    if manifest.source != source or sum(each.rows for each in manifest.files) != manifest.rows:
        raise UploadError(f"{where}: source or row count contradict the rest of the manifest. Nothing was sent.")
    return Staged(source, text, manifest)


def read_local(output: Path) -> list[Staged]:
    """All manifests below `output`, oldest load first; [] when there is none."""
    found = [
        parse(file.parent.parent.name, str(file), file.read_bytes())
        for file in output.glob("*/_manifests/*.json")
        if not file.name.startswith(".")
    ]
    return sorted(found, key=lambda staged: (staged.manifest.started_at, staged.load_id))


def file_sha256(file: Path) -> str:
    """Hex digest of a file, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with file.open("rb") as data:
        while chunk := data.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
