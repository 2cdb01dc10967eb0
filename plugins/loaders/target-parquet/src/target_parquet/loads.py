"""A stream's load on its way in, and the load that a tap has finished as parts (records: records_load.py).

Importing this module does not import pyarrow, which would be more than half of the target's start.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlparse

import msgspec
from msgspec import Struct

from singer_arrow import documents, durable, footer, names
from singer_arrow.documents import LoadDocument, Manifest
from singer_arrow.errors import DamagedPart
from singer_arrow.footer import Footer
from target_parquet.errors import IncompleteLoad, MessageRefused
from target_parquet.output_folder import OutputFolder

Bookmark = dict[str, Any] | None


class Load(Protocol):
    """One stream's load: takes messages, and becomes a manifest when it is complete."""

    stream: str

    def is_complete(self) -> bool:
        """Whether the tap has said, durably, that nothing is missing."""

    def manifest(self, bookmark: Bookmark) -> Manifest:
        """The manifest, every file of it in place. Raises IncompleteLoad or DamagedPart."""

    def close(self) -> None:
        """Called when the manifest is durable: removes what is no longer needed."""

    def abandon(self) -> None:
        """Leaves nothing of an incomplete load behind; the tap's own spool stays for its next try."""


class NamedPart(Struct, frozen=True):
    """A part of one of our taps that holds what its name says: bytes, hex sha256, and rows and columns by its footer."""

    path: Path
    load_id: str
    bytes: int
    sha256: str
    footer: Footer


class PartsLoad:
    """Parts of one of our taps: checked (name, hash, footer), linked into place, and compared with its load document."""

    def __init__(self, stream: str, output: OutputFolder) -> None:
        self.stream = stream
        self._output = output
        self._parts: dict[str, NamedPart] = {}
        self._placed: list[Path] = []

    def take(self, part: NamedPart) -> None:
        """Adopts one part; the same part told twice is the same part."""
        if self._parts and part.load_id != next(iter(self._parts.values())).load_id:
            raise MessageRefused(f"stream {self.stream}: parts of two loads came in one run ({part.path})")
        if part.path.name not in self._parts:
            self._placed.append(self._output.adopt(part.path, part.path.name, self.stream))
            self._parts[part.path.name] = part

    def _document_path(self) -> Path | None:
        for part in self._parts.values():
            return documents.document_path(part.path.parent, part.load_id)
        return None

    def is_complete(self) -> bool:
        """Whether the load document is there and names exactly the parts taken."""
        path = self._document_path()
        return path is not None and path.exists() and len(self._parts) == len(documents.read_load_document(path).files)

    def manifest(self, bookmark: Bookmark) -> Manifest:
        """The load document, placed. Raises IncompleteLoad without one, DamagedPart when it does not fit the parts."""
        path = self._document_path()
        if path is None or not path.exists():
            raise IncompleteLoad(f"stream {self.stream}: the tap ended before its load was complete")
        document = documents.read_load_document(path)
        self._check(document, path)
        if document.dead_letters:
            self._placed.append(self._output.adopt_dead_letters(self._dead_letters(path), document))
        placed = [msgspec.structs.replace(f, path=f"{names.folder(self.stream)}/{f.path}") for f in document.files]
        return documents.manifest_of(document, self._output.source, placed, bookmark, self._output.target)

    def _dead_letters(self, document: Path) -> Path:
        """The load's dead letters, below the root of the spool that its document is in."""
        return document.parent.parent / names.dead_letters(str(names.load_of(document.name)))

    def _check(self, document: LoadDocument, path: Path) -> None:
        told = {f.path: (f.rows, f.bytes, f.sha256) for f in document.files}
        taken = {name: (p.footer.rows, p.bytes, p.sha256) for name, p in self._parts.items()}
        if told != taken:
            differ = sorted(name for name in told.keys() | taken.keys() if told.get(name) != taken.get(name))
            raise DamagedPart(f"stream {self.stream}: {path} and the parts received differ in {', '.join(differ)}")
        if documents.rows_and_deletes(document.files) != (document.rows, document.deletes):
            raise DamagedPart(f"stream {self.stream}: the parts' rows do not add up to those of {path}")
        whole = [(column.name, column.nullable) for column in document.schema]
        keys = [(column.name, column.nullable) for column in document.schema if column.name in document.key_columns]
        whole += [(document.row_number, False)] if document.row_number else []
        deletes = {f.path for f in document.files if f.deletes}
        for name, part in self._parts.items():
            if part.footer.columns != (keys if name in deletes else whole):
                raise DamagedPart(f"stream {self.stream}: {part.path} has another schema than {path}")

    def close(self) -> None:
        """Empties the spool of this load: parts, load document, and what the tap kept to go on with."""
        for part in self._parts.values():
            part.path.unlink(missing_ok=True)
        path = self._document_path()
        if path is not None:
            for kept in path.parent.glob("*.json"):
                if names.load_of(kept.name) == names.load_of(path.name):
                    kept.unlink(missing_ok=True)
            self._dead_letters(path).unlink(missing_ok=True)

    def abandon(self) -> None:
        """Takes back the links; the spool keeps the parts."""
        for path in self._placed:
            path.unlink(missing_ok=True)


def local_path(uri: str) -> Path:
    """The path of a `file://` URI of a BATCH. Raises MessageRefused for storage this target cannot reach."""
    parsed = urlparse(uri)
    if parsed.scheme not in ("", "file"):
        raise MessageRefused(
            f"BATCH file {uri} is not a file of this machine",
            action="set the tap's batch_config.storage.root to a file:// folder",
        )
    return Path(unquote(parsed.path))


def named(path: Path) -> NamedPart | None:
    """The part, its bytes read once for the hash, and its footer; None for a file that is not named as those of our taps are.

    Raises DamagedPart, naming the file, where it is missing or does not hold what its name says.
    """
    name = names.parse_part_name(path.name)
    if name is None:
        return None
    try:
        sha256, size = durable.sha256_of(path), path.stat().st_size
    except FileNotFoundError as error:
        raise DamagedPart(f"part {path} does not exist") from error
    if not sha256.startswith(name.sha256):
        raise DamagedPart(f"part {path} does not hold what its name says (its sha256 is {sha256[:12]}…)")
    try:
        return NamedPart(path, name.load_id, size, sha256, footer.read(path))
    except ValueError as error:
        raise DamagedPart(f"part {path} is not a Parquet file: {error}") from error
