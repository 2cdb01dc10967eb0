"""What a collector hears of a run, and that one which does not listen is nobody else's problem. A whole run: tests/chain."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pyarrow as pa
import pytest
from collector_kit import LINEAGE_SECRET, OTLP_SECRET, SECRETS, collector
from lakehouse_kit import TOKEN, Made, Workspace, lakehouse, make_load, result

from lakehouse.telemetry import names, wanted

AT = 1795536000.0  # 2026-11-24 16:00 UTC, when loads made by hand begin
PASSWORD = "s3cret/with&odd=signs"
RUN = "0b0c6a52-6c0b-4b7e-9d0c-6d2f3c1d9a10"


def note(folder: Path, **facts: object) -> None:
    """A line as singer_arrow.noted writes it."""
    with (folder / "noted").open("a") as file:
        file.write(json.dumps(facts) + "\n")


@pytest.fixture
def failed(output: Path, tmp_path: Path) -> tuple[Path, Made]:
    """A run that failed: a load is refused, one of an earlier run is in Delta; a stream was not read, one has not changed."""
    folder = tmp_path / "notes"
    folder.mkdir()
    data = [pa.table({"Id": [1, 2]})]
    bad = make_load(output, "Bad", data, run_id=RUN)
    old = make_load(output, "Old", data, run_id="earlier", started=-9)
    make_load(output, "Kept", data, run_id="earlier", started=-20)
    (folder / "steps").write_text(f"began extract {AT}\nended extract {AT + 10}\nbegan convert {AT + 11}\n")
    (folder / "unread").write_text(f"tap-x: no login with {PASSWORD}\n")
    (folder / "said").write_text(f"lakehouse: {TOKEN} is refused\n")
    for load, told in ((bad, result(bad, "refused", "it is too wide")), (old, result(old, "applied"))):
        note(folder, kind="converted", result=told, manifest=load.path.read_text(), began=AT + 11, ended=AT + 15)
    span = {
        "kind": "span",
        "name": "request",
        "step": "extract",
        "load": None,
        "began": AT + 3,
        "ended": AT + 4,
        "error": "TapError",
    }
    note(folder, **span, stream="Gone", attributes={"http.response.status_code": 200, "url.template": "http://a/b"})
    note(folder, **span | {"error": ""}, stream="Still", attributes={})
    note(folder, kind="dataset", stream="Still", load=None, namespace="https://a", name="/b")
    (folder / "noted").open("a").write('{"kind": "span", "na')  # whoever wrote it was killed
    return folder, bad


def tell(workspace: Workspace, output: Path, notes: Path, code: int, **more: str) -> str:
    """What `lakehouse telemetry` says; it always ends with 0."""
    environment = {**SECRETS, "TAP_X_PASSWORD": PASSWORD, "MELTANO_RUN_ID": RUN, **more}
    done = lakehouse(workspace, output, "telemetry", "--code", str(code), "--notes", str(notes), **environment)
    assert done.returncode == 0 and done.stdout == "", done.stderr
    return done.stderr


def test_a_run_that_failed_is_told_as_one_and_without_a_secret(
    workspace: Workspace, output: Path, failed: tuple[Path, Made]
) -> None:
    notes, bad = failed
    with collector() as heard:
        assert tell(workspace, output, notes, 5, **heard.places) == ""
    run, extract, stream, gone = (heard.span(name) for name in ("run", "extract", "sqlserver/Bad", "Gone"))
    assert run.parent == "" and run.error == run.events[0] == "tap-x: no login with ***"
    assert run.events[1] == "lakehouse: *** is refused"
    assert (run.attributes["lighthouse.exit_code"], run.attributes["lighthouse.loads"]) == (5, 1)
    assert heard.span("convert").parent == run.id and (extract.began, extract.ended) == (AT, AT + 10)
    assert stream.parent == extract.id and stream.error == "refused; it is too wide"
    assert stream.attributes["lighthouse.load_id"] == bad.load_id and stream.attributes["lighthouse.rows"] == 2
    assert gone.parent == extract.id and gone.error == "it was not read to its end"
    assert heard.span("Still").error is None
    [request] = heard.below(gone)
    assert (request.name, request.kind, request.error) == ("request", 3, "TapError")
    assert not {"sqlserver/Old", "sqlserver/Kept"} & {each.name for each in heard.spans}, "what this run did not read"
    assert heard.resource["service.name"] == "lighthouse-ingestion-pipeline"

    values = {name: [value for _, value in points] for name, points in heard.metrics.items()}
    assert values["lighthouse.run.exit_code"] == [5] and values["lighthouse.stream.rows"] == [2]
    failing = {where["lighthouse.stream"]: value for where, value in heard.metrics["lighthouse.stream.failed"]}
    assert failing == {"Bad": 1, "Old": 0, "Gone": 1, "Still": 0}

    told: dict[str, list[str]] = {}
    for event in heard.events:
        told.setdefault(event["job"]["name"].removeprefix("lighthouse."), []).append(event["eventType"])
    assert told == {
        "lighthouse": ["START", "FAIL"], "sqlserver.Old.convert": ["START", "COMPLETE"],
        "sqlserver.Bad.extract": ["START", "COMPLETE"], "sqlserver.Bad.convert": ["START", "FAIL"],
    }  # fmt: skip
    assert [heard.events[at]["job"]["name"] for at in (0, -1)] == ["lighthouse"] * 2
    [refused] = [event for event in heard.events[:-1] if event["eventType"] == "FAIL"]
    assert refused["run"]["facets"]["errorMessage"]["message"] == "refused; it is too wide"
    [table] = refused["outputs"]
    assert (table["name"], table["outputFacets"]["outputStatistics"]["rowCount"]) == ("/lighthouse/delta/bad", 0)
    for secret in (PASSWORD, TOKEN, OTLP_SECRET, LINEAGE_SECRET):
        assert not [body for body in heard.bodies if secret.encode() in body]


def test_a_run_that_was_stopped_is_aborted(workspace: Workspace, output: Path, failed: tuple[Path, Made]) -> None:
    with collector() as heard:
        assert tell(workspace, output, failed[0], 143, OPENLINEAGE_URL=heard.url, OPENLINEAGE_NAMESPACE="mine") == ""
    assert heard.events[-1]["eventType"] == "ABORT" and heard.spans == [] and heard.metrics == {}
    assert {event["job"]["namespace"] for event in heard.events} == {"mine"}


def test_a_collector_that_refuses_is_told_in_a_line(workspace: Workspace, output: Path, failed: tuple[Path, Made]) -> None:
    with collector() as heard:
        wrong = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20another-s3cret", "OPENLINEAGE_API_KEY": "another-s3cret"}
        said = tell(workspace, output, failed[0], 0, **heard.places | wrong)
    assert heard.bodies == [] and heard.refused == 2
    for line, what in zip(said.splitlines(), ("metrics and traces", "lineage events"), strict=True):
        variable = "OPENLINEAGE_URL" if what == "lineage events" else "OTEL_EXPORTER_OTLP_ENDPOINT"
        assert f"{what} were not all sent: " in line and "401" in line and f"Look at {variable}" in line
    assert "another-s3cret" not in said


@pytest.mark.parametrize("is_there", [True, False])
def test_a_collector_that_is_silent_or_gone_holds_up_nothing(
    is_there: bool, workspace: Workspace, output: Path, failed: tuple[Path, Made]
) -> None:
    with collector() as heard:
        heard.status = 0
        if not is_there:
            heard.url = "http://127.0.0.1:1"
        began = time.monotonic()
        said = tell(workspace, output, failed[0], 143, **heard.places)
        seconds = time.monotonic() - began
    assert [line.count(" were not all sent: ") for line in said.splitlines()] == [1, 1], said
    assert seconds < 25, "three, and what clients take to be imported on a busy machine; their own patience is longer"


def test_what_nobody_asks_for_is_not_even_imported(workspace: Workspace, output: Path, failed: tuple[Path, Made]) -> None:
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OPENLINEAGE_URL": "http://127.0.0.1:9"}
    off = {"OTEL_SDK_DISABLED": "true", "OPENLINEAGE_DISABLED": "true", "PYTHONPROFILEIMPORTTIME": "1"}
    said = tell(workspace, output, failed[0], 0, **asked | off)
    assert "lakehouse.telemetry.wanted" in said and "opentelemetry" not in said and "openlineage" not in said


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, ("", "", "")),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "u"}, ("OTEL_EXPORTER_OTLP_ENDPOINT",) * 2 + ("",)),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "u"}, ("", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "")),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "u", "OTEL_METRICS_EXPORTER": "none", "OTEL_TRACES_EXPORTER": "console, otlp"},
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "", ""),
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "u", "OTEL_SDK_DISABLED": "True"}, ("", "", "")),
        ({"OPENLINEAGE_URL": "u", "OPENLINEAGE_DISABLED": "true"}, ("", "", "")),
        ({"OPENLINEAGE__TRANSPORT__TYPE": "file"}, ("", "", "OPENLINEAGE__TRANSPORT__TYPE")),
        ({"OPENLINEAGE_CONFIG": "/f.yml"}, ("", "", "OPENLINEAGE_CONFIG")),
    ],
)
def test_the_standard_variables_say_what_is_sent(given: dict[str, str], found: tuple[str, ...]) -> None:
    assert wanted.wanted(given) == (*found, ())


def test_a_protocol_that_is_not_spoken_is_told() -> None:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "u", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}
    found = wanted.wanted(given)
    assert (found.traces, found.metrics) == ("", "OTEL_EXPORTER_OTLP_ENDPOINT")
    assert found.problems == (
        "traces were not sent: OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is grpc, and http/protobuf alone is spoken",
    )


def test_tables_are_named_as_openlineage_names_them() -> None:
    host = "https://adb-1.7.azuredatabricks.net"
    assert names.table(host, "main.sales", "orders") == ("databricks://adb-1.7.azuredatabricks.net", "main.sales.orders")
    assert names.table(host, "dbfs:/lake", "orders") == ("dbfs://adb-1.7.azuredatabricks.net", "/lake/orders")
    assert names.table("", "abfss://c@a.dfs.core.windows.net/lake", "o") == ("abfss://c@a.dfs.core.windows.net", "/lake/o")
    folder = "/Volumes/main/lighthouse/stage/api/orders"
    assert names.files(host, "/Volumes/main/lighthouse/stage", "api", "orders") == ("dbfs://adb-1.7.azuredatabricks.net", folder)
