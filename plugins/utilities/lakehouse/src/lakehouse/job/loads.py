"""The order that was sent with the run, and the manifests it names."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import types as T

from lakehouse.job.errors import Refused
from lakehouse.job.types import delta_type


@dataclass(frozen=True)
class Load:
    """One manifest; `folder` is where its files lie, `sha256` the manifest's own."""

    manifest: dict[str, Any]
    sha256: str
    folder: str

    @property
    def load_id(self) -> str:
        """See docs/contracts.md, Names."""
        return str(self.manifest["load_id"])

    @property
    def stream(self) -> tuple[str, str]:
        """Source and stream: what a bookmark belongs to."""
        return str(self.manifest["source"]), str(self.manifest["stream"])

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
        """The cursor column under its name in Delta, None for a load without."""
        cursor = self.manifest["cursor"]
        return self.column(cursor["column"]) if cursor else None

    def column(self, name: str) -> str:
        """The name in Delta of a column of the source. Raises Refused for an unknown one."""
        for each in self.columns:
            if each["name"] == name:
                return str(each["column"])
        raise Refused(f"column {name} is not in the manifest's schema")

    def schema(self) -> T.StructType:
        """The table's columns; all may be NULL in Delta."""
        return T.StructType([T.StructField(c["column"], delta_type(c["type"]), True) for c in self.columns])


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
            return dict(json.loads(text))
    raise SystemExit(f"The order {stage}/{file} is missing or not the one that was sent. Nothing was changed.")


def read_loads(spark: SparkSession, stage: str, wanted: list[dict[str, str]]) -> tuple[list[Load], list[str]]:
    """The loads of an order, oldest first, and the manifests that are missing or changed."""
    paths = {each["sha256"]: each["manifest"] for each in wanted}
    texts = {sha256(text): text for text in read_texts(spark, [f"{stage}/{path}" for path in paths.values()])}
    loads = []
    for digest, path in paths.items():
        if digest not in texts:
            continue
        manifest = json.loads(texts[digest])
        if manifest.get("version") != 1:
            raise SystemExit(f"{path}: manifest version {manifest.get('version')}, this job knows version 1.")
        loads.append(Load(manifest, digest, f"{stage}/{path.split('/')[0]}"))
    loads.sort(key=lambda load: (load.manifest["started_at"], load.load_id))
    return loads, [path for digest, path in paths.items() if digest not in texts]
