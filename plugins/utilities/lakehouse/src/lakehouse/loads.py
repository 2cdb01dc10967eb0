"""Staged loads: manifests as the targets write them (docs/contracts.md, Manifest, version 1). Anything else is refused."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lakehouse.errors import UploadError
from singer_arrow import names
from singer_arrow.documents import VERSION, Manifest


@dataclass(frozen=True)
class StagedLoad:
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
        return f"{self.source}/{names.manifest(self.load_id)}"


class _Versioned(msgspec.Struct):
    version: int


def parse(source: str, where: str, text: bytes) -> StagedLoad:
    """Reads a manifest. Raises UploadError for an unknown version, a missing field or a path that leaves its folder."""
    try:
        version = msgspec.json.decode(text, type=_Versioned).version
        if version != VERSION:
            raise UploadError(
                f"{where}: manifest version {version}; this program reads version {VERSION}",
                action="use the program that wrote it, or move the file away and run the extraction again",
            )
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.MsgspecError as error:
        raise UploadError(f"{where}: not a manifest: {error}") from None
    for path in (each.path for each in manifest.files):
        if path.startswith("/") or ".." in path.split("/"):
            raise UploadError(
                f"{where}: the path {path} leaves its folder", action="remove the file and run the extraction again"
            )
    if manifest.source != source or sum(each.rows for each in manifest.files) != manifest.rows:
        raise UploadError(f"{where}: source or row count contradict the rest of the manifest")
    return StagedLoad(source, text, manifest)


def read_local(output: Path) -> list[StagedLoad]:
    """All manifests below `output`, oldest load first; [] when there is none."""
    found = [
        parse(file.parent.parent.name, str(file), file.read_bytes())
        for file in output.glob(f"*/{names.MANIFESTS}/*.json")
        if not file.name.startswith(".")
    ]
    return sorted(found, key=lambda staged: (staged.manifest.started_at, staged.load_id))
