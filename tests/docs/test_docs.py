"""What the documents say is so: commands, variables, exit codes, links, and both languages alike."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from docs_kit import DOCUMENTS, PORTUGUESE, README, ROOT, run, variables_in

from bench.table import filled
from lakehouse.steps.report import COLUMNS
from sandbox import project

MELTANO = "meltano run tap-mssql target-parquet-sqlserver tap-rest-api-msdk target-parquet-api"


def fenced(document: Path, language: str = "bash") -> list[str]:
    """The lines of a document's fenced blocks in one language, without comments."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
    lines = [re.sub(r"\s+#.*", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def refuses_unknown_options(tmp_path: Path) -> None:
    """The demo itself is the chain that tests/chain runs; here: the script is whole, and says its usage."""
    done = run("scripts/demo", "--unknown")
    assert done.returncode == 2 and "usage: scripts/demo [--keep]" in done.stderr


def collects_every_test(tmp_path: Path) -> None:
    """These tests are run by it; here: it hands everything to pytest, what may run beside others and what may not."""
    lines = [line.partition(" #")[0].strip() for line in (ROOT / "scripts/test").read_text().splitlines()]
    assert '.venvs/test/bin/python -m pytest ${marks:+-m "$marks"} "$@"' in lines
    assert {"tests 'not alone' -n 3 || failed=$?", "tests alone || failed=$?", "tests '' \"$@\""} < set(lines)
    assert run("bash", "-n", "scripts/test").returncode == 0


def collects(folder: str) -> Callable[[Path], None]:
    """`scripts/test FOLDER` as it is written, but for running what it finds: these tests are among it."""

    def check(tmp_path: Path) -> None:
        bare = ["env", "-u", "LIGHTHOUSE_TEST_ALL", "-u", "COVERAGE_PROCESS_START"]
        done = run(*bare, "scripts/test", folder, "--collect-only", "-q")
        assert done.returncode == 0, done.stdout + done.stderr
        found = {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}
        assert found == {str(file.relative_to(ROOT)) for file in (ROOT / folder).glob("test_*.py")}

    return check


def is_what_ci_runs(tmp_path: Path) -> None:
    """It takes minutes: CI runs it on every commit, before the tests."""
    assert re.search(r"^(.* )?scripts/lint$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert run("bash", "-n", "scripts/lint").returncode == 0


def template_has_every_needed_variable(tmp_path: Path) -> None:
    """A copied template leaves nothing missing; only the values are somebody's own."""
    folder = project.make(tmp_path / "project")
    shutil.copy(folder / ".env.save", folder / ".env")
    done = run("./entrypoint.sh", "check", cwd=folder)
    missing = [line for line in done.stderr.splitlines() if " is missing" in line]
    assert missing == [], done.stderr


def hardened() -> list[str]:
    """The one command of docs/security.md."""
    return fenced(ROOT / "docs/security.md")


IMAGE, RUNS, INTERRUPTED = (f"tests/container/test_{name}.py" for name in ("image", "runs", "interrupted"))
COMMANDS: dict[str, Callable[[Path], None] | str] = {  # command: what runs it, here or as a named test elsewhere
    "scripts/demo": refuses_unknown_options,
    "scripts/test": collects_every_test,
    "scripts/test tests/stage": collects("tests/stage"),
    "scripts/test tests/docs": collects("tests/docs"),
    "scripts/generate": "tests/docs/test_contracts.py::test_the_schema_files_are_those_of_the_models",
    "scripts/lint": is_what_ci_runs,
    "docker build -t lighthouse-ingestion-pipeline .": f"{IMAGE}::test_help_needs_no_configuration",
    "cp .env.save .env": template_has_every_needed_variable,
    "docker run --env-file .env lighthouse-ingestion-pipeline": f"{INTERRUPTED}::test_env_file_run_loads_every_row",
    hardened()[0]: f"{RUNS}::test_a_dead_api_holds_no_table_back_and_a_hardened_run_resumes_and_doubles_nothing",
    "docker compose run --rm pipeline": f"{RUNS}::test_plain_meltano_run_works_in_the_image",
    f".venv/bin/{MELTANO}": f"{RUNS}::test_plain_meltano_run_works_in_the_image",
}


def all_commands() -> list[str]:
    return list(dict.fromkeys(line for document in DOCUMENTS for line in fenced(document)))


@pytest.mark.parametrize("command", all_commands())
def test_every_fenced_command_is_run(command: str, tmp_path: Path) -> None:
    assert command in COMMANDS, f"no test runs {command!r}: add it to COMMANDS"
    check = COMMANDS[command]
    if callable(check):
        check(tmp_path)
        return
    file, _, name = check.partition("::")
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_no_command_is_listed_that_no_document_has() -> None:
    assert sorted(COMMANDS) == sorted(all_commands())


def test_entrypoint_extracts_with_the_line_of_the_readme() -> None:
    """The blocks come from the job in meltano.yml."""
    assert f"meltano run {run('.venv/bin/lighthouse', 'blocks').stdout.strip()}" == MELTANO
    assert f".venv/bin/{MELTANO}" in fenced(README)


@pytest.mark.parametrize("document", [README, PORTUGUESE], ids=["en", "pt"])
def test_inline_commands_exist(document: Path) -> None:
    """`scripts/x WORD`: the script is there, and its usage or text knows the word."""
    for command in re.findall(r"`((?:scripts|\./)[^`]+)`", document.read_text()):
        words = shlex.split(command)
        script = ROOT / words[0]
        assert script.is_file() and os.access(script, os.X_OK), command
        assert all(word in script.read_text() for word in words[1:]), command


@cache
def entrypoint_help() -> str:
    done = run("./entrypoint.sh", "help")
    assert done.returncode == 0
    return done.stdout


def exit_codes(document: Path) -> list[int]:
    return [int(code) for code in re.findall(r"^\| (\d+) \|", document.read_text(), re.MULTILINE)]


def test_exit_codes_are_those_of_the_help() -> None:
    line = next(line for line in entrypoint_help().splitlines() if line.startswith("exit:"))
    assert exit_codes(README) == [int(code) for code in re.findall(r"(?:^exit:|,) (\d+) ", line)]


def test_every_exit_code_has_what_to_look_at_and_what_to_do() -> None:
    assert exit_codes(ROOT / "docs/operations.md") == exit_codes(README)


def test_every_command_of_the_help_is_a_function_and_documented() -> None:
    commands = re.findall(r"^  ([a-z]+) ", entrypoint_help(), re.MULTILINE)
    text, readme = (ROOT / "entrypoint.sh").read_text(), README.read_text()
    assert len(commands) >= 9
    for command in commands:
        assert re.search(rf"^{command}\(\) \{{", text, re.MULTILINE), command
    assert re.search(r"^\| `help` \| lists all commands", readme, re.MULTILINE)
    steps = [step for step in commands if step in ("extract", "upload", "convert", "verify")]
    assert steps == ["extract", "upload", "convert", "verify"]
    assert [step for step in steps if not re.search(rf"^\| {step} \|", readme, re.MULTILINE)] == []


def outline(document: Path) -> dict[str, Any]:
    """What both languages share."""
    text = document.read_text()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return {
        "headings": [len(marks) for marks in re.findall(r"^(#+) ", prose, re.MULTILINE)],
        "commands": fenced(document),
        "variables": sorted(variables_in(document)),
        "exit codes": exit_codes(document),
        "tables": [len(row.split("|")) for row in prose.splitlines() if row.startswith("|")],
        "links": [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("README")],
        "versions": re.findall(r"\d+\.\d+\.\d+", text),
        "code": sorted(set(re.findall(r"`([^`\n]+)`", prose))),
    }


def test_both_languages_say_the_same() -> None:
    english, portuguese = outline(README), outline(PORTUGUESE)
    for part, found in english.items():
        assert portuguese[part] == found, part


def test_the_table_shown_has_the_columns_of_the_report() -> None:
    assert re.search(r"\s+".join(map(re.escape, COLUMNS)), README.read_text())


@cache
def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_relative_links_resolve() -> None:
    broken = []
    for document in (path for path in tracked() if path.suffix == ".md"):
        for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
            target, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", link):
                continue
            file = document.parent / target if target else document
            if not file.exists() or (anchor and anchor not in anchors(file)):
                broken.append(f"{document.relative_to(ROOT)}: {link}")
    assert broken == []


def test_tests_named_in_the_guarantees_exist() -> None:
    named = set(re.findall(r"\btests/\w+", (ROOT / "docs/semantics.md").read_text()))
    assert named and [name for name in sorted(named) if not list((ROOT / name).glob("test_*.py"))] == []


FOREIGN = re.compile(
    rb"^\s*(?:--(?:extra-)?index-url|--find-links|-i |-f )|https?://[^\s\"']*/simple\b|://[^\s/\"']*(?:artifact|nexus|pypi|mirror)"
    rb"|(?<![\w.${}-])/(?:work|root|home|opt/wheels)/",
    re.MULTILINE | re.IGNORECASE,
)


def test_no_index_host_and_no_path_of_a_machine_is_tracked() -> None:
    found = []
    for path in tracked():
        text = b"" if path == Path(__file__) else path.read_bytes()
        found += [f"{path.relative_to(ROOT)}: {match.group().decode(errors='replace')}" for match in FOREIGN.finditer(text)]
    assert found == []


def test_the_tables_of_benchmarks_are_printed_from_the_raw_numbers() -> None:
    document = (ROOT / "docs/benchmarks.md").read_text()
    assert filled(document) == document
    assert all(f"<!-- {name} -->" in document for name in ("programs", "bounds", "rest"))
