"""The SDK's own tests of a tap, with RECORD and with BATCH output."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mssql_kit import TAP as COMMAND
from mssql_kit import Tap, good

from sandbox.launch import Counterpart, counterpart

TABLES = ["HumanResources.*", "Production.ProductCategory", "Production.EmptyShelf", "Sales.SalesTerritory", "dbo.AllTypes"]
SCRIPT = """
import json, sys
from pathlib import Path
from singer_sdk.configuration import _dict_config
from singer_sdk.testing import SuiteConfig, get_tap_test_class
from tap_mssql.singer.tap import TapMssql

_dict_config.find_dotenv = lambda: ""  # the project's .env, which the demo leaves, is of another server

config = json.loads(Path(__file__).with_name("config.json").read_text())
suite = SuiteConfig(ignore_no_records_for_streams=["Production-EmptyShelf"])
TestTap = get_tap_test_class(TapMssql, config=config, suite_config=suite)
"""


@pytest.mark.parametrize("batch", [False, True], ids=["RECORD", "BATCH"])
def test_the_standard_tests_of_the_sdk_pass(batch: bool, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with counterpart("sqlserver", tmp_path_factory.mktemp("sdk"), "--scale", "0.001") as server:
        tap = Tap(server, tmp_path, {"streams": TABLES}, batch)
        (tmp_path / "config.json").write_text(json.dumps(tap.config()))
        (tmp_path / "test_standard.py").write_text(SCRIPT)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stdout[-6000:]
        assert "passed" in done.stdout


def schema_of(messages: list[dict[str, Any]], stream: str) -> dict[str, Any]:
    return next(m["schema"]["properties"] for m in messages if m["type"] == "SCHEMA" and m["stream"] == stream)


def test_records_and_batches_have_the_same_schema(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with counterpart("sqlserver", tmp_path_factory.mktemp("sdk"), "--scale", "0.001") as server:
        parts = good(Tap(server, tmp_path / "b", {"streams": ["dbo.AllTypes"]}).run())
        records = good(Tap(server, tmp_path / "r", {"streams": ["dbo.AllTypes"]}, batch=False).run())
    assert schema_of(parts.messages, "dbo-AllTypes") == schema_of(records.messages, "dbo-AllTypes")
    assert len(records.records("dbo-AllTypes")) == parts.table("dbo-AllTypes").num_rows
    assert set(records.records("dbo-AllTypes")[0]) == set(parts.table("dbo-AllTypes").schema.names)


def test_the_catalog_is_the_same_without_the_sdk_as_with_it(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    def catalog(server: Counterpart, batch: bool) -> dict[str, dict[str, Any]]:
        file = tmp_path / "config.json"
        options = [{"pattern": "Sales.*", "replication_key": "ModifiedDate"}]
        file.write_text(json.dumps(Tap(server, tmp_path, {"stream_options": options}, batch).config()))
        found = subprocess.run([COMMAND, "--config", str(file), "--discover"], capture_output=True, check=True, timeout=60)
        return {entry["tap_stream_id"]: entry for entry in json.loads(found.stdout)["streams"]}

    with counterpart("sqlserver", tmp_path_factory.mktemp("sdk"), "--scale", "0.001") as server:
        plain, sdk = catalog(server, True), catalog(server, False)
    assert plain.keys() == sdk.keys()
    for stream, entry in sdk.items():
        assert plain[stream] == entry
