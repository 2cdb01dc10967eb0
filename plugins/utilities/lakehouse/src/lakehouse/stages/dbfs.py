"""A folder on DBFS: files with the Databricks CLI, whose versions 0.18 and later all do, but for large ones.

The CLI 0.18 holds a file of less than 2 GiB in memory, twice, and takes four times the CPU for a byte. So what is larger than
4 MiB goes to the same address of the DBFS API without it, several at once, 1 MiB of each in memory (`scripts/bench upload`).
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lakehouse.errors import UploadError, WorkspaceError
from lakehouse.settings import Settings
from lakehouse.stages.base import Answer, Entry, Stage
from lakehouse.stages.databricks import answer, created, send_each, together
from lakehouse.workspace.rest import Workspace
from singer_arrow import noted

BLOCK = 1 << 20  # bytes DBFS gives at once
IDENTITIES = ("DATABRICKS_", "ARM_", "GOOGLE_CREDENTIALS")  # what these variables say is settled already
AT_ONCE = 4  # requests
BY_CLI = 4 << 20  # bytes of the largest file that the CLI is given
IN_BLOCKS = 2 << 30  # bytes from which on it does send a file in blocks
MANY = 32  # files that are worth a second call of it
CALLS = 2
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class DbfsStage(Stage):
    """Files of a source go with one or two calls of `databricks fs cp --recursive --overwrite`."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        super().__init__(settings.stage)
        self._workspace = workspace
        self._settings = settings

    def entries(self, folder: str) -> Iterable[Entry]:
        """One request: DBFS lists a whole folder."""
        try:
            listed = self._workspace.get("/2.0/dbfs/list", path=self._path(folder)).get("files", [])
        except WorkspaceError as error:
            if error.is_missing:
                return []
            raise
        return [_entry(file) for file in listed]

    def read(self, path: str) -> bytes:
        """Reads 1 MiB at a time: DBFS gives no more."""
        data = b""
        while True:
            where: dict[str, Any] = {"path": self._path(path), "offset": len(data), "length": BLOCK}
            block = base64.b64decode(self._workspace.get("/2.0/dbfs/read", **where).get("data", ""))
            if not block:
                return data
            data += block

    def write(self, path: str, data: bytes) -> None:
        """Sends one multipart form."""
        self._put(path, data, "true")

    def create(self, path: str, data: bytes) -> bool:
        """The same form, which may not replace."""
        return created(self, path, data, lambda: self._put(path, data, "false"))

    def _put(self, path: str, data: bytes, overwrite: str) -> None:
        self._workspace.post_file("/2.0/dbfs/put", {"path": self._path(path), "overwrite": overwrite}, data)

    def send(self, folder: str, files: Mapping[str, Path]) -> Answer:
        """Calls of the CLI, two at once where there are many files; then the large files."""
        large = [path for path, file in files.items() if BY_CLI < file.stat().st_size < IN_BLOCKS]
        others = [path for path in files if path not in large]
        groups = [{path: files[path] for path in others[number::CALLS]} for number in range(CALLS)]
        if len(others) < MANY:
            groups = [{path: files[path] for path in others}]
        with ThreadPoolExecutor(CALLS) as pool:
            said = together(pool.map(lambda group: self._copy(folder, group), [group for group in groups if group]))
        if said.is_final:
            return said

        def put(path: str) -> None:
            fields = {"path": self._path(f"{folder}/{path}"), "overwrite": "true"}
            self._workspace.post_large_file("/2.0/dbfs/put", fields, files[path])

        return together([said, send_each(put, large, AT_ONCE, self._understood)])

    def _copy(self, folder: str, files: Mapping[str, Path]) -> Answer:
        """One CLI call for all files, from a temporary folder of hard links to them.

        The CLI's exit code is no evidence, since 0.18 swallows some errors: only what it says is handed on.
        """
        token = self._workspace.identity.bearer()
        with tempfile.TemporaryDirectory(prefix=".sending-", dir=self._settings.output) as name:
            tree = Path(name, "tree")
            for path, file in files.items():
                link = tree / path
                link.parent.mkdir(parents=True, exist_ok=True)
                _link(file, link)
            with noted.span("databricks fs cp", files=len(files), bytes=sum(file.stat().st_size for file in files.values())):
                done = subprocess.run(
                    [executable(self._settings.cli), "fs", "cp", "--recursive", "--overwrite", str(tree), f"{self.url}/{folder}"],
                    env=cli_environment(self._workspace.identity.host, token, Path(name, "no-config-file"), os.environ),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                )
        said = done.stdout.replace(token, "***")
        words = "\n".join(line for line in said.splitlines() if " -> " not in line)  # those say what was copied
        return self._understood(words)

    def _understood(self, words: str) -> Answer:
        return answer(words, self._workspace.identity.settled_by, lambda: self._workspace.needed("POST", "/2.0/dbfs/put"))

    def remove(self, paths: Iterable[str]) -> None:
        """One request for each path, also of a folder."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._remove, paths))

    def _remove(self, path: str) -> None:
        try:
            self._workspace.post("/2.0/dbfs/delete", {"path": self._path(path), "recursive": path.endswith("/")})
        except WorkspaceError as error:
            if not error.is_missing:
                raise

    def _path(self, path: str) -> str:
        return f"{self.url}/{path}".rstrip("/").removeprefix("dbfs:")


def _entry(file: dict[str, Any]) -> Entry:
    name = str(file["path"]).rsplit("/", 1)[1]
    return Entry(name, int(file["file_size"]), bool(file["is_dir"]), int(file.get("modification_time") or 0))


def executable(cli: str = "") -> str:
    """The CLI that the setting names; without it `databricks` beside this Python, then on PATH.

    Raises UploadError where there is none.
    """
    if cli:
        found = shutil.which(cli)
        if not found:
            raise UploadError(
                f"LAKEHOUSE_CLI is {cli}, and there is no such program",
                action="set it to the path of the Databricks CLI, or unset it",
            )
        return found
    beside = Path(sys.executable).with_name("databricks")
    beside_or_on_path = str(beside) if os.access(beside, os.X_OK) else shutil.which("databricks")
    if not beside_or_on_path:
        raise UploadError(
            f"the Databricks CLI is missing: there is no program `databricks` beside {sys.executable} or on PATH",
            action="install it (pip install databricks-cli==0.18.0), or set LAKEHOUSE_CLI, and run the upload again",
        )
    return beside_or_on_path


def cli_environment(host: str, token: str, config: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The CLI's environment: host and token, no config file, and nothing that would be another identity.

    The token is a personal one or OAuth's: 0.18 and 1.x send either as it is.

    databricks-cli 0.18 drops the port of an address. An http address with a port is therefore reached as the proxy of
    a made-up host, which sends the same requests to the same socket.
    """
    mine = {name: value for name, value in environment.items() if not name.startswith(IDENTITIES)} | {
        "DATABRICKS_HOST": host,
        "DATABRICKS_TOKEN": token,
        "DATABRICKS_CONFIG_FILE": str(config),
    }
    url = urlsplit(host)
    if url.scheme == "http" and url.port:
        mine = {name: value for name, value in mine.items() if name.lower() not in PROXIES}
        mine |= {
            "DATABRICKS_HOST": "http://databricks.invalid",
            "HTTP_PROXY": host,
            "http_proxy": host,
        }
    return mine


def _link(file: Path, link: Path) -> None:
    try:
        os.link(file, link)
    except OSError:  # a file system without hard links
        link.symlink_to(file.resolve())
