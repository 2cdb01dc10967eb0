"""Staged loads: manifests as the targets write them (docs/contracts.md, Manifest, version 1), here and on the stage.

Anything else among them is named and passed over: one file that is no manifest of ours must not hold up the loads beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from lakehouse.errors import UploadError, WorkspaceError
from lakehouse.stages.base import Stage
from singer_arrow import names
from singer_arrow.documents import VERSION, Manifest, rows_and_deletes

READS = 4  # manifests read from the stage at once


class StagedLoad(Struct, frozen=True):
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


class PassedOver(NamedTuple):
    """A file among the manifests that is none of ours, or of a version that this program does not know."""

    path: str
    line: str  # for people: what it is, and what to do

    @property
    def load_id(self) -> str | None:
        """The load that it belongs to by its name."""
        return names.load_of(self.path.rpartition("/")[2])


class Found(NamedTuple):
    """Manifests, oldest load first, and what lay among them."""

    loads: list[StagedLoad]
    passed_over: list[PassedOver]


class _Versioned(msgspec.Struct):
    version: int


def parse(source: str, where: str, text: bytes) -> StagedLoad:
    """Reads the manifest at `where`, a path whose last name is the file's.

    Raises UploadError for an unknown version, a missing field, a name that is another load's, or a path that leaves its folder.
    """
    try:
        version = msgspec.json.decode(text, type=_Versioned).version
        if version != VERSION:
            raise UploadError(
                f"{where}: manifest version {version}; this program reads version {VERSION}",
                action="use the program that wrote it",
            )
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UploadError(f"{where}: not a manifest: {error}", action="move the file away") from None
    for path in (each.path for each in manifest.files):
        if path.startswith("/") or ".." in path.split("/"):
            raise UploadError(
                f"{where}: the path {path} leaves its folder", action="remove the file and run the extraction again"
            )
    if manifest.source != source or rows_and_deletes(manifest.files) != (manifest.rows, manifest.deletes):
        raise UploadError(f"{where}: source or row count contradict the rest of the manifest")
    if names.manifest(manifest.load_id) != f"{names.MANIFESTS}/{where.rpartition('/')[2]}":
        raise UploadError(f"{where}: named otherwise than its load, {manifest.load_id}", action="move the file away")
    return StagedLoad(source, text, manifest)


def read_local(output: Path) -> Found:
    """All manifests below `output`."""
    files = (file for file in sorted(output.glob(f"*/{names.MANIFESTS}/*.json")) if not file.name.startswith("."))
    return _sorted(_read(file.parent.parent.name, str(file), file.read_bytes) for file in files)


def staged_loads(stage: Stage) -> tuple[dict[str, str], list[PassedOver]]:
    """Load id and source of every manifest on the stage, known by their names, and JSON files that are named otherwise."""
    found: dict[str, str] = {}
    others = []
    for source in stage.folders():
        if source.startswith(("_", ".")):
            continue
        for file in stage.sizes(f"{source}/{names.MANIFESTS}"):
            load_id = names.load_of(file)
            if load_id and names.manifest(load_id) == f"{names.MANIFESTS}/{file}":
                found[load_id] = source
            elif file.endswith(".json") and not file.startswith("."):
                path = f"{stage.url}/{source}/{names.MANIFESTS}/{file}"
                others.append(_passed_over(path, UploadError(f"{path}: not named as a manifest is", action="move the file away")))
    return found, others


def read_staged(stage: Stage, wanted: Mapping[str, str], local: Iterable[StagedLoad] = ()) -> Found:
    """The manifests of load ids with their sources; one that is here is not fetched, since the job checks its hash."""
    here = {load.load_id: load for load in local}

    def one(load_id: str, source: str) -> StagedLoad | PassedOver:
        path = f"{source}/{names.manifest(load_id)}"
        return here.get(load_id) or _read(source, f"{stage.url}/{path}", lambda: stage.read(path))

    with ThreadPoolExecutor(READS) as pool:
        return _sorted(pool.map(lambda each: one(*each), sorted(wanted.items())))


def _read(source: str, where: str, read: Callable[[], bytes]) -> StagedLoad | PassedOver:
    try:
        return parse(source, where, read())
    except OSError as error:
        return _passed_over(where, UploadError(f"{where}: {error.strerror or error}", action="make it readable, or move it away"))
    except WorkspaceError as error:
        if not error.is_missing:
            raise
        return _passed_over(where, UploadError(f"{where}: no longer there", action="run the upload again"))
    except UploadError as error:
        return _passed_over(where, error)


def _passed_over(where: str, error: UploadError) -> PassedOver:
    what = " ".join(error.what.split())
    return PassedOver(where, f"passed over: {what}. The other loads go on. What to do: {error.action}.")


def _sorted(found: Iterable[StagedLoad | PassedOver]) -> Found:
    loads, others = [], []
    for each in found:
        if isinstance(each, StagedLoad):
            loads.append(each)
        else:
            others.append(each)
    return Found(sorted(loads, key=lambda staged: (staged.manifest.started_at, staged.load_id)), others)
