"""What a collector heard of the first run: the trace, the figures and the lineage of what was at the source and is in Delta."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from chain_kit import Pipeline, Result
from collector_kit import PARENT_SPAN, SECRETS, TRACE, Collector, Span, collector
from deltalake import DeltaTable
from source_kit import api_tables, rows, snake

from sandbox.launch import Sandbox

CHANGED_LATER = "sales_sales_order_header"  # by tests/chain/test_rerun.py
IN_SQL = {"long": "bigint", "integer": "int", "short": "smallint"}  # Delta's own names of types


@pytest.fixture(scope="module")
def expected(counterparts: Sandbox) -> dict[str, int]:
    """Rows of each table, by its name in Delta, as the sources count them."""
    server = counterparts.sqlserver
    listed = rows(server, "SELECT TABLE_SCHEMA, TABLE_NAME FROM INFORMATION_SCHEMA.TABLES")
    counts = {
        f"{snake(schema)}_{snake(name)}": rows(server, f"SELECT COUNT(*) FROM [{schema}].[{name}]")[0][0]
        for schema, name in listed
    }
    return counts | {name: table.num_rows for name, table in api_tables().items()}


def as_at_the_source(expected: dict[str, int], found: dict[str, int]) -> None:
    """Rows by table are those of the sources."""
    assert found.keys() == expected.keys()
    assert {name: count for name, count in found.items() if name != CHANGED_LATER and count != expected[name]} == {}


@pytest.fixture(scope="module")
def streams(heard: Collector, first: tuple[Pipeline, Result]) -> list[Span]:
    return [each for each in heard.spans if "lighthouse.load_id" in each.attributes]


def test_a_run_is_one_trace_below_that_of_whoever_started_it(heard: Collector, first: tuple[Pipeline, Result]) -> None:
    one, _ = first
    run = heard.span("run")
    assert {each.trace for each in heard.spans} == {TRACE} and run.parent == PARENT_SPAN
    assert run.attributes["lighthouse.exit_code"] == 0 and run.attributes["lighthouse.loads"] == 21
    assert heard.resource["service.name"] == "nightly" and heard.resource["team"] == "data"
    [report] = [json.loads(file.read_text()) for file in sorted(one.output.glob("reports/*.json"))[:1]]
    assert run.attributes["lighthouse.run_id"] == report["run_id"]
    steps = sorted(heard.below(run), key=lambda span: span.began)
    assert [each.name for each in steps] == [each["step"] for each in report["steps"]]
    parents = {each.id: each for each in heard.spans}
    for each in heard.spans:
        if each is not run:
            above = parents[each.parent]
            assert above.began - 0.05 <= each.began <= each.ended <= above.ended + 0.05, each
        assert each.error is None or each.error == "HTTP 404", each  # of folders that the stage does not have yet


def test_each_stream_is_in_it_with_its_ranges_and_requests(
    heard: Collector, streams: list[Span], expected: dict[str, int]
) -> None:
    assert {each.parent for each in streams} == {heard.span("extract").id}
    as_at_the_source(expected, {each.attributes["lighthouse.table"]: each.attributes["lighthouse.rows"] for each in streams})
    for each in streams:
        below, count = heard.below(each), each.attributes["lighthouse.rows"]
        assert each.attributes["lighthouse.equal"] and each.attributes["lighthouse.delta_rows"] == count
        if each.attributes["lighthouse.source"] == "sqlserver":
            assert {span.name for span in below} == {"range"}
            assert sum(span.attributes["lighthouse.rows"] for span in below) == count
        else:
            assert {(span.name, span.kind, span.attributes["http.response.status_code"]) for span in below} == {
                ("request", 3, 200)
            }
            assert sum(span.attributes["http.response.body.size"] for span in below) > 10 * count
    [job] = heard.below(heard.span("convert"), "job")
    assert job.attributes["lighthouse.page"].startswith("http") and heard.below(heard.span("upload"), "databricks fs cp")
    templates = {each.attributes["url.template"] for each in heard.spans if each.name == "request"}
    assert len(templates) > 5 and not [each for each in templates if re.search(r"[?@]", each)]


def test_the_figures_are_those_of_the_run(
    heard: Collector, first: tuple[Pipeline, Result], streams: list[Span], expected: dict[str, int]
) -> None:
    one, _ = first
    by_stream = {
        name: {(where["lighthouse.source"], where["lighthouse.stream"]): value for where, value in heard.metrics[name]}
        for name in ("lighthouse.stream.rows", "lighthouse.stream.size", "lighthouse.table.rows", "lighthouse.stream.failed")
    }
    tables = {(s.attributes["lighthouse.source"], s.attributes["lighthouse.stream"]): s.attributes for s in streams}
    for name in ("lighthouse.stream.rows", "lighthouse.table.rows"):
        as_at_the_source(expected, {tables[key]["lighthouse.table"]: value for key, value in by_stream[name].items()})
    assert set(by_stream["lighthouse.stream.failed"].values()) == {0}
    assert by_stream["lighthouse.stream.size"] == {key: told["lighthouse.bytes"] for key, told in tables.items()}
    [(where, code)] = heard.metrics["lighthouse.run.exit_code"]
    assert (where, code) == ({"lighthouse.target": one.environment["LAKEHOUSE_TARGET"]}, 0)
    run, [(_, seconds)] = heard.span("run"), heard.metrics["lighthouse.run.duration"]
    assert abs(seconds - (run.ended - run.began)) < 0.1


def test_lineage_leads_from_each_source_through_its_files_to_its_table(
    heard: Collector, first: tuple[Pipeline, Result], streams: list[Span], expected: dict[str, int]
) -> None:
    one, _ = first
    run_id = heard.span("run").attributes["lighthouse.run_id"]
    for at, kind in ((0, "START"), (-1, "COMPLETE")):
        event = heard.events[at]
        assert (event["job"]["name"], event["eventType"], event["run"]["runId"]) == ("lighthouse", kind, run_id)
    server = one.sandbox.sqlserver.facts
    api = one.environment["API_HOST"]
    for stream in (each.attributes for each in streams):
        name = f"lighthouse.{stream['lighthouse.source']}.{stream['lighthouse.stream']}"
        extract, convert = (of_job(heard, f"{name}.{step}", run_id) for step in ("extract", "convert"))
        [source], [files] = extract["inputs"], extract["outputs"]
        [again], [table] = convert["inputs"], convert["outputs"]
        assert (again["namespace"], again["name"]) == (files["namespace"], files["name"]), "the graph is connected"
        in_delta = stream["lighthouse.table"]
        assert f"{table['namespace']}{table['name']}" == f"dbfs://127.0.0.1{one.environment['LAKEHOUSE_TARGET'][5:]}/{in_delta}"
        if stream["lighthouse.source"] == "sqlserver":
            assert source["namespace"] == f"mssql://127.0.0.1:{server['port']}"
            database, schema, of_table = source["name"].split(".")
            assert database == server["database"] and f"{snake(schema)}_{snake(of_table)}" == in_delta
            columns = rows(
                one.sandbox.sqlserver,
                f"SELECT COLUMN_NAME, DATA_TYPE FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = '{schema}' "
                f"AND TABLE_NAME = '{of_table}' ORDER BY ORDINAL_POSITION",
            )
            told = [(field["name"], re.split(r"[( ]", field["type"])[0]) for field in source["facets"]["schema"]["fields"]]
            assert [column for column, _ in told] == [column for column, _ in columns]
        else:
            assert api.startswith(source["namespace"])
        statistics = [
            source["inputFacets"]["inputStatistics"], files["outputFacets"]["outputStatistics"],
            again["inputFacets"]["inputStatistics"], table["outputFacets"]["outputStatistics"],
        ]  # fmt: skip
        counts = {each["rowCount"] for each in statistics}
        assert counts == {stream["lighthouse.rows"]} and (in_delta == CHANGED_LATER or counts == {expected[in_delta]})
        assert statistics[1]["size"] == stream["lighthouse.bytes"] and statistics[1]["fileCount"] == stream["lighthouse.files"]
        assert table["facets"]["storage"]["storageLayer"] == "delta"
        delta = json.loads(DeltaTable(str(one.delta / in_delta)).schema().to_json())["fields"]
        types = {field["name"]: IN_SQL.get(field["type"], field["type"]) for field in delta}
        assert {field["name"]: field["type"] for field in table["facets"]["schema"]["fields"]} == types
        assert set(table["facets"]["columnLineage"]["fields"]) == set(types)


def of_job(heard: Collector, name: str, parent: str) -> dict[str, Any]:
    """The last event of a job: complete, and of the same run as the first, which is part of the whole run."""
    begun, done = (event for event in heard.events if event["job"]["name"] == name)
    assert (begun["eventType"], done["eventType"]) == ("START", "COMPLETE")
    assert begun["run"]["runId"] == done["run"]["runId"] and begun["eventTime"] <= done["eventTime"]
    assert done["run"]["facets"]["parent"]["run"]["runId"] == parent
    return done


def test_no_secret_of_the_run_is_in_what_was_sent(heard: Collector, first: tuple[Pipeline, Result]) -> None:
    one, result = first
    secrets = [
        one.environment[name] for name in ("TAP_MSSQL_PASSWORD", "API_PASSWORD", "DATABRICKS_TOKEN", "OPENLINEAGE_API_KEY")
    ]
    secrets.append(one.environment["OTEL_EXPORTER_OTLP_HEADERS"].partition("%20")[2])
    for secret in secrets:
        assert not [body for body in heard.bodies if secret.encode() in body]
        assert not [line for line in (result.text, *result.command_lines) if secret in line]


def test_a_run_that_is_terminated_is_told_as_far_as_it_came(pipeline: Callable[[str], Pipeline]) -> None:
    one = pipeline("terminated")
    one.environment |= SECRETS
    slowly = {"TAP_MSSQL_STREAMS": "HumanResources.Department", "TAP_MSSQL_MAX_ROWS_PER_SECOND": "1"}
    with collector() as heard:
        process = one.start(**heard.places, **slowly)
        deadline = time.monotonic() + 60
        while not list(one.output.glob("spool/*/HumanResources-Department/*")):
            assert process.poll() is None and time.monotonic() < deadline, one.said(process)
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.wait(15)
    assert process.returncode == 143, one.said(process)
    run = heard.span("run")
    assert run.attributes["lighthouse.exit_code"] == 143 and run.error
    assert "extract" in {each.name for each in heard.below(run)}
    assert [value for _, value in heard.metrics["lighthouse.run.exit_code"]] == [143]
    assert [event["eventType"] for event in heard.events if event["job"]["name"] == "lighthouse"] == ["START", "ABORT"]
