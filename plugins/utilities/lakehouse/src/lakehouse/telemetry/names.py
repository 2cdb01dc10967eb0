"""Names of datasets, as OpenLineage's naming specification has them. Pure functions."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from singer_arrow import names


class Name(NamedTuple):
    """Namespace and name."""

    namespace: str
    name: str


def files(host: str, stage: str, source: str, stream: str) -> Name:
    """The folder of a stream's parts on the stage; `host` is the workspace's, a volume is a folder of it, too."""
    return Name(f"dbfs://{_host(host)}", f"{stage.removeprefix('dbfs:')}/{source}/{names.folder(stream)}")


def table(host: str, target: str, name: str) -> Name:
    """A Delta table in the target: a schema, `catalog.schema`, or a path."""
    if "/" not in target:
        return Name(f"databricks://{_host(host)}", f"{target}.{name}")
    url = urlsplit(target)
    if url.scheme in ("", "dbfs"):
        return Name(f"dbfs://{_host(host)}", f"{url.path}/{name}")
    return Name(f"{url.scheme}://{url.netloc}", f"{url.path}/{name}")


def _host(address: str) -> str:
    return urlsplit(address).hostname or "workspace"  # a profile's, which only databricks-sdk reads
