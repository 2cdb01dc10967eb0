"""Sending to a Unity Catalog volume with databricks-sdk. Imported only where needed: the SDK takes 100 MB."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors.base import DatabricksError

from lakehouse.errors import final

if TYPE_CHECKING:
    from lakehouse.stage import Stage

PARALLEL = 3  # parts in flight for one large file, 10 MiB each


def send(stage: Stage, source: str, files: dict[str, Path]) -> str:
    """Sends each file whole or not at all; returns the errors, one per line."""
    settings = stage.settings
    client = WorkspaceClient(host=settings.host, token=settings.token.reveal(), auth_type="pat")
    said = []
    for path, file in files.items():
        try:
            client.files.upload_from(
                f"{stage.url}/{source}/{path}", str(file), overwrite=True, use_parallel=True, parallelism=PARALLEL
            )
        except (DatabricksError, OSError, ValueError) as error:
            code = getattr(error, "error_code", None) or type(error).__name__
            said.append(f"{path}: {code}: {str(error)[:500]}")
            if final(said[-1]):
                break
    return "\n".join(said)
