"""The order that was sent with the run, and the manifests it names."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import types as T

from lakehouse.job.errors import Refused
from lakehouse.job.types import delta_type

MANIFEST_VERSION = 1
START = datetime(1970, 1, 1)


@dataclass(frozen=True)
class Load:
    """One manifest; `folder` is where its files lie, `sha256` the manifest's own; `again`: it was sent a second time."""

    manifest: dict[str, Any]
    sha256: str
    folder: str
    again: bool = False

    @property
    def load_id(self) -> str:
        """See docs/contracts.md, Names."""
        return str(self.manifest["load_id"])

    @property
    def stream(self) -> tuple[str, str]:
        """Source and stream: what a bookmark belongs to."""
        return str(self.manifest["source"]), str(self.manifest["stream"])

    @property
    def mode(self) -> str:
        """overwrite, append or merge."""
        return str(self.manifest["mode"])

    @property
    def table(self) -> str:
        """The table's name in Delta."""
        return str(self.manifest["table"])

    @property
    def comment(self) -> str:
        """The source's own description of the table; empty where it has none."""
        return str(self.manifest.get("comment") or "")

    @property
    def rows(self) -> int:
        """The rows of its parts."""
        return int(self.manifest["rows"])

    @property
    def deletes(self) -> int:
        """The keys of rows that the source deleted."""
        return int(self.manifest.get("deletes", 0))

    @property
    def is_of_changes(self) -> bool:
        """Whether it is of what changed between two versions of the source's table, or the first of such a stream, read whole."""
        cursor = self.manifest["cursor"]
        return bool(cursor) and cursor["column"] is None

    @property
    def marks_deleted(self) -> bool:
        """Whether rows of its stream that the source deletes stay in Delta, marked."""
        return self.manifest.get("on_delete") == "mark"

    def paths(self, deletes: bool = False) -> list[str]:
        """Where its parts lie: those of its rows, or of the keys that were deleted."""
        files = self.manifest["files"]
        return [f"{self.folder}/{each['path']}" for each in files if bool(each.get("deletes")) is deletes]

    @property
    def columns(self) -> list[dict[str, Any]]:
        """The manifest's schema, in order."""
        return list(self.manifest["schema"])

    @property
    def keys(self) -> list[str]:
        """Key columns under their names in Delta."""
        return [self.column(name) for name in self.manifest["key_columns"]]

    @property
    def cursor(self) -> str | None:
        """The replication key under its name in Delta, None for a load without, and for one of changes."""
        cursor = self.manifest["cursor"]
        return self.column(cursor["column"]) if cursor and cursor["column"] is not None else None

    @property
    def started_at(self) -> str:
        """The load's start, UTC, as 2026-11-24T16:12:24.000000Z."""
        return str(self.manifest["started_at"])

    @property
    def number(self) -> int:
        """The load's start in microseconds since 1970, UTC: of two loads of a stream the later has the greater one."""
        started = datetime.strptime(self.started_at.rstrip("Z"), "%Y-%m-%dT%H:%M:%S.%f")
        return (started - START) // timedelta(microseconds=1)

    def column(self, name: str) -> str:
        """The name in Delta of a column of the source. Raises Refused for an unknown one."""
        for each in self.columns:
            if each["name"] == name:
                return str(each["column"])
        raise Refused(f"column {name} is not in the manifest's schema")

    def schema(self) -> T.StructType:
        """The table's columns; all may be NULL in Delta."""
        return T.StructType([T.StructField(c["column"], delta_type(c["type"]), True, metadata_of(c)) for c in self.columns])


def metadata_of(column: dict[str, Any]) -> dict[str, Any]:
    """What Spark keeps of a column besides its type: the source's comment, where it has one."""
    return {"comment": column["comment"]} if column.get("comment") else {}


@dataclass(frozen=True)
class Missing:
    """A load of the order whose manifest is not on the stage, or another one; `told` is what the order says of it."""

    told: dict[str, Any]
    reason: str


def read_texts(spark: SparkSession, paths: list[str]) -> list[str]:
    """Whole files as text, in no particular order."""
    return [row[0] for row in spark.read.text(paths, wholetext=True).collect()] if paths else []


def sha256(text: str) -> str:
    """Hex digest of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_order(spark: SparkSession, stage: str, file: str, digest: str) -> dict[str, Any]:
    """The order that was sent with the run. Ends the job when it is another one."""
    for text in read_texts(spark, [f"{stage}/{file}"]):
        if sha256(text) == digest:
            return dict(json.loads(text)) | {"id": digest[:12]}
    raise SystemExit(f"The order {stage}/{file} is missing or not the one that was sent. Nothing was changed.")


def read_loads(spark: SparkSession, stage: str, wanted: list[dict[str, Any]]) -> tuple[list[Load], list[Missing]]:
    """The loads of an order, oldest first, and those whose manifest is missing or another one."""
    texts = {sha256(text): text for text in _manifests(spark, [f"{stage}/{each['manifest']}" for each in wanted])}
    loads: list[Load] = []
    missing: list[Missing] = []
    for each in wanted:
        digest, path = each["sha256"], each["manifest"]
        if digest not in texts:
            missing.append(Missing(each, f"its manifest {path} is not on the stage, or is not the one that was sent"))
            continue
        manifest = json.loads(texts[digest])
        if manifest.get("version") != MANIFEST_VERSION:
            missing.append(
                Missing(each, f"{path}: manifest version {manifest.get('version')}, this job knows {MANIFEST_VERSION}")
            )
            continue
        loads.append(Load(manifest, digest, f"{stage}/{path.split('/')[0]}", bool(each.get("again"))))
    loads.sort(key=lambda load: load.load_id)
    return loads, missing


def _manifests(spark: SparkSession, paths: list[str]) -> list[str]:
    """All at once; one by one where the engine says that one is missing."""
    try:
        return read_texts(spark, paths)
    except Exception:
        if len(paths) == 1:
            return []
        return [text for path in paths for text in _manifests(spark, [path])]
