"""Files that are either whole under their final name, or not there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def temp_path(path: Path) -> Path:
    """The temp name beside `path`: hidden, and so nobody's data."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def sync_file(path: Path) -> None:
    """Forces the file's bytes to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Forces the folder's names to the disk, so that a rename in it outlives a power cut."""
    sync_file(folder)


def publish(temp: Path, final: Path) -> None:
    """Gives a finished temp file its final name, durably."""
    sync_file(temp)
    temp.rename(final)
    sync_folder(final.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a small file whole: temp name, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = temp_path(path)
    temp.write_bytes(content)
    publish(temp, path)


def sha256_of(path: Path) -> str:
    """The hex sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
