"""Passwords and tokens: in no argument list, nothing said, nothing written; and what is written is nobody else's to read."""

from __future__ import annotations

from pathlib import Path

import pytest
from chain_kit import Pipeline, Result

SECRETS = ("TAP_MSSQL_PASSWORD", "API_PASSWORD", "DATABRICKS_TOKEN", "OPENLINEAGE_API_KEY", "OTEL_EXPORTER_OTLP_HEADERS")


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_in_no_argument_list_and_nothing_said_or_written(
    name: str, first: tuple[Pipeline, Result], kept: Path
) -> None:
    one, result = first
    secret = one.environment[name]
    assert any("meltano" in line for line in result.command_lines) and any("lakehouse" in line for line in result.command_lines)
    assert not [line for line in result.command_lines if secret in line]
    assert secret not in result.text
    folders = [kept, one.output, one.folder / "state", one.folder / ".meltano/logs", one.folder / ".meltano/run"]
    folders += [one.sandbox.workspace.data, one.folder / ".cache", one.folder / ".local"]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    files += [path for path in (one.folder / ".meltano").iterdir() if path.is_file()]
    assert len(files) > 60
    assert [str(path) for path in files if secret.encode() in path.read_bytes()] == []


def test_what_the_pipeline_writes_can_be_read_by_its_user_only(first: tuple[Pipeline, Result]) -> None:
    one, _ = first
    paths = [path for folder in (one.output, one.folder / "state") for path in [folder, *folder.rglob("*")]]
    assert len(paths) > 60
    assert [f"{path}: {path.stat().st_mode & 0o777:o}" for path in paths if path.stat().st_mode & 0o077] == []
