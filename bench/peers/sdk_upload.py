"""`sdk_upload FOLDER VOLUME`: databricks-sdk's own parallel upload of a folder's files, four files at once."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from databricks.sdk import WorkspaceClient

AT_ONCE = 4


def main() -> None:
    """Host and token come from DATABRICKS_HOST and DATABRICKS_TOKEN."""
    folder, volume = Path(sys.argv[1]), sys.argv[2]
    client = WorkspaceClient(auth_type="pat")
    files = sorted(file for file in folder.rglob("*.*") if file.is_file())

    def send(file: Path) -> None:
        client.files.upload_from(f"{volume}/{file.relative_to(folder)}", str(file), overwrite=True, use_parallel=True)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(send, files))


if __name__ == "__main__":
    main()
