"""`accept mssql`: a server with a fault of its own fails the line that is about it; tests/chain runs all trials."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mssql_kit import READ, Tap, execute, select

from sandbox.launch import Counterpart, counterpart
from singer_arrow.findings import Finding
from tap_mssql.accept import breaks, keys, types
from tap_mssql.accept.command import findings, main
from tap_mssql.accept.trial import Kind
from tap_mssql.config.settings import parse

FAULTS = {
    # What is wrong → how the server understands statements of the tap that match.
    "datetimes rounded down to seconds": {
        "match": r"^SELECT (?!CONVERT).*\[datetime\],.* FROM \[lighthouse_accept\]\.\[type_times\]",
        "replace": [r"\[datetime\],", "CONVERT(datetime, LEFT(CONVERT(varchar(23), [datetime], 126), 19)) AS [datetime],"],
    },
    "GUIDs sorted as text": {
        "match": r"^SELECT n FROM lighthouse_accept\.key_1 ORDER BY",
        "replace": [r"ORDER BY \[k0\]", "ORDER BY CONVERT(varchar(36), [k0])"],
    },
    "a row that is lost": {
        "match": READ + r"\[id\], \[v\] FROM \[lighthouse_accept\]\.\[many\]",
        "replace": [r"FROM \S+", "FROM (SELECT * FROM lighthouse_accept.many WHERE id <> 7) AS m"],
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    folder = tmp_path_factory.mktemp("accept")
    with counterpart("sqlserver", folder, "--only-parquet", "--faults", str(folder / "faults.json")) as running:
        yield running


def accepted(server: Counterpart, folder: Path, *trials: Kind) -> dict[str, Finding]:
    config = Tap(server, folder).config()
    del config["batch_config"]
    return {each.name: each for each in findings(parse(config), trials)}


def test_a_server_with_a_fault_fails_the_line_about_it(
    server: Counterpart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three faults at once, on the tables that are about them and one beside each."""
    monkeypatch.setattr(
        types, "GROUPS", {"times": {name: types.GROUPS["times"][name] for name in ("date", "datetime", "time(7)")}}
    )
    monkeypatch.setattr(keys, "KEYS", {kind: keys.KEYS[kind] for kind in ("int", "uniqueidentifier")})
    monkeypatch.setattr(breaks, "ROWS", 256)
    rules = [{**rule, "times": None} for rule in FAULTS.values()]
    (server.data.parent / "faults.json").write_text(json.dumps({"statements": rules}))
    found = accepted(server, tmp_path, types.types, keys.keys, breaks.whole)
    failed = {name: each.text for name, each in found.items() if each.status == "failed"}
    assert set(failed) == {"type datetime", "key uniqueidentifier", "rows, sum and hashes"}, found
    assert "'2024-02-29 12:34:56.003', the part holds datetime.datetime(2024, 2, 29, 12, 34, 56)" in failed["type datetime"]
    assert "the server sorts the rows" in failed["key uniqueidentifier"]
    assert "the server says rows, sum and hashes (256, " in failed["rows, sum and hashes"]
    assert found["type date"].status == found["key int"].status == found["removed"].status == "ok"


def test_a_schema_that_is_there_is_nobodys_to_drop_and_a_login_without_rights_is_told(
    server: Counterpart, tmp_path: Path
) -> None:
    execute(server, "CREATE SCHEMA lighthouse_accept", "CREATE TABLE lighthouse_accept.Mine (id int)")
    found = accepted(server, tmp_path, types.types)
    assert list(found)[-1] == "schema" and "is there already" in found["schema"].text
    assert select(server, "SELECT * FROM lighthouse_accept.Mine").num_rows == 0
    execute(server, "DROP TABLE lighthouse_accept.Mine", "DROP SCHEMA lighthouse_accept")


def test_nothing_is_done_where_nobody_agreed(server: Counterpart, tmp_path: Path) -> None:
    config = Tap(server, tmp_path).config()
    del config["batch_config"]
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    with pytest.raises(Exception, match="it was not agreed to"):
        main(["--config", str(file), "--accept"])
    assert select(server, "SELECT 1 AS one FROM sys.schemas WHERE name = 'lighthouse_accept'").num_rows == 0
