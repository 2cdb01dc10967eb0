"""Sending to DBFS with the Databricks CLI, the old one and the new: `databricks fs cp --recursive --overwrite`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from lakehouse.errors import UploadError
from lakehouse.settings import Settings
from lakehouse.stage import DbfsReading

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class DbfsStage(DbfsReading):
    """Parts go through the CLI, one call for all files of a source; everything small through the DBFS API."""

    def send(self, source: str, files: dict[str, Path]) -> str:
        # The CLI's exit code is no evidence (0.18 swallows some errors): the caller lists what arrived.
        """One CLI call for all files, from a temporary folder of hard links to them."""
        output = self.settings.output
        with tempfile.TemporaryDirectory(prefix=".sending-", dir=output) as name:
            folder = Path(name, "tree")
            for path, file in files.items():
                link = folder / path
                link.parent.mkdir(parents=True, exist_ok=True)
                _link(file, link)
            config = Path(name, "no-config-file")
            command = [executable(), "fs", "cp", "--recursive", "--overwrite", str(folder), f"{self.url}/{source}"]
            done = subprocess.run(
                command,
                env=cli_environment(self.settings, config, os.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        return done.stdout.replace(self.settings.token.reveal(), "***")


def executable() -> str:
    """`databricks` beside this Python first, then on PATH."""
    beside = Path(sys.executable).with_name("databricks")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("databricks")
    if not found:
        raise UploadError(f"The Databricks CLI is missing: no `databricks` beside {sys.executable} or on PATH. Nothing was sent.")
    return found


def cli_environment(settings: Settings, config: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The CLI's environment: host and token, no config file.

    databricks-cli 0.18 drops the port of an address. An http address with a port is therefore reached as the proxy of
    a made-up host, which sends the same requests to the same socket.
    """
    mine = dict(environment) | {
        "DATABRICKS_HOST": settings.host,
        "DATABRICKS_TOKEN": settings.token.reveal(),
        "DATABRICKS_CONFIG_FILE": str(config),
    }
    url = urlsplit(settings.host)
    if url.scheme == "http" and url.port:
        mine = {name: value for name, value in mine.items() if name.lower() not in PROXIES}
        mine |= {
            "DATABRICKS_HOST": "http://databricks.invalid",
            "HTTP_PROXY": settings.host,
            "http_proxy": settings.host,
        }
    return mine


def _link(file: Path, link: Path) -> None:
    try:
        os.link(file, link)
    except OSError:  # a file system without hard links
        link.symlink_to(file.resolve())
