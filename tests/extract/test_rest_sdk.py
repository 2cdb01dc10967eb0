"""The SDK's own tests of a tap for tap-rest-api-msdk, with RECORD and with BATCH output."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from api_kit import runs
from api_kit.runs import settings, stream
from api_kit.server import Api
from api_kit.styles import STYLES
from api_kit.table import Table, rows

SCRIPT = """
import json
from pathlib import Path
from singer_sdk.configuration import _dict_config
from singer_sdk.testing import SuiteConfig, get_tap_test_class
from tap_rest_api_msdk.tap import TapRestApi

_dict_config.find_dotenv = lambda: ""  # the project's .env, which the demo leaves, is of another API

config = json.loads(Path(__file__).with_name("config.json").read_text())
suite = SuiteConfig(ignore_no_records_for_streams=["empty"], ignore_no_records="batch_config" in config)
TestTap = get_tap_test_class(TapRestApi, config=config, suite_config=suite)
"""


def serving() -> Api:
    """An API with a stream of 35 records, the same as an incremental one, and one without records."""
    held, none = STYLES["offset"].serve(Table(rows(35))), STYLES["offset"].serve(Table([]))
    return Api(lambda request: (none if request.path == "/empty" else held)(request))


def streams() -> list[dict[str, Any]]:
    later = stream(name="later", replication_key="at", start_date="2026-01-01T00:00:00Z")
    return [stream(), later, stream(name="empty", path="/empty"), stream(name="inferred", schema=None)]


@pytest.mark.parametrize("batch", [False, True], ids=["RECORD", "BATCH"])
def test_the_standard_tests_of_the_sdk_pass(batch: bool, tmp_path: Path) -> None:
    with serving() as api:
        config = settings(api.url, tmp_path / "spool" if batch else None, *streams())
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "test_standard.py").write_text(SCRIPT)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "passed" in done.stdout


def test_records_and_batches_have_the_same_schema_and_the_same_rows(tmp_path: Path) -> None:
    with serving() as api:
        parts = runs.run(tmp_path / "b", settings(api.url, tmp_path / "b/spool", *streams()))
        records = runs.run(tmp_path / "r", settings(api.url, None, *streams()))
    for run in (parts, records):
        runs.bounded(run)
        assert run.code == runs.ENDED, run.log
    for name in ("things", "later", "empty", "inferred"):
        [left], [right] = parts.sent("SCHEMA", name), records.sent("SCHEMA", name)
        assert left["schema"]["properties"] == right["schema"]["properties"]
        assert [row["id"] for row in runs.in_order(parts.staged(name))] == [row["id"] for row in records.records(name)]
    bookmarks = [run.messages[-1]["value"]["bookmarks"]["later"] for run in (parts, records)]
    assert len({datetime.fromisoformat(bookmark.pop("replication_key_value")) for bookmark in bookmarks}) == 1
    assert len(bookmarks[0].pop("again")) == 64, "of RECORDs the tap keeps no rows to know again"
    assert bookmarks[0] == bookmarks[1]


@pytest.mark.parametrize("batch", [False, True], ids=["RECORD", "BATCH"])
def test_the_next_run_begins_at_the_bookmark(batch: bool, tmp_path: Path) -> None:
    held = Table(rows(35))

    def since(request: Any) -> Any:
        newer = [row for row in held.rows if row["at"] > request.query.get("changed", "")]
        return STYLES["offset"].serve(Table(newer))(request)

    search = {"source_search_field": "changed", "source_search_query": "$last_run_date"}
    things = stream(replication_key="at", **search)
    with Api(since) as api:
        first = runs.run(tmp_path / "1", settings(api.url, tmp_path / "1/spool" if batch else None, things))
        assert first.code == runs.ENDED, first.log
        state = tmp_path / "state.json"
        state.write_text(json.dumps(first.messages[-1]["value"]))
        held.become([*held.rows, held.new(), held.new()])
        config = settings(api.url, tmp_path / "2/spool" if batch else None, things)
        second = runs.run(tmp_path / "2", config, "--state", str(state))
    assert second.code == runs.ENDED, second.log
    found = second.staged() if batch else second.records()
    assert {36, 37} <= {row["id"] for row in found}
    assert len(found) <= 3, "at most the bookmark's own record comes again"


def test_after_records_of_a_whole_stream_an_incremental_one_begins_anew(tmp_path: Path) -> None:
    """Its bookmark is behind records that came by then: whoever appends them would have them twice."""
    state = tmp_path / "state.json"
    state.write_text("{}")
    with Api(STYLES["offset"].serve(Table(rows(12)))) as api:
        for number, things in enumerate([stream(replication_key="at"), stream(), stream(replication_key="at")]):
            ran = runs.run(tmp_path / str(number), settings(api.url, None, things), "--state", str(state))
            assert ran.code == runs.ENDED, ran.log
            assert len(ran.records()) == 12
            bookmark = ran.messages[-1]["value"]["bookmarks"]["things"]
            assert ("replication_key_value" in bookmark) is (number != 1), bookmark
            state.write_text(json.dumps(ran.messages[-1]["value"]))


@pytest.mark.parametrize(
    ("drift", "told"),
    [
        ("evolve", "RECORDs are without it; declare it in the stream's schema, or set batch_config"),
        ("discard_value", r"it is left out \(on_schema_drift: discard_value\)"),
        ("discard_row", r"records that have it are left out \(on_schema_drift: discard_row\)"),
    ],
)
def test_what_records_are_without_is_told_and_not_in_the_bookmark(drift: str, told: str, tmp_path: Path) -> None:
    held = [row | {"colour": "red"} if row["id"] == 2 else row for row in rows(12)]
    things = stream(replication_key="at")
    with Api(STYLES["offset"].serve(Table(held))) as api:
        sent = runs.run(tmp_path, settings(api.url, None, things, on_schema_drift=drift, keep_100ns=True))
    assert sent.code == runs.ENDED, sent.log
    assert re.search(f"things: colour is not declared: {told}", sent.log), sent.log
    assert len(sent.records()) == (11 if drift == "discard_row" else 12)
    assert not any("colour" in record for record in sent.records())
    bookmark = sent.messages[-1]["value"]["bookmarks"]["things"]
    assert [*bookmark["columns"]] == [*things["schema"]["properties"]], "what was sent, and no more"
