"""What the tests of the image share: the image, its container's mounts, and what the sources and Delta hold."""

from __future__ import annotations

import base64
import json
import re
import shlex
import subprocess
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import mssql_python
from container_engine import Engine
from deltalake import DeltaTable

from sandbox.launch import Sandbox

ROOT = Path(__file__).resolve().parents[2]
TAG = "lighthouse-ingestion-pipeline:test"
CERTIFICATE = "/run/server.pem"


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


def forms(secrets: tuple[str, ...]) -> list[str]:
    """Each secret as the tools write one: plain, base64, alone and behind its user's name, for a URL, and in JSON."""
    found = []
    for each in secrets:
        coded = [base64.b64encode(text.encode()).decode().rstrip("=") for text in (each, f"reader:{each}", f"token:{each}")]
        found += [each, *coded, urllib.parse.quote(each, safe=""), json.dumps(each)[1:-1]]
    return list(dict.fromkeys(found))


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


def delta_rows(services: Sandbox, place: str = "lighthouse") -> dict[str, int]:
    """Rows per Delta table below the workspace's data, without the job's own."""
    tables = services.workspace.data / "dbfs" / place / "delta"
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
    assert not [form for form in forms(image.secrets) if form in done.stdout + done.stderr]
    table = done.stdout.rstrip().splitlines()
    head = max(number for number, line in enumerate(table) if line.startswith("stream "))
    lines = [line for line in table[head + 1 :] if re.search(r"\d", line) and not line.startswith(" ")]  # notes follow
    assert lines and all(re.search(r"\byes$", line) for line in lines), done.stdout[-3000:]
    return lines
