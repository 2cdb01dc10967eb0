"""A published tap becomes a source by configuration alone: docs/how-to-add-a-source.md, word for word."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chain_kit import Pipeline
from ruamel.yaml import YAML
from test_configuration import edit

from sandbox.launch import ROOT

PAGE = ROOT / "docs/how-to-add-a-source.md"
LOCK = ROOT / "tests/chain/third_source/requirements.txt"
STREAM, TABLE = "orders", "files_orders"
ORDERS = [
    {"id": 1, "customer": "Zé", "amount": 12, "paid": True, "ordered_at": "2026-11-24T16:12:24Z"},
    {"id": 2, "customer": "Ada 😀", "amount": 7, "paid": False, "ordered_at": "2026-11-25T00:00:00Z"},
    {"id": 3, "customer": None, "amount": 9_007_199_254_740_993, "paid": None, "ordered_at": None},
]


def told() -> dict[str, Any]:
    """The YAML of the page, as one document."""
    content: dict[str, Any] = {}
    for block in re.findall(r"^ *```yaml\n(.*?)^ *```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        content |= YAML(typ="safe", pure=True).load(block)
    return content


def own_folder(folder: Path) -> None:
    """Makes a link to a folder into a folder of links: what is added to it does not reach the linked one."""
    linked = folder.resolve()
    if not folder.is_symlink():
        return
    folder.unlink()
    folder.mkdir()
    for each in linked.iterdir():
        (folder / each.name).symlink_to(each)


@pytest.fixture(scope="module")
def three(pipeline: Callable[[str], Pipeline]) -> Pipeline:
    """A project with a third source, installed as the page says."""
    one = pipeline("third-source")
    for name in ("plugins", "plugins/extractors", ".meltano/extractors"):
        own_folder(one.folder / name)
    (one.folder / "plugins/extractors/tap-jsonl").mkdir()
    shutil.copy(LOCK, one.folder / "plugins/extractors/tap-jsonl/requirements.txt")
    page = told()

    def change(content: dict[str, Any]) -> None:
        for kind in ("extractors", "loaders"):
            content["plugins"][kind].extend(page[kind])
        content["jobs"] = page["jobs"]

    edit(one, change)
    one.environment["FILES_PATH"] = str(one.folder / "files/*.jsonl")
    one.environment["TAP_MSSQL_STREAMS"] = "Sales.SalesTerritory"  # the others run along, and one table is enough for that
    network = {name: value for name, value in os.environ.items() if re.match(r"(?i)(uv_|pip_|.*_proxy$)", name)}
    installed = one.run("meltano", "--log-level=warning", "install", "extractor", "tap-jsonl", **network)
    assert installed.code == 0, installed.text
    assert not (ROOT / ".meltano/extractors/tap-jsonl").exists()
    return one


def write(one: Pipeline, name: str, orders: list[dict[str, Any]]) -> None:
    """A file for the tap, which reads all of them in each run, in the order of their names."""
    file = one.folder / "files" / f"{name}.jsonl"
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(json.dumps(order) + "\n" for order in orders))


def found(one: Pipeline) -> list[dict[str, Any]]:
    """What Delta holds of the files, in the order of its key."""
    columns = list(ORDERS[0])
    rows = one.table(TABLE).select(columns).sort_by("id").to_pylist()
    return [row | {"ordered_at": row["ordered_at"] and f"{row['ordered_at']:%Y-%m-%dT%H:%M:%SZ}"} for row in rows]


def test_a_published_tap_is_a_source_by_yaml_alone(three: Pipeline) -> None:
    """Rows in Delta, ledger and bookmark under its own name; then another file is merged by key; the other sources run along."""
    write(three, "monday", ORDERS)
    run = three.run()
    assert run.code == 0, run.text
    assert found(three) == ORDERS
    ledger = three.ledger()
    assert {row["source"] for row in ledger} == {"sqlserver", "api", "files"}
    [load] = [row for row in ledger if row["source"] == "files"]
    assert (load["stream"], load["table_name"], load["mode"]) == (STREAM, TABLE, "merge")
    assert load["rows"] == load["delta_rows"] == len(ORDERS)
    assert re.search(rf"^files/{STREAM} .* yes$", run.text, re.MULTILINE), run.text

    bookmarks = json.loads(load["bookmark"])
    three.run("bookmarks")
    state = json.loads((three.folder / "state/dev:tap-jsonl-to-target-parquet-files/state.json").read_text())
    assert state["completed"]["singer_state"]["bookmarks"] == {STREAM: bookmarks}

    newer = [ORDERS[0] | {"amount": 13}, ORDERS[1] | {"id": 4}]
    write(three, "tuesday", newer)
    again = three.run()
    assert again.code == 0, again.text
    assert found(three) == [newer[0], *ORDERS[1:], newer[1]]
    assert len([row for row in three.ledger() if row["source"] == "files"]) == 2
