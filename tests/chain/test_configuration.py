"""What users write into variables and meltano.yml: every problem is told by `check`, before anything is connected to, exit 2."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chain_kit import Pipeline, Result, free_port
from ruamel.yaml import YAML


@pytest.fixture(scope="module")
def project(pipeline: Callable[[str], Pipeline]) -> Pipeline:
    return pipeline("configuration")


def problems(result: Result) -> list[str]:
    """The lines of a refused configuration."""
    assert result.code == 2, result.text
    assert "Traceback" not in result.text
    assert "nothing was connected to, nothing was changed" in result.text
    return [line.removeprefix("  - ") for line in result.text.splitlines() if line.startswith("  - ")]


def edit(project: Pipeline, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes the project's meltano.yml."""
    file = project.folder / "meltano.yml"
    yaml = YAML()
    content = yaml.load(file)
    change(content)
    yaml.dump(content, file)


def extractor(content: dict[str, Any], name: str) -> dict[str, Any]:
    """A tap in meltano.yml."""
    return next(each for each in content["plugins"]["extractors"] if each["name"] == name)


MISTAKES: dict[str, dict[str, str]] = {  # what is told, and of which variables; no two are about one name
    "TAP_MSSQL_PORT=fourteen must be a whole number, for example: TAP_MSSQL_PORT=1433": {"TAP_MSSQL_PORT": "fourteen"},
    "TAP_MSSQL_MAX_PARALLEL=abc must be a whole number, for example: TAP_MSSQL_MAX_PARALLEL=4": {"TAP_MSSQL_MAX_PARALLEL": "abc"},
    "TAP_MSSQL_MAX_PARALEL is no variable of this pipeline; did you mean TAP_MSSQL_MAX_PARALLEL?": {"TAP_MSSQL_MAX_PARALEL": "4"},
    "LAKEHOUSE_STAEG is no variable of this pipeline; did you mean LAKEHOUSE_STAGE?": {"LAKEHOUSE_STAEG": "dbfs:/x/y"},
    "API_PASWORD is no variable of this pipeline; did you mean API_PASSWORD?": {"API_PASWORD": "x"},
    "DATABRICKS_TOKNE is no variable of this pipeline; did you mean DATABRICKS_TOKEN?": {"DATABRICKS_TOKNE": "x"},
    "TAP_MSSQL_ENCRYPT=maybe must be yes, strict or no, for example: TAP_MSSQL_ENCRYPT=yes": {"TAP_MSSQL_ENCRYPT": "maybe"},
    "TAP_MSSQL_SERVER_CERTIFICATE names /no/ca.pem, and there is no such file": {"TAP_MSSQL_SERVER_CERTIFICATE": "/no/ca.pem"},
    "LAKEHOUSE_JOB_TIMEOUT=2h must be a whole number, for example: LAKEHOUSE_JOB_TIMEOUT=7200": {"LAKEHOUSE_JOB_TIMEOUT": "2h"},
    "LAKEHOUSE_STAGE=s3://bucket/x must be a folder on DBFS": {"LAKEHOUSE_STAGE": "s3://bucket/x"},
    "LAKEHOUSE_TARGET=a.b.c must be a schema, catalog.schema, or an absolute path": {"LAKEHOUSE_TARGET": "a.b.c"},
    "API_HOST=ftp://api.example.com must be the API's address": {"API_HOST": "ftp://api.example.com"},
    "API_USER is missing; auth_method: basic needs it": {"API_USER": "   "},
    "TAP_MSSQL_STREAM_OPTIONS must be a list of objects": {"TAP_MSSQL_STREAM_OPTIONS": '{"Sales": {"*": {"lookback": 5}}}'},
    "TAP_MSSQL_PASSWORD and TAP_MSSQL_PASSWORD_FILE are both set; keep one": {"TAP_MSSQL_PASSWORD_FILE": "/nowhere"},
    "TARGET_PARQUET_FILE_SIZE=big must be a whole number": {"TARGET_PARQUET_FILE_SIZE": "big"},
}
OTHERS: dict[str, dict[str, str]] = {
    "TAP_MSSQL_PORT=65536 must be a whole number <= 65535, for example: TAP_MSSQL_PORT=1433": {"TAP_MSSQL_PORT": "65536"},
    "LAKEHOUSE_STAGE=/Volumes/main/x must be a folder on DBFS": {"LAKEHOUSE_STAGE": "/Volumes/main/x"},
    "TAP_MSSQL_STREAM_OPTIONS (stream_options[a.b].lokback) there is no such setting; did you mean lookback?": {
        "TAP_MSSQL_STREAM_OPTIONS": '[{"pattern": "a.b", "lokback": 5}]'
    },
    "API_PASSWORD_FILE cannot read /nowhere: No such file or directory": {"API_PASSWORD": "", "API_PASSWORD_FILE": "/nowhere"},
    "TAP_MSSQL_PASSWORD is not used by authentication: managed_identity": {"TAP_MSSQL_AUTHENTICATION": "managed_identity"},
}
ALONE = {
    "ON_FAILURE=go must be deliver or stop": {"ON_FAILURE": "go"},
    "LOG_FORMAT=xml must be text or json": {"LOG_FORMAT": "xml"},
    "ALERT_WEBHOOK must be a URL": {"ALERT_WEBHOOK": "hooks.example.com"},
    "LAKEHOUSE_NEW_CLUSTER and DATABRICKS_CLUSTER_ID are both set": {"LAKEHOUSE_NEW_CLUSTER": '{"spark_version": "x"}'},
    "LAKEHOUSE_VACUUM_HOURS has no effect": {"LAKEHOUSE_VACUUM_HOURS": "720"},
}


@pytest.mark.parametrize("mistakes", [MISTAKES, OTHERS, ALONE], ids=["many", "others", "one"])
def test_wrong_variables_are_told_at_once_as_the_user_wrote_them(mistakes: dict[str, dict[str, str]], project: Pipeline) -> None:
    changes = {name: value for each in mistakes.values() for name, value in each.items()}
    found = problems(project.run("check", **changes))
    for told in mistakes:
        assert sum(line.startswith(told) for line in found) == 1, (told, found)
    about = {re.split(r"[ =]", line)[0] for line in mistakes} | changes.keys()
    assert {re.split(r"[ =]", line)[0] for line in found} <= about and len(found) <= 2 * len(mistakes), found
    secrets = [project.environment[name] for name in ("TAP_MSSQL_PASSWORD", "API_PASSWORD", "DATABRICKS_TOKEN")]
    assert not any(secret in line for secret in secrets for line in found)


def test_what_connects_begins_with_the_check(project: Pipeline) -> None:
    for command in (["run"], ["plan"], ["repair"], ["drop", "2026"], ["convert"]):  # one of each kind
        result = project.run(*command, TAP_MSSQL_MAX_PARALLEL="abc")
        assert len(problems(result)) == 1, command
        assert result.text.count("\n") == 3, result.text


def test_the_unfilled_template_is_told_name_by_name(project: Pipeline) -> None:
    shutil.copy(project.folder / ".env.save", project.folder / ".env")
    try:
        found = problems(project.run("check", **dict.fromkeys(project.environment, "")))
    finally:
        (project.folder / ".env").unlink()
    for name in ("TAP_MSSQL_HOST", "TAP_MSSQL_USER", "TAP_MSSQL_PASSWORD", "TAP_MSSQL_DATABASE", "API_HOST", "API_USER",
                 "API_PASSWORD", "DATABRICKS_HOST", "DATABRICKS_TOKEN"):  # fmt: skip
        assert sum(line.startswith(f"{name} still holds the template's ") for line in found) == 1, found
    assert len(found) == 9, found


@pytest.mark.parametrize(("mode", "commands"), [("managed_identity", ("extract", "plan", "doctor")), ("default", ("doctor",))])
def test_an_entra_login_needs_neither_user_nor_password(mode: str, commands: tuple[str, ...], project: Pipeline) -> None:
    """The check passes; then the driver is asked, and says that there is no such server."""
    entra = {"TAP_MSSQL_USER": "", "TAP_MSSQL_PASSWORD": "", "TAP_MSSQL_AUTHENTICATION": mode, "TAP_MSSQL_PORT": str(free_port())}
    assert project.run("check", **entra).code == 0
    for command in commands:
        result = project.run(command, **entra)
        assert result.code == 3 and "The configuration has" not in result.text and "Traceback" not in result.text, result.text


def test_an_entra_application_needs_its_id_and_secret(project: Pipeline) -> None:
    entra = {"TAP_MSSQL_USER": "", "TAP_MSSQL_PASSWORD": "", "TAP_MSSQL_AUTHENTICATION": "service_principal"}
    found = problems(project.run("check", **entra))
    assert [line.partition(" ")[0] for line in found] == ["TAP_MSSQL_CLIENT_ID", "TAP_MSSQL_CLIENT_SECRET"]
    assert project.run("check", **entra, TAP_MSSQL_CLIENT_ID="a", TAP_MSSQL_CLIENT_SECRET="b").code == 0


@pytest.mark.parametrize(
    "changes",
    [
        {
            "TAP_MSSQL_MAX_PARALLEL": '"2"',
            "TAP_MSSQL_STREAMS": "Sales.*",
            "TAP_MSSQL_HOST": "[::1]",
            "TAP_MSSQL__SELECT": '["Sales-*.*"]',
            "TAP_REST_API_MSDK_LOGLEVEL": "DEBUG",
            "API_HOST": "http://[::1]:8080",
            "DATABRICKS_HOST": "adb-1.azuredatabricks.net",
            "DATABRICKS_CLIENT_ID": "somebody-else's",
            "LAKEHOUSE_TARGET": "my-catalog.sales",
        },
        {
            "TAP_MSSQL_STREAMS": '["Sales.*"]',
            "DATABRICKS_HOST": "https://[::1]:8443/",
            "DATABRICKS_TOKEN": "",
            "DATABRICKS_CONFIG_PROFILE": "p",
            "DATABRICKS_CONFIG_FILE": "/its/own/name",
            "LAKEHOUSE_TARGET": "'my-catalog.sales'",
        },
        {"DATABRICKS_TOKEN": "", "ARM_CLIENT_ID": "i", "ARM_CLIENT_SECRET": "'s'"},
    ],
)
def test_what_is_right_is_accepted_however_it_is_written(changes: dict[str, str], project: Pipeline) -> None:
    result = project.run("check", **changes)
    assert result.code == 0, result.text
    assert result.text.endswith("the configuration is complete\n")


def test_every_setting_can_come_from_a_file(project: Pipeline, tmp_path: Path) -> None:
    changes = {}
    for name in (
        "TAP_MSSQL_HOST",
        "TAP_MSSQL_MAX_PARALLEL",
        "TAP_REST_API_MSDK_PAGINATION_PAGE_SIZE",
        "API_USER",
        "DATABRICKS_TOKEN",
    ):
        (tmp_path / name).write_text(project.environment.get(name, "7") + "\r\n", encoding="utf-8-sig")  # as Windows' editors do
        changes |= {name: "", f"{name}_FILE": str(tmp_path / name)}
    assert project.run("check", **changes).code == 0
    (tmp_path / "TAP_MSSQL_MAX_PARALLEL").write_text("many")
    assert problems(project.run("check", **changes))[0].startswith("TAP_MSSQL_MAX_PARALLEL=many must be a whole number")


# How each is written into .env, and what it means. A dollar in the other variables is one that Meltano itself expands.
VALUES = {
    "API_PASSWORD": ("'a$b # c\"d'", 'a$b # c"d'),
    "API_USER": ("a#b$c", "a#b$c"),
    "TAP_REST_API_MSDK_USER_AGENT": ("'it\\'s \\\\'", "it's \\"),
    "TAP_REST_API_MSDK_BACKOFF_PARAM": ('"a\'b #c"', "a'b #c"),
    "TAP_REST_API_MSDK_PAGINATION_TOTAL_LIMIT_PARAM": ("plain-value_1.0", "plain-value_1.0"),
}
SETTINGS = {"API_PASSWORD": "password", "API_USER": "username"}


def test_a_value_of_the_env_file_is_the_same_for_every_reader(pipeline: Callable[[str], Pipeline]) -> None:
    """entrypoint.sh, plain Meltano, and Docker (which hands the raw text over) end with one value."""
    one, unset = pipeline("dotenv"), dict.fromkeys(VALUES, "")
    show = ["python3", "-c", f"import json, os; print(json.dumps([os.environ[name] for name in {list(VALUES)}]))"]
    (one.folder / ".env").write_text("".join(f"{name}={line}\n" for name, (line, _) in VALUES.items()))
    by_file = one.run(*show, **unset)
    meltano = one.run("meltano", "--log-level=error", "config", "--unsafe", "print", "tap-rest-api-msdk", **unset)
    (one.folder / ".env").unlink()
    by_docker = one.run(*show, **{name: line for name, (line, _) in VALUES.items()})
    wanted = [value for _, value in VALUES.values()]
    assert json.loads(by_file.text) == json.loads(by_docker.text) == wanted
    told = json.loads(meltano.text[meltano.text.index("{\n") : meltano.text.rindex("}") + 1])
    assert [told[SETTINGS.get(name, name.removeprefix("TAP_REST_API_MSDK_").lower())] for name in VALUES] == wanted


@pytest.mark.parametrize("blank", [" ", "''"])
def test_a_blank_variable_leaves_what_the_env_file_says(blank: str, project: Pipeline) -> None:
    """As one of a compose file that passes on what is not set."""
    (project.folder / ".env").write_text("TAP_MSSQL_PORT=many\n")
    try:
        found = problems(project.run("check", TAP_MSSQL_PORT=blank))
    finally:
        (project.folder / ".env").unlink()
    assert [line.partition(" ")[0] for line in found] == ["TAP_MSSQL_PORT=many"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "API_PASSWORD=a #b",
            "API_PASSWORD on line 1 of .env means one value to Meltano and another to Docker; put the value between",
        ),
        (
            "API_PASSWORD='a${HOME}b'",
            "API_PASSWORD on line 1 of .env means one value to Meltano and another to Docker; write it into",
        ),
        ("API_PASSWORD 'x'", "line 1 of .env is not NAME=value"),
        ("# two empty lines\n\n\nAPI_PASSWORD=a #b", "API_PASSWORD on line 4 of .env means one value to Meltano and another"),
        ("API_USER=a\nAPI_PASSWORD=b\nAPI_USER=c", "API_USER is on line 1 and on line 3 of .env; keep one of them"),
        ("API_PASSWORD='a\nb'", "API_PASSWORD begins on line 1 of .env and ends on another one, while Docker's values end"),
        ("export API_PASSWORD=a", "line 1 of .env begins otherwise than API_PASSWORD=, and Docker would not take it"),
        ("API_PASSWORD = a", "line 1 of .env begins otherwise than API_PASSWORD=, and Docker would not take it"),
        ("API_USER=a\nAPI_PASSWORD=\xe7", ".env is not UTF-8 text, on line 2; save it as UTF-8"),
    ],
)
def test_a_line_that_readers_would_read_differently_is_refused(line: str, told: str, project: Pipeline) -> None:
    (project.folder / ".env").write_bytes(f"{line}\n".encode("latin-1"))
    try:
        found = problems(project.run("check"))
    finally:
        (project.folder / ".env").unlink()
    assert found[0].startswith(told), found


def test_problems_in_meltano_yml_are_told_by_their_place(pipeline: Callable[[str], Pipeline]) -> None:
    one = pipeline("yml")

    def change(content: dict[str, Any]) -> None:
        rest = extractor(content, "tap-rest-api-msdk")["config"]
        stream = rest["streams"][0]
        stream["schema"]["properties"]["SubTotal"]["x-sql-datatype"] = "decimal(50,2)"
        stream["schema"]["properties"]["Status"]["type"] = "intger"
        stream["records_path"] = "$.data[*"
        stream["start_date"] = "yesterday"
        stream["source_search_query"] = "gt:now"
        rest["pagination_page_sise"] = 10
        extractor(content, "tap-mssql")["config"]["stream_options"] = {"Sales.*": {"replication_key": "ModifiedDate"}}

    edit(one, change)
    found = problems(one.run("check"))
    place = "meltano.yml, tap-rest-api-msdk, streams[SalesOrderHeader]"
    for told in (
        f"{place}.schema.properties.SubTotal has a type that cannot be: decimal(50,2)",
        f"{place}.schema.properties.Status has type intger, which JSON Schema does not have; did you mean integer?",
        f"{place}.records_path '$.data[*' must be a JSONPath",
        f"{place}.start_date 'yesterday' must be a date or a time",
        f"{place}.source_search_query must hold $last_run_date",
        "meltano.yml, tap-rest-api-msdk, pagination_page_sise there is no such setting; did you mean pagination_page_size?",
        "meltano.yml, tap-mssql, stream_options must be a list of objects, each with its pattern",
    ):
        assert sum(line.startswith(told) for line in found) == 1, (told, found)


@pytest.mark.parametrize("where", ["meltano.yml", "variable", "variable in the form of an object"])
def test_stream_options_reach_the_tap_through_meltano(where: str, pipeline: Callable[[str], Pipeline]) -> None:
    one = pipeline(f"options-{where.split()[-1].replace('.', '-')}")
    option = {"pattern": "Sales.SalesTerritory", "replication_key": "ModifiedDate"}
    changes = {"TAP_MSSQL__SELECT": '["Sales-SalesTerritory.*"]'}
    if where == "meltano.yml":
        edit(one, lambda content: extractor(content, "tap-mssql")["config"].update(stream_options=[option]))
    elif where == "variable":
        changes["TAP_MSSQL_STREAM_OPTIONS"] = json.dumps([option])
    else:
        changes["TAP_MSSQL_STREAM_OPTIONS"] = json.dumps({option["pattern"]: {"replication_key": "ModifiedDate"}})
    run = one.run("meltano", "run", "tap-mssql", "target-parquet-sqlserver", **changes)
    assert run.code == 0, run.text
    manifest = one.manifest("Sales-SalesTerritory")
    assert manifest["mode"] == "overwrite" and manifest["cursor"]["column"] == "ModifiedDate"


def test_configuration_that_only_the_tap_can_judge_is_2_as_well(project: Pipeline) -> None:
    result = project.run("extract", TAP_MSSQL_STREAMS="Sale.*")
    assert result.code == 2, result.text
    assert (
        result.code == 2
        and "Sale.*" in result.text
        and "no table or view that this login may see" in result.text
        and "Traceback" not in result.text
    )


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["plans"], "entrypoint.sh: there is no command 'plans'; did you mean plan? type: entrypoint.sh help"),
        (["frobnicate"], "entrypoint.sh: there is no command 'frobnicate' type: entrypoint.sh help"),
        (["plan", "--jsn"], "entrypoint.sh: there is no option --jsn; did you mean --json?"),
        (["doctor", "--json", "more"], "entrypoint.sh: 'more' is too much"),
        (["run", "now"], "entrypoint.sh: 'now' is too much"),
    ],
)
def test_a_mistyped_command_says_what_was_wrong(command: list[str], told: str, project: Pipeline) -> None:
    result = project.run(*command)
    assert result.code == 2
    assert result.text.startswith(told) and result.text.count("\n") == 1, result.text


def test_the_reader_of_meltano_yml_hands_over_what_meltano_would(project: Pipeline, pipeline: Callable[[str], Pipeline]) -> None:
    """The same configuration for every plugin, from variables, references, inheritance and nested names."""
    one = pipeline("same")
    changes = {
        "TAP_MSSQL_MAX_PARALLEL": "3", "TAP_MSSQL_PASSWORD": "p$HOME${HOME}\\$x", "TARGET_PARQUET_FILE_SIZE": "5",
        "TARGET_PARQUET_SQLSERVER_MAX_BATCH_SIZE": "6", "TAP_MSSQL_BATCH_CONFIG_STORAGE_ROOT": "file:///x",
        "TAP_REST_API_MSDK_STREAMS": '[{"name": "x"}]', "API_USER": "",
    }  # fmt: skip
    for name in ("tap-mssql", "tap-rest-api-msdk", "target-parquet-sqlserver", "target-parquet-api"):
        meltano = one.run("meltano", "--log-level=error", "config", "--unsafe", "print", name, **changes)
        theirs = json.loads(meltano.text[meltano.text.index("{\n") : meltano.text.rindex("}") + 1])
        script = (
            "import json, os; from pathlib import Path; from lighthouse.project import Project; "
            f"print(json.dumps(Project(Path('.')).plugins['{name}'].config(os.environ)))"
        )
        ours = one.run("python3", "-c", script, **changes)
        assert json.loads(ours.text) == theirs, name


def test_what_only_meltano_can_resolve_is_asked_of_it(pipeline: Callable[[str], Pipeline]) -> None:
    """An environment's own configuration in meltano.yml counts, for `check` and for a run alike."""
    one = pipeline("environments")
    of_the_environment = {"plugins": {"extractors": [{"name": "tap-mssql", "config": {"max_parallel": "many"}}]}}
    edit(one, lambda content: content["environments"][0].update(config=of_the_environment))
    assert problems(one.run("check")) == ["meltano.yml, tap-mssql, max_parallel 'many' must be a whole number, for example: 4"]


@pytest.mark.parametrize("uri", ["", "systemdb"])
def test_one_process_writes_every_state_as_meltano_reads_it(uri: str, pipeline: Callable[[str], Pipeline]) -> None:
    """In the files of meltano.yml, and in another backend of Meltano's."""
    one = pipeline(f"state-{uri}")
    bookmarks = {"sqlserver": {"bookmarks": {"Sales-X": {"replication_key": "a", "replication_key_value": "1"}}}}
    text = json.dumps(bookmarks)
    done = one.run("bash", "-c", f"lighthouse state - <<< '{text}'", MELTANO_STATE_BACKEND_URI=uri)
    assert done.code == 0, done.text
    read = one.run("meltano", "--log-level=error", "state", "get", "dev:tap-mssql-to-target-parquet-sqlserver",
                   MELTANO_STATE_BACKEND_URI=uri)  # fmt: skip
    assert json.loads(read.text.splitlines()[-1]) == {"singer_state": bookmarks["sqlserver"]}
    assert not (one.folder / "state/dev:tap-rest-api-msdk-to-target-parquet-api").exists()
