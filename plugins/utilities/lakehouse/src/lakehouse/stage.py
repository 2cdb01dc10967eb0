"""The stage: a folder of the workspace that holds the parts, their manifests, and what the job publishes."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lakehouse.errors import WorkspaceError
from lakehouse.settings import Settings
from lakehouse.workspace import Workspace

BLOCK = 1 << 20  # bytes DBFS takes or gives at once


class Stage(ABC):
    """Paths are relative to the stage's folder `url`, with `/` between the names."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self.workspace = workspace
        self.settings = settings
        self.url = settings.stage

    def sizes(self, folder: str) -> dict[str, int]:
        """Names and sizes in bytes of a folder's files; {} when there is no such folder."""
        return {name: size for name, size, is_folder in self._entries(folder) if not is_folder}

    def folders(self, folder: str = "") -> list[str]:
        """Names of a folder's folders."""
        return [name for name, _, is_folder in self._entries(folder) if is_folder]

    def _entries(self, folder: str) -> list[tuple[str, int, bool]]:
        try:
            return list(self._list(f"{self.url}/{folder}".rstrip("/")))
        except WorkspaceError as error:
            if error.missing and "Volume '" not in str(error):  # a volume that does not exist is a mistake to tell
                return []
            raise

    @abstractmethod
    def _list(self, path: str) -> Iterator[tuple[str, int, bool]]: ...

    @abstractmethod
    def read(self, path: str) -> bytes:
        """A small file, whole."""

    @abstractmethod
    def write(self, path: str, data: bytes) -> None:
        """A small file, whole; one that is there is replaced."""

    @abstractmethod
    def send(self, source: str, files: dict[str, Path]) -> str:
        """Sends local files to `<source>/<path>`. What arrived is for the caller to list; returns what was said."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Removes a file or an empty folder."""


class DbfsReading(Stage):
    """What both ways of sending to DBFS share: the DBFS API."""

    def _list(self, path: str) -> Iterator[tuple[str, int, bool]]:
        for each in self.workspace.get("/2.0/dbfs/list", path=_plain(path)).get("files", []):
            yield str(each["path"]).rsplit("/", 1)[1], int(each["file_size"]), bool(each["is_dir"])

    def read(self, path: str) -> bytes:
        """Reads 1 MiB at a time: DBFS gives no more."""
        data = b""
        while True:
            where: dict[str, Any] = {"path": _plain(f"{self.url}/{path}"), "offset": len(data), "length": BLOCK}
            block = base64.b64decode(self.workspace.get("/2.0/dbfs/read", **where).get("data", ""))
            if not block:
                return data
            data += block

    def write(self, path: str, data: bytes) -> None:
        """Sends one multipart form."""
        self.workspace.post_file("/2.0/dbfs/put", {"path": _plain(f"{self.url}/{path}"), "overwrite": "true"}, data)

    def remove(self, path: str) -> None:
        """Removes a file, or a folder with all in it."""
        self.workspace.post("/2.0/dbfs/delete", {"path": _plain(f"{self.url}/{path}"), "recursive": True})


class VolumeStage(Stage):
    """A Unity Catalog volume: Files API, and databricks-sdk for the parts (parallel multipart above 50 MiB, atomic)."""

    def _list(self, path: str) -> Iterator[tuple[str, int, bool]]:
        token = ""
        while True:
            query = {"page_token": token} if token else {}
            page = self.workspace.get(f"/2.0/fs/directories{quote(path)}", **query)
            for each in page.get("contents", []):
                yield str(each["name"]), int(each.get("file_size") or 0), bool(each["is_directory"])
            token = page.get("next_page_token", "")
            if not token:
                return

    def read(self, path: str) -> bytes:
        """Downloads a file."""
        return self.workspace.download(f"/2.0/fs/files{quote(f'{self.url}/{path}')}")

    def write(self, path: str, data: bytes) -> None:
        """Uploads a file in one request."""
        self.workspace.upload(f"/2.0/fs/files{quote(f'{self.url}/{path}')}", data)

    def send(self, source: str, files: dict[str, Path]) -> str:
        """Sends through databricks-sdk."""
        from lakehouse.volumes import send

        return send(self, source, files)

    def remove(self, path: str) -> None:
        """Removes a file; one that is not there is fine."""
        where = quote(f"{self.url}/{path}")
        try:
            self.workspace.delete(f"/2.0/fs/files{where}")
        except WorkspaceError as error:
            if not error.missing:
                raise


def open_stage(settings: Settings) -> Stage:
    """The stage of the settings. Opens no connection yet."""
    from lakehouse.dbfs import DbfsStage

    workspace = Workspace(settings)
    return VolumeStage(workspace, settings) if settings.on_volume else DbfsStage(workspace, settings)


def _plain(path: str) -> str:
    return path.removeprefix("dbfs:")
