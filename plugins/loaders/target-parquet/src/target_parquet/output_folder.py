"""The folder a target writes into: parts by stream, manifests, and nothing else that has a final name."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from singer_arrow import documents, durable, names
from singer_arrow.documents import LoadDocument, Manifest
from singer_arrow.errors import DamagedPart
from target_parquet.errors import FolderBusy


class OutputFolder:
    """`root` holds `<folder of a stream>/*.parquet` and the manifests; the loads are meant for `target` (None: for any)."""

    def __init__(self, root: Path, source: str, target: str | None = None) -> None:
        self.root = root
        self.source = source
        self.target = target

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other targets out for as long as this process lives. Raises FolderBusy."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FolderBusy(f"another target-parquet writes into {self.root}") from None
            yield

    def folder(self, stream: str) -> Path:
        """The stream's folder, made when missing."""
        path = self.root / names.folder(stream)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def adopt(self, part: Path, name: str, stream: str) -> Path:
        """Makes a part visible under its final name: a hard link, or a copy where the spool is on another disk."""
        final = self.folder(stream) / name
        _place(part, final)
        return final

    def adopt_dead_letters(self, path: Path, document: LoadDocument) -> Path:
        """Places a load's dead letters beside its manifest, and says where. Raises DamagedPart where they are not so many."""
        if not path.exists() or path.read_bytes().count(b"\n") != document.dead_letters:
            raise DamagedPart(f"stream {document.stream}: {path} does not hold the load's {document.dead_letters} dead letters")
        final = self.root / names.dead_letters(document.load_id)
        final.parent.mkdir(exist_ok=True)
        _place(path, final)
        return final

    def publish(self, manifest: Manifest) -> Path:
        """Writes a manifest: the moment a load exists for the later steps."""
        path = self.root / names.manifest(manifest.load_id)
        documents.write(path, manifest)
        return path

    def sweep(self) -> list[Path]:
        """Removes what an earlier, interrupted run left: temp names, and parts no manifest names. Returns them."""
        named = {self.root / file for path in (self.root / names.MANIFESTS).glob("*.json") for file in _files(path)}
        left = [p for p in self.root.rglob("*") if p.is_file() and _is_left(p) and p not in named]
        for path in left:
            path.unlink()
        return left


def _place(path: Path, final: Path) -> None:
    """Gives a file a second name; a copy with the same mode where that is on another disk."""
    temp = durable.temp_path(final)
    temp.unlink(missing_ok=True)
    try:
        os.link(path, temp)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        import shutil  # a millisecond of each start

        os.close(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, path.stat().st_mode & 0o777))
        shutil.copyfile(path, temp)
    durable.publish(temp, final)


def _is_left(path: Path) -> bool:
    return path.suffix == ".tmp" or path.suffix == ".parquet"


class _Files(msgspec.Struct):
    files: list[documents.PartFile]


def _files(manifest: Path) -> list[str]:
    return [file.path for file in msgspec.json.decode(manifest.read_bytes(), type=_Files).files]
