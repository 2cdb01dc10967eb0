"""A folder in a Unity Catalog volume, through the Files API; large files with databricks-sdk, in parallel pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from lakehouse.errors import WorkspaceError
from lakehouse.settings import Settings
from lakehouse.stages.base import Answer, Entry, Stage
from lakehouse.stages.databricks import answer, created, send_each, together
from lakehouse.workspace.bodies import FileBody
from lakehouse.workspace.rest import Workspace

AT_ONCE = 4  # requests
LARGE = 50 << 20  # bytes from which on databricks-sdk sends pieces, straight to the cloud's storage
PARALLEL = 3  # pieces in flight of one large file, 10 MiB each


class VolumeStage(Stage):
    """Each file arrives whole or not at all; from 50 MiB on in parallel pieces."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        super().__init__(settings.stage)
        self._workspace = workspace
        self._settings = settings

    def entries(self, folder: str) -> Iterable[Entry]:
        """Page by page; a volume that does not exist is a mistake to tell, unlike a folder that does not."""
        found: list[Entry] = []
        query: dict[str, str] = {}
        while True:
            try:
                page = self._workspace.get(f"/2.0/fs/directories{self._path(folder)}", **query)
            except WorkspaceError as error:
                if error.is_missing and "Volume '" not in str(error):
                    return []
                raise
            for each in page.get("contents", []):
                size, modified = int(each.get("file_size") or 0), int(each.get("last_modified") or 0)
                found.append(Entry(str(each["name"]), size, bool(each["is_directory"]), modified))
            if not page.get("next_page_token"):
                return found
            query = {"page_token": page["next_page_token"]}

    def read(self, path: str) -> bytes:
        """Downloads a file."""
        return self._workspace.download(f"/2.0/fs/files{self._path(path)}")

    def write(self, path: str, data: bytes) -> None:
        """Uploads a file in one request."""
        self._workspace.upload(f"/2.0/fs/files{self._path(path)}", data)

    def create(self, path: str, data: bytes) -> bool:
        """The same request, which may not replace."""
        address = f"/2.0/fs/files{self._path(path)}"
        return created(self, path, data, lambda: self._workspace.upload(address, data, overwrite=False))

    def send(self, folder: str, files: Mapping[str, Path]) -> Answer:
        """Files several at once, large ones one after another; until an error that the others would meet as well."""
        large = {path: file for path, file in files.items() if file.stat().st_size >= LARGE}

        def put(path: str) -> None:
            self._workspace.upload(f"/2.0/fs/files{self._path(f'{folder}/{path}')}", FileBody(files[path]))

        def understood(words: str) -> Answer:
            path = f"/2.0/fs/files{self._path(folder)}"
            return answer(words, self._workspace.identity.settled_by, lambda: self._workspace.needed("PUT", path))

        said = send_each(put, [path for path in files if path not in large], AT_ONCE, understood)
        return said if said.is_final or not large else together([said, self._send_large(folder, large, understood)])

    def _send_large(self, folder: str, files: Mapping[str, Path], understood: Callable[[str], Answer]) -> Answer:
        from databricks.sdk import WorkspaceClient  # late: 2.4 CPU s and 100 MB
        from databricks.sdk.errors.base import DatabricksError

        client = WorkspaceClient(config=self._workspace.identity.sdk_config())
        said = []
        for path, file in files.items():
            target = f"{self.url}/{folder}/{path}"
            try:
                client.files.upload_from(target, str(file), overwrite=True, use_parallel=True, parallelism=PARALLEL)
            except (DatabricksError, OSError, ValueError) as error:
                code = getattr(error, "error_code", None) or type(error).__name__
                said.append(f"{path}: {code}: {str(error)[:500]}")
                if understood(said[-1]).is_final:
                    break
        return understood("\n".join(said))

    def remove(self, paths: Iterable[str]) -> None:
        """One request for each file; a folder is emptied first, as the Files API asks."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._remove, paths))

    def _remove(self, path: str) -> None:
        kind = "files"
        if path.endswith("/"):
            kind = "directories"
            for entry in self.entries(path):
                self._remove(f"{path}{entry.name}{'/' if entry.is_folder else ''}")
        try:
            self._workspace.delete(f"/2.0/fs/{kind}{self._path(path)}")
        except WorkspaceError as error:
            if not error.is_missing:
                raise

    def _path(self, path: str) -> str:
        return quote(f"{self.url}/{path}".rstrip("/"))
