"""The image, built once by an engine of the tests' own, and the servers that its containers run against."""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_engine import engine
from image_kit import CERTIFICATE, ROOT, TAG, Image, write_env

from sandbox.launch import Sandbox, sandbox

SCALE = 0.02


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("services"), SCALE) as running:
        yield running


@pytest.fixture(scope="session")
def variables(services: Sandbox) -> dict[str, str]:
    """The environment of a run; the certificate is where it is mounted."""
    return {**services.environment, "TAP_MSSQL_SERVER_CERTIFICATE": CERTIFICATE}


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A short path: the name of a socket has a limit."""
    folder = Path("/tmp") / f"lighthouse-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def image(work: Path, services: Sandbox, variables: dict[str, str]) -> Iterator[Image]:
    """The image, built from a copy of the project in which there is a filled-in .env."""
    context = work / "context"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, copy = ROOT / name, context / name
        if source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    write_env(context / ".env", variables)
    shutil.copy(str(services.environment["TAP_MSSQL_SERVER_CERTIFICATE"]), work / "server.pem")
    (work / "server.pem").chmod(0o644)
    hidden = tuple({value for name, value in variables.items() if re.search("PASSWORD|TOKEN", name)})
    assert len(hidden) == 3
    with engine(work) as running:
        yield Image(running, running.build(context, TAG, work / "build.log"), hidden)
