"""The workspace's storage: where a remote path lies on this machine, and how much room is left.

DATA/dbfs/…                      dbfs:/…
DATA/volumes/cat/schema/vol/…    /Volumes/cat/schema/vol/…
DATA/workspace/…                 /Workspace/…
DATA/incoming/…                  uploads that are not complete yet
"""

from __future__ import annotations

import os
import posixpath
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from sandbox.workspace.errors import ApiError, invalid

MOUNTS = (("dbfs:/", "dbfs"), ("/dbfs/", "dbfs"), ("/Volumes/", "volumes"), ("/Workspace/", "workspace"))


@dataclass
class Storage:
    """Local folders behind the workspace's paths; `quota` is in bytes over DBFS and all volumes, None for no limit."""

    root: Path
    quota: int | None = None

    def prepare(self, volumes: tuple[str, ...]) -> None:
        """Makes the folders; `volumes` are `catalog.schema.volume`."""
        shutil.rmtree(self.root / "incoming", ignore_errors=True)
        for name in ("dbfs", "volumes", "workspace", "incoming"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for volume in volumes:
            parts = volume.split(".")
            if len(parts) != 3 or not all(parts):
                raise ValueError(f"--volume {volume}: expected catalog.schema.volume, such as main.lighthouse.stage")
            self.root.joinpath("volumes", *parts).mkdir(parents=True, exist_ok=True)

    def dbfs(self, path: object) -> Path:
        """The local path of a DBFS path, given as the API takes it: absolute, `/a/b` or `dbfs:/a/b`."""
        if not isinstance(path, str) or not path:
            raise invalid("Missing required field: path")
        plain = path.removeprefix("dbfs:")
        if not plain.startswith("/"):
            raise invalid(f"Path must be absolute: {path}")
        return self._inside("dbfs", plain)

    def volume(self, path: str) -> Path:
        """The local path of `/Volumes/catalog/schema/volume/…`; refuses a volume that was never created."""
        parts = [part for part in path.split("/") if part]
        if len(parts) < 4 or parts[0] != "Volumes":
            raise invalid(f"Invalid path: {path}. A path has the form /Volumes/catalog/schema/volume/file.")
        local = self._inside("volumes", "/" + "/".join(parts[1:]))
        if not self.root.joinpath("volumes", *parts[1:4]).is_dir():
            raise ApiError(404, "NOT_FOUND", f"Volume '{'.'.join(parts[1:4])}' does not exist.")
        return local

    def mounted(self, text: str) -> str:
        """What a cluster's mounts do: a workspace path becomes one the job can open; anything else stays."""
        for prefix, folder in MOUNTS:
            if text.startswith(prefix):
                return str(self._inside(folder, "/" + text[len(prefix) :].lstrip("/")))
        return text

    def _inside(self, folder: str, path: str) -> Path:
        if "\0" in path or ".." in path.split("/"):
            raise invalid(f"Invalid path: {path}")
        return self.root / folder / posixpath.normpath(path).lstrip("/")

    def make_room(self, size: int) -> None:
        """Refuses `size` more bytes when they would not fit."""
        if self.quota is None:
            return
        used = sum(_tree_size(self.root / name) for name in ("dbfs", "volumes"))
        if used + size > self.quota:
            raise ApiError(
                507,
                "QUOTA_EXCEEDED",
                f"The storage is full: {used} of {self.quota} bytes used, no room for {size}.",
            )

    def incoming(self) -> Path:
        """A new path for an upload that is not visible yet."""
        return self.root / "incoming" / secrets.token_hex(8)


def _tree_size(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            total += Path(where, name).stat().st_size
    return total


def modified_ms(path: Path) -> int:
    """When a file changed, in ms since 1970 UTC."""
    return path.stat().st_mtime_ns // 1_000_000
