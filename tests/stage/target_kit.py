"""target-parquet within the test's own process: messages in, manifests and rows out."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from lakehouse_kit import fits

from target_parquet import settings
from target_parquet.output_folder import OutputFolder
from target_parquet.run import Run


class Target:
    """One target that writes below `root`; `states` is what it has printed."""

    def __init__(self, root: Path, **config: Any) -> None:
        self.root = root
        self._settings = settings.parse({"destination_path": str(root), "source": "files", **config})
        self.states = io.StringIO()

    def take(self, *lines: dict[str, Any] | str | bytes) -> None:
        """Raises what the target raises."""
        text = b"".join(as_line(line) for line in lines)
        self.read(io.BytesIO(text))

    def read(self, lines: Any) -> None:
        """The same of an open file."""
        Run(self._settings, OutputFolder(self.root, "files"), self.states).consume(lines)

    def manifests(self) -> dict[str, dict[str, Any]]:
        """By stream."""
        found = (fits("manifest", json.loads(path.read_text())) for path in (self.root / "_manifests").glob("*.json"))
        return {manifest["stream"]: manifest for manifest in found}

    def table(self, stream: str) -> pa.Table:
        """The rows of a stream's load."""
        return pa.concat_tables(pq.read_table(self.root / file["path"]) for file in self.manifests()[stream]["files"])

    def rows(self, stream: str) -> list[dict[str, Any]]:
        """The rows, without their number."""
        table = self.table(stream)
        return list(table.drop_columns([name for name in table.column_names if name == "_row"]).to_pylist())

    def left(self) -> list[str]:
        """The files that are there, manifests and the lock apart."""
        files = (p for p in self.root.rglob("*") if p.is_file() and p.name != ".lock" and p.parent.name != "_manifests")
        return sorted(str(p.relative_to(self.root)) for p in files)


def as_line(message: dict[str, Any] | str | bytes) -> bytes:
    if isinstance(message, bytes):
        return message
    return (message if isinstance(message, str) else json.dumps(message)).encode() + b"\n"


def schema(stream: str = "orders", key: Iterable[str] = ("id",), cursor: str | None = None, **properties: Any) -> dict[str, Any]:
    columns = {"id": {"type": "integer"}, **properties}
    more = {"bookmark_properties": [cursor]} if cursor else {}
    return {"type": "SCHEMA", "stream": stream, "schema": {"properties": columns}, "key_properties": [*key], **more}


def record(stream: str = "orders", **values: Any) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": values}


def state(**bookmarks: Any) -> dict[str, Any]:
    return {"type": "STATE", "value": {"bookmarks": bookmarks}}
