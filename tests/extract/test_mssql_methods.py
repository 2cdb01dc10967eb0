"""A catalog's replication method is followed, or refused by name: never is a stream read another way than it was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mssql_kit import Ran, Tap, good, numbered

from sandbox.launch import Counterpart

ROWS = 100
PATHS = pytest.mark.parametrize("batch", [True, False], ids=["BATCH", "RECORD by the SDK"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with numbered(tmp_path_factory.mktemp("methods"), ROWS) as running:
        yield running


def ran(server: Counterpart, folder: Path, batch: bool, place: str, method: str, key: str | None = "id") -> Ran:
    """A run with a catalog that names a method, in the stream or in its metadata."""
    tap = Tap(server, folder, batch=batch)
    tap.catalog = tap.discovered()
    [stream] = tap.catalog["streams"]
    [root] = [m["metadata"] for m in stream["metadata"] if not m["breadcrumb"]]
    root |= {"selected": True}
    named: dict[str, Any] = {"replication_method": method, "replication_key": key}
    if place == "stream":
        stream |= named
    else:
        for name in named:
            stream.pop(name, None)
        root |= {name.replace("_", "-"): value for name, value in named.items()}
    return tap.run()


@PATHS
@pytest.mark.parametrize("place", ["stream", "metadata"])
@pytest.mark.parametrize("method", ["CDC", "INCREMENTL", "logbased"])
def test_a_method_that_is_not_known_is_refused_by_name(
    server: Counterpart, tmp_path: Path, batch: bool, place: str, method: str
) -> None:
    refused = ran(server, tmp_path, batch, place, method)
    assert refused.code == 2 and not refused.streams and not refused.records("big-Many"), refused.said
    assert f"stream big-Many: replication method {method.upper()}" in refused.said
    assert "FULL_TABLE, INCREMENTAL or LOG_BASED" in refused.said and "Nothing was read" in refused.said
    assert "Traceback" not in refused.said


@PATHS
@pytest.mark.parametrize(("method", "is_incremental"), [("incremental", True), (" Incremental ", True), ("full_table", False)])
def test_the_case_of_a_method_does_not_matter(
    server: Counterpart, tmp_path: Path, batch: bool, method: str, is_incremental: bool
) -> None:
    done = good(ran(server, tmp_path, batch, "stream", method))
    bookmark = done.state["bookmarks"].get("big-Many", {})
    assert bookmark.get("replication_key_value") == (str(ROWS - 1) if is_incremental else None)


@PATHS
def test_an_incremental_stream_without_a_replication_key_is_refused(server: Counterpart, tmp_path: Path, batch: bool) -> None:
    refused = ran(server, tmp_path, batch, "stream", "INCREMENTAL", key=None)
    assert refused.code == 2 and "stream big-Many is INCREMENTAL but has no replication key" in refused.said, refused.said
