"""What the steps need of a stage. A storage is one class with six methods; nothing here knows which storage it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from lakehouse.errors import WorkspaceError


class Entry(NamedTuple):
    """A file or folder in a folder of the stage; `size` in bytes, of folders 0; `modified` in ms since 1970-01-01 UTC."""

    name: str
    size: int
    is_folder: bool = False
    modified: int = 0


class Answer(Struct, frozen=True):
    """What the storage said while files were sent: `text` in its own words, empty when all went well.

    `is_final` says that another try is useless, `advice` is a sentence about what to do.
    """

    text: str = ""
    is_final: bool = False
    advice: str = ""


class Stage(ABC):
    """A folder of the storage. `url` is its address as the job opens it; paths are relative to it, with `/` between names."""

    def __init__(self, url: str) -> None:
        self.url = url

    @abstractmethod
    def entries(self, folder: str) -> Iterable[Entry]:
        """What a folder holds, `""` being the stage itself; nothing when there is no such folder."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """A small file, whole."""

    @abstractmethod
    def write(self, path: str, data: bytes) -> None:
        """A small file, whole; one that is there is replaced."""

    @abstractmethod
    def create(self, path: str, data: bytes) -> bool:
        """A small file where there is none: whether it is this one now. Of two that do so at once, one does."""

    @abstractmethod
    def send(self, folder: str, files: Mapping[str, Path]) -> Answer:
        """Sends local files to `<folder>/<path>`, over files that are there. The caller lists what arrived."""

    @abstractmethod
    def remove(self, paths: Iterable[str]) -> None:
        """Removes files, and folders with all they hold: a path with `/` at its end. What is not there is no mistake."""

    def find(self, path: str) -> bytes | None:
        """A small file, whole; None where there is none."""
        try:
            return self.read(path)
        except WorkspaceError as error:
            if not error.is_missing:
                raise
            return None

    def sizes(self, folder: str) -> dict[str, int]:
        """Names and sizes in bytes of a folder's files; {} when there is no such folder."""
        return {entry.name: entry.size for entry in self.entries(folder) if not entry.is_folder}

    def folders(self, folder: str = "") -> list[str]:
        """Names of a folder's folders."""
        return [entry.name for entry in self.entries(folder) if entry.is_folder]
