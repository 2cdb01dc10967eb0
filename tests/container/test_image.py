"""The project's own Dockerfile, built by a real Docker engine, and the image run against the three counterparts."""

from __future__ import annotations

import json
import re
import secrets
import shlex
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mssql_python
import pytest
from container_engine import Engine, engine
from deltalake import DeltaTable

from sandbox.launch import Sandbox, sandbox

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]
TAG = "lighthouse-ingestion-pipeline:test"
SCALE = 0.02
REQUIRED = (
    "TAP_MSSQL_HOST", "TAP_MSSQL_USER", "TAP_MSSQL_PASSWORD", "TAP_MSSQL_DATABASE", "API_HOST", "API_USER", "API_PASSWORD",
    "DATABRICKS_HOST", "DATABRICKS_TOKEN",
)  # fmt: skip
CERTIFICATE = "/run/server.pem"
USER = "4321:4321"


@dataclass(frozen=True)
class Image:
    """A built image, the engine that has it, and the secrets of this run."""

    engine: Engine
    seconds: float
    secrets: tuple[str, ...]

    def run(self, *arguments: str, timeout: float = 480) -> subprocess.CompletedProcess[str]:
        return self.engine.docker("run", "--rm", *arguments, timeout=timeout)

    def shell(self, script: str) -> str:
        """Standard output of a script inside the image, as root, so that nothing is hidden from it."""
        return self.engine.must("run", "--rm", "--user", "0", "--entrypoint", "sh", TAG, "-c", script)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("services"), SCALE) as running:
        yield running


@pytest.fixture(scope="module")
def variables(services: Sandbox) -> dict[str, str]:
    """The environment of a run; the certificate is where it is mounted."""
    return {**services.environment, "TAP_MSSQL_SERVER_CERTIFICATE": CERTIFICATE}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A short path: the name of a socket has a limit."""
    folder = Path("/tmp") / f"lighthouse-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
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


def write_env(path: Path, variables: dict[str, str]) -> Path:
    path.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    return path


def shown_command() -> list[str]:
    """The options of the command in docs/security.md, without the file of variables."""
    [line] = re.findall(r"^docker run .*$", (ROOT / "docs/security.md").read_text(), re.MULTILINE)
    words = shlex.split(line)
    assert (words[:4], words[-1]) == (["docker", "run", "--env-file", ".env"], "lighthouse-ingestion-pipeline")
    return words[4:-1]


def mounted(work: Path) -> tuple[str, ...]:
    """The server's certificate, readable for the image's user."""
    return ("-v", f"{work}/server.pem:{CERTIFICATE}:ro")


def source_rows(services: Sandbox) -> dict[str, int]:
    """Rows per Delta table, asked of the sources themselves."""
    sql, found = services.sqlserver, {}
    parts = {
        "SERVER": f"127.0.0.1,{sql.facts['port']}", "DATABASE": str(sql.facts["database"]), "UID": "reader", "PWD": sql.secret,
        "Encrypt": "yes", "TrustServerCertificate": "yes",
    }  # fmt: skip
    connection = mssql_python.connect(";".join(f"{name}={value}" for name, value in parts.items()), autocommit=True)
    cursor = connection.cursor()
    cursor.execute("SELECT TABLE_SCHEMA, TABLE_NAME FROM INFORMATION_SCHEMA.TABLES")
    for schema, name in [tuple(row) for row in cursor.fetchall()]:
        cursor.execute(f"SELECT COUNT(*) FROM [{schema}].[{name}]")
        found[f"{snake(schema)}_{snake(name)}"] = cursor.fetchone()[0]
    connection.close()
    with urllib.request.urlopen(f"{services.api.facts['url']}/health", timeout=10) as answer:
        counts = json.load(answer)["tables"]
    return found | {f"api_{snake(name)}": rows for name, rows in counts.items()}


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def delta_rows(services: Sandbox) -> dict[str, int]:
    """Rows per Delta table below the workspace's data, without the job's own."""
    tables = services.workspace.data / "dbfs/lighthouse/delta"
    logs = sorted(tables.glob("*/_delta_log"))
    return {
        log.parent.name: DeltaTable(str(log.parent)).to_pyarrow_table().num_rows
        for log in logs
        if not log.parent.name.startswith("_")
    }


def assert_whole_run(done: subprocess.CompletedProcess[str], image: Image) -> list[str]:
    """Exit 0, a table of equal figures last, `done`, and no secret in what was printed; returns the table's lines."""
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    assert re.search(r"  run       done in \d+ s$", done.stderr.rstrip())
    assert not [each for each in image.secrets if each in done.stdout + done.stderr]
    table = done.stdout.rstrip().splitlines()
    head = max(number for number, line in enumerate(table) if line.startswith("stream "))
    lines = [line for line in table[head + 1 :] if re.search(r"\d", line) and not line.startswith(" ")]  # notes follow
    assert lines and all(re.search(r"\byes$", line) for line in lines), done.stdout[-3000:]
    return lines


def test_unconfigured_start_exits_2_and_names_every_missing_variable(image: Image) -> None:
    done = image.run(TAG)
    assert done.returncode == 2
    assert [name for name in REQUIRED if f"{name} is missing" not in done.stderr] == []


def test_env_file_run_loads_every_row(image: Image, services: Sandbox, variables: dict[str, str], work: Path) -> None:
    """One value in double quotes, one in single ones: docker keeps them, .env readers do not, both mean the same."""
    quoted = {"API_PASSWORD": f'"{variables["API_PASSWORD"]}"', "TAP_MSSQL_DATABASE": f"'{variables['TAP_MSSQL_DATABASE']}'"}
    env = write_env(work / "first.env", variables | quoted)
    begin = time.monotonic()
    done = image.run("--network", "host", "--env-file", str(env), *mounted(work), TAG)
    print(f"run: {time.monotonic() - begin:.1f} s")
    assert_whole_run(done, image)
    expected = source_rows(services)
    assert min(expected.values()) >= 0 and sum(expected.values()) > 1000
    assert delta_rows(services) == expected


def test_hardened_run_resumes_and_doubles_nothing(image: Image, services: Sandbox, variables: dict[str, str], work: Path) -> None:
    """A new container without volumes, as docs/security.md shows it, of another user, the token from a file.

    The folders that it may write into are those that the refusal names. The bookmark comes from Delta.
    """
    token = work / "token"
    token.write_text(variables["DATABRICKS_TOKEN"] + "\n")
    token.chmod(0o644)
    env = write_env(work / "second.env", {name: value for name, value in variables.items() if name != "DATABRICKS_TOKEN"})
    secret = ("-v", f"{token}:/run/secrets/token:ro", "-e", "DATABRICKS_TOKEN_FILE=/run/secrets/token")
    options = ("--network", "host", "--env-file", str(env), *mounted(work), *secret)
    shown = shown_command()
    place = shown.index("/tmp") + 1
    strict, folders = shown[:place], shown[place:]
    refused = image.run(*options, *strict, "--user", USER, TAG)
    assert refused.returncode == 2 and "Nothing was done" in refused.stderr, refused.stderr
    told = shlex.split(refused.stderr.strip().splitlines()[-1].partition("in a container add:")[2])
    assert told == [each.replace("10001", "4321") for each in folders]
    done = image.run(*options, *strict, "--user", USER, *told, TAG)
    assert_whole_run(done, image)
    assert delta_rows(services) == source_rows(services)


def test_plain_meltano_run_works_in_the_image(image: Image, variables: dict[str, str], work: Path) -> None:
    """The line of the README, and behind it one manifest per stream."""
    env = write_env(work / "plain.env", variables)
    line = "meltano run tap-mssql target-parquet-sqlserver tap-rest-api-msdk target-parquet-api"
    script = f"{line} && ls output/docker_elt/*/_manifests/*.json"
    done = image.run("--network", "host", "--env-file", str(env), *mounted(work), TAG, "sh", "-c", script)
    assert done.returncode == 0, done.stderr[-3000:]
    folders = [Path(name).parts[2] for name in done.stdout.split() if name.endswith(".json")]
    assert folders.count("api") == 4 and folders.count("sqlserver") > 4


def test_unreachable_server_ends_with_the_step_s_exit_code(image: Image, variables: dict[str, str], work: Path) -> None:
    env = write_env(work / "third.env", variables | {"DATABRICKS_HOST": "http://127.0.0.1:1"})
    done = image.run("--network", "host", "--env-file", str(env), *mounted(work), TAG)
    assert done.returncode == 5, done.stderr[-3000:]


def test_stop_reaches_the_pipeline(image: Image, variables: dict[str, str], work: Path) -> None:
    """`docker stop` is answered with exit 143 before Docker would kill; the entrypoint is process 1 here."""
    env = write_env(work / "fourth.env", variables)
    image.engine.must(
        "run", "-d", "--name", "stopped", "--network", "host", "--env-file", str(env), *mounted(work), TAG, "extract"
    )
    deadline = time.monotonic() + 60
    while "meltano run" not in image.engine.docker("logs", "stopped").stderr:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(1)
    image.engine.must("stop", "--time", "30", "stopped")
    assert image.engine.must("inspect", "-f", "{{.State.ExitCode}}", "stopped").strip() == "143"
    image.engine.must("rm", "stopped")


def test_other_commands_are_passed_on(image: Image) -> None:
    done = image.run(TAG, "meltano", "--version")
    assert done.returncode == 0 and re.fullmatch(r"meltano, version 4\.4\.1\s*", done.stdout)


def test_help_needs_no_configuration(image: Image) -> None:
    done = image.run(TAG, "help")
    assert done.returncode == 0 and done.stdout.startswith("usage: entrypoint.sh")


def test_user_is_10001_and_owns_only_what_a_run_writes(image: Image) -> None:
    assert image.run("--entrypoint", "id", TAG, "-u").stdout.strip() == "10001"
    owned = image.shell("cd /project && find . -user 10001 | sort").split()
    assert owned == ["./.meltano/logs", "./.meltano/run", "./output", "./state"]
    assert image.shell("find /project -perm -o+w ! -type l | head").split() == []


def test_env_file_of_the_context_is_not_in_the_image(image: Image, work: Path) -> None:
    assert (work / "context/.env").is_file()
    names = image.shell("find /project -name '.env*'").split()
    assert names == ["/project/.env.save"]


def test_no_secret_in_history_or_layers(image: Image) -> None:
    history = image.engine.must("history", "--no-trunc", TAG) + image.engine.must("inspect", TAG)
    assert not [each for each in image.secrets if each in history]
    assert not re.search(r"(password|token)\s*=", history, re.IGNORECASE)
    canary = b"your_databricks_personal_access_token"  # of .env.save: the search would find one that was there
    assert image.engine.layers_with(TAG, [canary, *(each.encode() for each in image.secrets)]) == {canary}


def test_the_image_says_what_is_in_it(image: Image) -> None:
    """A CycloneDX document for each environment, with the very versions that are locked."""
    labels = json.loads(image.engine.must("inspect", "-f", "{{json .Config.Labels}}", TAG))
    assert labels["org.opencontainers.image.title"] == "lighthouse-ingestion-pipeline"
    found = {}
    for name in image.shell("ls /project/sbom").split():
        document = json.loads(image.shell(f"cat /project/sbom/{name}"))
        assert document["bomFormat"] == "CycloneDX"
        found[name.removesuffix(".cdx.json")] = {each["name"].lower(): each.get("version") for each in document["components"]}
    assert set(found) == {"meltano", "tap-mssql", "tap-rest-api-msdk", "target-parquet", "lakehouse"}
    for part, folder in (
        ("tap-mssql", "plugins/extractors/tap-mssql"),
        ("lakehouse", "plugins/utilities/lakehouse"),
        ("meltano", "."),
    ):
        locked = dict(re.findall(r"^([a-z0-9._-]+)==(\S+) \\$", (ROOT / folder / "requirements.txt").read_text(), re.MULTILINE))
        told = {name: found[part][name] for name in locked if name in found[part]}
        assert told.items() <= locked.items() and len(told) > len(locked) * 0.8, locked.keys() - told.keys()


def test_no_tools_of_the_build(image: Image) -> None:
    found = image.shell(
        "for n in gcc cc g++ clang make uv uvx git curl; do command -v $n; done; ls /project/.venv/bin | grep -E '^(uv|pip)'; :"
    )
    assert found == ""
    caches = image.shell(
        "find / -xdev -name '*.whl' -o -path '*/.cache/*' -o -path '*/cache/uv*' -o -path '/var/cache/apt/*.bin'"
    )
    assert [line for line in caches.split() if not re.search("^/usr/share/|/virtualenv/seed/", line)] == []
    assert image.shell("ls -A /var/lib/apt/lists; find /project -name 'uv*' -path '*site-packages/uv*' | head").split() == []
    assert not re.search(r"\b(sandbox|tests|bench|docs|scripts)\b", image.shell("ls -A /project"))


def test_size_and_time(image: Image) -> None:
    """Both are printed; the size is this project's own, without the base's, and has a ceiling."""
    whole, base = (
        int(image.engine.must("image", "inspect", "-f", "{{.Size}}", name))
        for name in (TAG, "localhost/lighthouse-base:bookworm")
    )
    print(f"image: {whole / 1e6:.0f} MB, of which base {base / 1e6:.0f} MB; build {image.seconds:.0f} s")
    print(image.shell("du -sm /project/.venv /project/.meltano/*/*/venv"))
    assert whole - base < 380e6
