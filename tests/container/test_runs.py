"""The image, run against the three servers as the pages show it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from image_kit import (
    CERTIFICATE,
    ROOT,
    TAG,
    Image,
    assert_whole_run,
    delta_rows,
    forms,
    mounted,
    shown_command,
    source_rows,
    write_env,
)

from sandbox.launch import Sandbox

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]
REQUIRED = (
    "TAP_MSSQL_HOST", "TAP_MSSQL_USER", "TAP_MSSQL_PASSWORD", "TAP_MSSQL_DATABASE", "API_HOST", "API_USER", "API_PASSWORD",
    "DATABRICKS_HOST", "DATABRICKS_TOKEN",
)  # fmt: skip
USER = "4321:4321"


def test_unconfigured_start_exits_2_and_names_every_missing_variable(image: Image) -> None:
    done = image.run(TAG)
    assert done.returncode == 2
    assert [name for name in REQUIRED if f"{name} is missing" not in done.stderr] == []


def test_a_dead_api_holds_no_table_back_and_a_hardened_run_resumes_and_doubles_nothing(
    image: Image, services: Sandbox, variables: dict[str, str], work: Path
) -> None:
    """A new container without volumes, as docs/security.md shows it, of another user, the token from a file.

    The folders that it may write into are those that the refusal names. The bookmarks come from Delta, where the run before it,
    which no API answered, had left all of SQL Server.
    """
    token = work / "token"
    token.write_text(variables["DATABRICKS_TOKEN"] + "\n")
    token.chmod(0o644)
    env = write_env(work / "second.env", {name: value for name, value in variables.items() if name != "DATABRICKS_TOKEN"})
    secret = ("-v", f"{token}:/run/secrets/token:ro", "-e", "DATABRICKS_TOKEN_FILE=/run/secrets/token")
    options = ("--network", "host", "--env-file", str(env), *mounted(work), *secret)
    dead = image.run(*options, "-e", "API_HOST=http://127.0.0.1:1", TAG)
    assert dead.returncode == 3 and "the next run reads on from there" in dead.stderr, dead.stderr[-3000:]
    expected = source_rows(services)
    assert delta_rows(services) == {name: rows for name, rows in expected.items() if not name.startswith("api_")}
    shown = shown_command()
    place = shown.index("/tmp") + 1
    strict, folders = shown[:place], shown[place:]
    refused = image.run(*options, *strict, "--user", USER, TAG)
    assert refused.returncode == 2 and "Nothing was done" in refused.stderr, refused.stderr
    told = shlex.split(refused.stderr.strip().splitlines()[-1].partition("in a container add:")[2])
    assert told == [each.replace("10001", "4321") for each in folders]
    done = image.run(*options, *strict, "--user", USER, *told, TAG)
    assert_whole_run(done, image)
    assert delta_rows(services) == expected


def test_plain_meltano_run_works_in_the_image(image: Image, variables: dict[str, str], work: Path) -> None:
    """The line of the README, and behind it one manifest per stream; in the container of compose.yaml, with secrets as files.

    Debian's docker-compose reads the project's file, the page's and one for this machine, where containers have no other network.
    """
    folder = work / "compose"
    folder.mkdir()
    shutil.copy(ROOT / "compose.yaml", folder)
    override = yaml.safe_load(fenced_yaml("services:\n  pipeline:"))
    (folder / "compose.override.yaml").write_text(yaml.safe_dump(override))
    here = {"network_mode": "host", "volumes": [f"{work}/server.pem:{CERTIFICATE}:ro"]}
    (folder / "here.yaml").write_text(yaml.safe_dump({"services": {"pipeline": here}}))
    files = {name.removesuffix("_FILE"): path for name, path in override["services"]["pipeline"]["environment"].items()}
    write_env(folder / ".env", {name: value for name, value in variables.items() if name not in files})
    for name, path in files.items():
        secret = folder / override["secrets"][Path(path).name]["file"]
        secret.parent.mkdir(exist_ok=True)
        secret.write_text(variables[name])
        os.chown(secret, 10001, 10001)
        secret.chmod(0o400)
    image.engine.must("tag", TAG, TAG.partition(":")[0])
    line = "meltano run tap-mssql target-parquet-sqlserver tap-rest-api-msdk target-parquet-api"
    compose = [
        "docker-compose",
        *(part for name in ("compose.yaml", "compose.override.yaml", "here.yaml") for part in ("-f", name)),
    ]
    environment = {**os.environ, "DOCKER_HOST": image.engine.host}
    command = [*compose, "run", "--rm", "-T", "pipeline", "sh", "-c", f"{line} && ls output/docker_elt/*/_manifests/*.json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    staged = [Path(name).parts[2] for name in done.stdout.split() if name.endswith(".json")]
    assert staged.count("api") == 4 and staged.count("sqlserver") > 4
    shown = subprocess.run(["docker-compose", "config"], cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0, shown.stderr
    services = yaml.safe_load(shown.stdout)["services"]
    assert services["sqlserver"]["image"].startswith("mcr.microsoft.com/mssql/server:") and services["sqlserver"]["profiles"]
    assert [form for form in forms(image.secrets) if form in done.stdout + done.stderr + shown.stdout] == []


def test_a_terminal_of_docker_shows_how_far_each_stream_is(image: Image, variables: dict[str, str], work: Path) -> None:
    streams = {"TAP_MSSQL_STREAMS": "HumanResources.Department", "TAP_REST_API_MSDK__SELECT": '["!*.*"]'}
    slowly = {"TAP_MSSQL_MAX_ROWS_PER_SECOND": "5"}  # of eight
    env = write_env(work / "terminal.env", variables | streams | slowly)
    done = image.run("-t", "--network", "host", "--env-file", str(env), *mounted(work), TAG, "extract")
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"HumanResources-Department .*\d rows +0\.0 MB", done.stdout), "a bar"
    assert done.stdout.count("\x1b[?25l") and done.stdout.rindex("\x1b[?25h") > done.stdout.rindex("\x1b[?25l"), "the cursor"
    lines = [re.sub(r"^.*\x1b\[[\d;?]*[A-Za-z]", "", line) for line in done.stdout.splitlines()]
    assert any(re.match(r"\d\d:\d\d:\d\d  extract   sqlserver/HumanResources-Department +\d+ rows", line) for line in lines), (
        done.stdout
    )


def fenced_yaml(beginning: str) -> str:
    """The block of docs/how-to-schedule.md that begins like this."""
    [block] = re.findall(
        rf"^```yaml\n({beginning}.*?)^```", (ROOT / "docs/how-to-schedule.md").read_text(), re.MULTILINE | re.DOTALL
    )
    return str(block)


def test_unreachable_server_ends_with_the_step_s_exit_code(image: Image, variables: dict[str, str], work: Path) -> None:
    env = write_env(work / "third.env", variables | {"DATABRICKS_HOST": "http://127.0.0.1:1"})
    done = image.run("--network", "host", "--env-file", str(env), *mounted(work), TAG, "convert")
    assert done.returncode == 5, done.stderr[-3000:]
