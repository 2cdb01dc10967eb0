"""Who the workspace sees: tokens, a service principal, a profile; each reaches the API, the CLI and databricks-sdk alike."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from lakehouse_kit import CLIENT_ID, CLIENT_SECRET, ROOT, TOKEN, VOLUME, Workspace, invocation, lakehouse, make_load

from lakehouse.authentication import VARIABLES, chosen
from lakehouse.errors import AccessDenied
from lakehouse.settings import Settings, load_settings
from lakehouse.stages.dbfs import cli_environment, executable
from lakehouse.workspace.rest import Workspace as Client

PRINCIPAL = {"DATABRICKS_TOKEN": "", "DATABRICKS_CLIENT_ID": CLIENT_ID, "DATABRICKS_CLIENT_SECRET": CLIENT_SECRET}
HOST = {"DATABRICKS_HOST": "https://adb-1.azuredatabricks.net", "DATABRICKS_CLUSTER_ID": "c"}


def client(workspace: Workspace, **more: str) -> Client:
    given = {"DATABRICKS_HOST": workspace.url, "DATABRICKS_CLUSTER_ID": "c"} | PRINCIPAL | more
    return Client(load_settings({name: value for name, value in given.items() if value}))


def one_row(output: Path) -> None:
    make_load(output, "Orders", [pa.table({"Id": [1]})])


def parts(workspace: Workspace) -> int:
    return len(list(workspace.data.rglob("stage/sqlserver/**/*.parquet")))


@pytest.mark.parametrize("stage", ["dbfs:/lighthouse/stage", VOLUME])
def test_a_service_principal_uploads_to_every_stage(workspace: Workspace, output: Path, stage: str) -> None:
    one_row(output)
    sent = lakehouse(workspace, output, "upload", LAKEHOUSE_STAGE=stage, **PRINCIPAL)
    assert sent.returncode == 0 and parts(workspace) == 1, sent.stderr
    assert len(workspace.seen("/oidc/v1/token")) == 1, "one token serves the API, the CLI and the SDK"
    assert CLIENT_SECRET not in sent.stderr


def test_a_service_principals_token_is_renewed_before_it_ends_and_after_a_401(workspace: Workspace) -> None:
    workspace.stop()
    workspace.start("--token-lifetime", "1")
    ours = client(workspace)
    for _ in range(3):
        ours.post("/2.0/dbfs/mkdirs", {"path": "/a"})
    assert len(workspace.seen("/oidc")) == 1
    while len(workspace.seen("/oidc")) == 1:
        ours.post("/2.0/dbfs/mkdirs", {"path": "/a"})
    assert {each["status"] for each in workspace.seen("mkdirs")} == {200}, "no request with a token that had ended"
    workspace.fail({"kind": "revoked", "path": "mkdirs"})
    ours.post("/2.0/dbfs/mkdirs", {"path": "/b"})
    assert [each["status"] for each in workspace.seen("mkdirs")][-2:] == [401, 200]
    workspace.fail({"kind": "status", "status": 401, "message": "No.", "path": "mkdirs", "times": 0})
    before = len(workspace.seen("mkdirs"))
    with pytest.raises(AccessDenied, match="check DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET"):
        ours.post("/2.0/dbfs/mkdirs", {"path": "/c"})
    assert len(workspace.seen("mkdirs")) == before + 2, "once more and no oftener"


def test_the_token_endpoint_may_fail_for_a_moment_and_a_wrong_secret_is_told(workspace: Workspace) -> None:
    workspace.fail(
        {"kind": "status", "status": 503, "path": "/oidc"}, {"kind": "cut", "path": "/oidc"}, {"kind": "half", "path": "/oidc"}
    )
    client(workspace).post("/2.0/dbfs/mkdirs", {"path": "/a"})
    assert len(workspace.seen("/oidc")) == 4
    with pytest.raises(AccessDenied, match=r"Client authentication failed(.|\n)*check DATABRICKS_CLIENT_ID") as refused:
        client(workspace, DATABRICKS_CLIENT_SECRET="dose-wrong").post("/2.0/dbfs/mkdirs", {"path": "/a"})
    assert "dose-wrong" not in str(refused.value) and refused.value.exit_code == 2


def test_a_profile_gives_host_and_identity(workspace: Workspace, output: Path) -> None:
    one_row(output)
    file = output.parent / "databrickscfg"
    file.write_text(
        f"[person]\nhost = {workspace.url}\ntoken = {TOKEN}\n"
        f"[machine]\nhost = {workspace.url}\nclient_id = {CLIENT_ID}\nclient_secret = {CLIENT_SECRET}\n"
    )
    profile = {"DATABRICKS_HOST": "", "DATABRICKS_TOKEN": "", "DATABRICKS_CONFIG_FILE": str(file)}
    for name, stage in (("person", "dbfs:/lighthouse/stage"), ("machine", VOLUME)):
        sent = lakehouse(workspace, output, "upload", DATABRICKS_CONFIG_PROFILE=name, LAKEHOUSE_STAGE=stage, **profile)
        assert sent.returncode == 0, sent.stderr
    assert parts(workspace) == 2
    lost = lakehouse(workspace, output, "upload", DATABRICKS_CONFIG_PROFILE="nobody", **profile)
    assert lost.returncode == 2 and "profile nobody gives no access: resolve: " in lost.stderr and "Traceback" not in lost.stderr


@pytest.mark.parametrize(
    ("given", "identity"),
    [
        ({"token": "t"}, "pat"),
        ({"token": "t", "client_id": "i"}, "pat"),
        ({"client_id": "i", "client_secret": "s"}, "oauth-m2m"),
        ({"client_id": "i", "client_secret": "s", "token": "t", "auth_type": "oauth-m2m"}, "oauth-m2m"),
        ({"profile": "p", "token": "t"}, "profile"),
        ({"azure_client_id": "i", "azure_client_secret": "s"}, "azure-client-secret"),
        ({"google_service_account": "a"}, "google-id"),
        ({"auth_type": "github-oidc"}, "github-oidc"),
        ({}, ""),
    ],
)
def test_the_identity_follows_from_what_is_set(given: dict[str, Any], identity: str) -> None:
    assert chosen(given) == identity


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"DATABRICKS_TOKEN": "t"}, []),
        ({"DATABRICKS_TOKEN": "t", "DATABRICKS_CLIENT_ID": "somebody else's"}, []),
        ({}, ["DATABRICKS_TOKEN"]),
        ({"DATABRICKS_CLIENT_ID": "i"}, ["DATABRICKS_CLIENT_SECRET"]),
        ({"DATABRICKS_CLIENT_SECRET": "s", "DATABRICKS_HOST": ""}, ["DATABRICKS_HOST", "DATABRICKS_CLIENT_ID"]),
        ({"DATABRICKS_CLIENT_SECRET": "s", "DATABRICKS_CLIENT_ID": "i", "DATABRICKS_TOKEN": "t"}, ["DATABRICKS_AUTH_TYPE"]),
        ({"ARM_CLIENT_SECRET": "s"}, ["ARM_CLIENT_ID"]),
        ({"ARM_CLIENT_SECRET": "s", "ARM_CLIENT_ID": "i", "DATABRICKS_HOST": "", "DATABRICKS_AZURE_RESOURCE_ID": "/s"}, []),
        ({"DATABRICKS_CONFIG_PROFILE": "p", "DATABRICKS_HOST": ""}, []),
        ({"DATABRICKS_AUTH_TYPE": "google-credentials"}, ["GOOGLE_CREDENTIALS"]),
        ({"DATABRICKS_AUTH_TYPE": "pta", "DATABRICKS_TOKEN": "t"}, ["DATABRICKS_AUTH_TYPE"]),
        ({"DATABRICKS_AUTH_TYPE": "env-oidc"}, []),
    ],
    ids=str,
)
def test_what_is_required_follows_from_the_other_settings(given: dict[str, str], told: list[str]) -> None:
    _, problems = Settings.check(HOST | given)
    assert [problem.setting for problem in problems] == told
    assert all(problem.value != "t" and problem.value != "s" for problem in problems)


def test_a_token_and_a_service_principal_need_no_sdk_and_others_import_it_late(workspace: Workspace, output: Path) -> None:
    """Importing databricks.sdk takes 2.4 CPU seconds, in each of the seven commands of a run."""
    script = "import sys; from lakehouse.cli import main\ntry: main()\nfinally: print('databricks.sdk' in sys.modules)"
    for identity in ({}, PRINCIPAL):
        _, environment = invocation(workspace, output, "bookmarks", **identity)
        done = subprocess.run([sys.executable, "-c", script, "bookmarks"], env=environment, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.split() == ["{}", "False"], done.stdout + done.stderr


def test_the_cli_gets_one_identity_and_no_other(tmp_path: Path) -> None:
    others = {"DATABRICKS_CLIENT_SECRET": "s", "DATABRICKS_CONFIG_PROFILE": "p", "DATABRICKS_AUTH_TYPE": "oauth-m2m"}
    others |= {"ARM_CLIENT_SECRET": "s", "GOOGLE_CREDENTIALS": "g", "PATH": "/bin", "https_proxy": "http://proxy:1"}
    made = cli_environment("https://adb-1.azuredatabricks.net", "eyJ", tmp_path / "none", others)
    assert made == {
        "DATABRICKS_HOST": "https://adb-1.azuredatabricks.net",
        "DATABRICKS_TOKEN": "eyJ",
        "DATABRICKS_CONFIG_FILE": str(tmp_path / "none"),
        "PATH": "/bin",
        "https_proxy": "http://proxy:1",
    }


def test_a_setting_chooses_the_cli_by_path_or_name(
    workspace: Workspace, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_row(output)
    chosen_cli = tmp_path / "bin/databricks-of-ours"
    chosen_cli.parent.mkdir()
    calls = tmp_path / "calls"
    chosen_cli.write_text(f'#!/bin/sh\necho "$@" >>{calls}\nexec {executable()} "$@"\n')
    chosen_cli.chmod(0o755)
    path = f"{chosen_cli.parent}{os.pathsep}{os.environ['PATH']}"
    sent = lakehouse(workspace, output, "upload", LAKEHOUSE_CLI="databricks-of-ours", PATH=path)
    assert sent.returncode == 0 and parts(workspace) == 1, sent.stderr
    assert calls.read_text().startswith("fs cp --recursive --overwrite")
    assert executable(str(chosen_cli)) == str(chosen_cli)
    monkeypatch.setenv("PATH", str(tmp_path))
    lost = lakehouse(workspace, output, "upload", LAKEHOUSE_CLI="databricks-of-nobody", LAKEHOUSE_STAGE="dbfs:/other/stage")
    assert lost.returncode == 4 and "LAKEHOUSE_CLI is databricks-of-nobody, and there is no such program" in lost.stderr
    beside = tmp_path / "python/databricks"
    beside.parent.mkdir()
    beside.symlink_to(chosen_cli)
    monkeypatch.setattr(sys, "executable", str(beside.with_name("python")))
    assert executable() == str(beside)
    beside.unlink()
    monkeypatch.setenv("PATH", str(chosen_cli.parent))
    (chosen_cli.parent / "databricks").symlink_to(chosen_cli)
    assert executable() == str(chosen_cli.parent / "databricks")


def test_the_check_knows_every_variable_of_an_identity() -> None:
    """`lakehouse --check`, which entrypoint.sh asks before anything is connected to."""
    config = json.dumps(HOST | {"ARM_CLIENT_ID": "i", "ARM_CLIENT_SECRET": "s"})
    done = subprocess.run([sys.executable, "-m", "lakehouse.cli", "--check"], input=config, capture_output=True, text=True)
    assert done.returncode == 0 and json.loads(done.stdout)["problems"] == []


def test_the_security_page_shows_complete_settings_and_names_every_variable_of_an_identity() -> None:
    page = (ROOT / "docs/security.md").read_text()
    [block] = re.findall(r"^```dotenv\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    _, problems = Settings.check(dict(line.split("=", 1) for line in block.splitlines()) | {"DATABRICKS_CLUSTER_ID": "c"})
    assert problems == []
    others = {"host", "azure_resource_id"}  # where the workspace is, not who calls
    assert [name for key, name in VARIABLES.items() if key not in others and f"`{name}`" not in page] == []
