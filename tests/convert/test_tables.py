"""What the job makes of tables besides the source's rows: columns of its own, comments, upkeep. What owners set stays."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from engine_kit import Engine, Lake
from lakehouse_kit import Made, make_load

from lakehouse import job_file

ALL = ["_loaded_at", "_load_id", "_source"]
ON_SPARK = pytest.mark.parametrize("engine", [pytest.param("spark", marks=pytest.mark.spark)], indirect=True, scope="session")
ON_SAIL = pytest.mark.parametrize("engine", ["sail"], indirect=True, scope="session")  # what no engine decides


def load(lake: Lake, stream: str, started: int, ids: list[int], mode: str, **more: Any) -> Made:
    """Rows of a stream; those of an incremental one go on where the load of the minute before ended."""
    data = pa.table({"Id": pa.array(ids, pa.int32()), "Name": [f"{stream} {started}" for _ in ids]})
    given: dict[str, Any] = {"started": started, "mode": mode, "key_columns": ["Id"] if mode == "merge" else []}
    if stream != "Whole":
        given["cursor"] = {"column": "Id", "from": str(started - 1) if started else None, "to": str(started)}
        given["bookmark"] = {"replication_key": "Id", "replication_key_value": str(started)}
    if not started:
        given |= {"mode": "overwrite", "key_columns": ["Id"] if stream == "Merged" else []}
    return make_load(lake.stage, stream, [data], **given | more)


def apply(lake: Lake, *loads: Made, **order: Any) -> None:
    code, printed = lake.engine.run(lake.order(list(loads), **order))
    assert code == 0, printed[-3000:]
    assert lake.statuses(*loads) == ["applied"] * len(loads), lake.published()


def rows(lake: Lake, table: str) -> dict[int, dict[str, Any]]:
    found = DeltaTable(str(lake.tables / table)).to_pyarrow_table().to_pylist()
    assert len({row["Id"] for row in found}) == len(found)
    return {row["Id"]: row for row in found}


def test_every_row_says_where_it_came_from_and_when_once_that_is_asked_for(lake: Lake) -> None:
    """One stream of each mode. Older rows have NULL there, and rows that a merge does not touch stay as they are."""
    before = [load(lake, stream, 0, [1, 2], "overwrite") for stream in ("Whole", "Appended", "Merged")]
    apply(lake, *before)
    assert set(rows(lake, "whole")[1]) == set(rows(lake, "merged")[1]) == {"Id", "Name"}
    assert {row["_load_id"] for row in rows(lake, "appended").values()} == {before[1].load_id}
    began = datetime.now(UTC)
    after = [
        load(lake, "Whole", 1, [1], "overwrite"),
        load(lake, "Appended", 1, [3], "append"),
        load(lake, "Merged", 1, [2, 3], "merge"),
    ]
    apply(lake, *after, row_columns=ALL)
    ended = datetime.now(UTC)
    for made, name, new in zip(after, ("whole", "appended", "merged"), ([1], [3], [2, 3]), strict=True):
        for number, row in rows(lake, name).items():
            if number in new:
                assert (row["_load_id"], row["_source"]) == (made.load_id, "sqlserver"), row
                assert began - timedelta(seconds=1) <= row["_loaded_at"] <= ended
                assert row["_loaded_at"].utcoffset() == timedelta(0)
            else:
                assert (row["_loaded_at"], row["_source"]) == (None, None), row
    assert rows(lake, "merged")[1]["Name"] == "Merged 0" and rows(lake, "merged")[2]["Name"] == "Merged 1"
    code, printed = lake.engine.run([*lake.order(after), "--check-only"])
    assert code == 0, printed[-3000:]


@ON_SAIL
def test_columns_of_the_source_keep_their_names_and_the_jobs_own_get_others(lake: Lake) -> None:
    data = pa.table({"Id": pa.array([1], pa.int32()), "_source": [5], "_Loaded_At": ["noon"]})
    made = make_load(lake.stage, "Odd", [data], started=0, key_columns=["Id"], mode="merge")
    apply(lake, made, row_columns=ALL)
    row = rows(lake, "odd")[1]
    assert (row["_source"], row["_Loaded_At"], row["_source_"]) == (5, "noon", "sqlserver")
    assert isinstance(row["_loaded_at_"], datetime) and row["_load_id"] == made.load_id


@ON_SAIL
def test_a_column_of_somebody_elses_with_such_a_name_is_not_written_into(lake: Lake) -> None:
    """The stream is refused, with what settles it; its table and the other stream are as they should be."""
    first = load(lake, "Merged", 0, [1], "overwrite")
    apply(lake, first)
    owned = pa.table({"Id": pa.array([1], pa.int32()), "Name": ["x"], "_source": [7]})
    apply(lake, make_load(lake.stage, "Theirs", [owned], started=0, key_columns=["Id"], mode="merge"))
    data = owned.drop_columns(["_source"])
    theirs = make_load(lake.stage, "Theirs", [data], started=1, key_columns=["Id"], mode="merge")
    other = load(lake, "Merged", 1, [2], "merge")
    code, _ = lake.engine.run(lake.order([theirs, other], row_columns=["_source"]))
    assert code == 1
    assert lake.statuses(theirs, other) == ["refused", "applied"]
    told = lake.published()["loads"][theirs.load_id]
    assert "column _source of theirs is bigint" in told["problems"][0] and "LAKEHOUSE_ROW_COLUMNS" in told["action"]
    assert rows(lake, "theirs")[1] == {"Id": 1, "Name": "x", "_source": 7}


@ON_SAIL
def test_a_column_is_never_the_jobs_in_some_rows_and_the_sources_in_others(lake: Lake) -> None:
    """Also where both are text: the source gets a column of such a name, or loses it, with on_new_column null."""
    plain, more = pa.table({"Id": [1]}), pa.table({"Id": [2], "_source": ["web"]})
    mine = make_load(lake.stage, "Mine", [plain], started=0, key_columns=["Id"])
    theirs = make_load(lake.stage, "Theirs", [more], started=0, key_columns=["Id"])
    apply(lake, mine, row_columns=["_source"])
    apply(lake, theirs)
    turned = make_load(lake.stage, "Mine", [more], started=1, key_columns=["Id"], mode="merge")
    lost = make_load(lake.stage, "Theirs", [plain], started=1, key_columns=["Id"], mode="merge")
    code, _ = lake.engine.run(lake.order([turned, lost], row_columns=["_source"]))
    assert (code, lake.statuses(turned, lost)) == (1, ["refused", "refused"])
    told = lake.published()["loads"]
    assert "column _source of mine was the job's and would be the source's" in told[turned.load_id]["problems"][0]
    assert "column _source of theirs was the source's and would be the job's" in told[lost.load_id]["problems"][0]
    assert "entrypoint.sh refresh Mine" in told[turned.load_id]["action"]
    assert (rows(lake, "mine"), rows(lake, "theirs")) == (
        {1: {"Id": 1, "_source": "sqlserver"}}, {2: {"Id": 2, "_source": "web"}},
    )  # fmt: skip
    again = make_load(lake.stage, "Mine", [more], started=2, key_columns=["Id"])
    apply(lake, again, row_columns=["_source"])
    assert rows(lake, "mine") == {2: {"Id": 2, "_source": "web", "_source_": "sqlserver"}}


SQL = """
import sys
from pyspark.sql import SparkSession
for statement in sys.argv[1:]:
    SparkSession.builder.getOrCreate().sql(statement).collect()
"""


def test_tables_are_clustered_by_key_and_tidied_as_often_as_the_order_says(lake: Lake) -> None:
    """On Spark: files joined after so many commits, no row lost. Sail knows neither, says so, and loads all the same."""
    lake.by_name = lake.engine.kind == "spark"
    upkeep = {"cluster_by_key": True, "optimize_every": 2, "vacuum_hours": 168}
    for number in range(3):
        apply(lake, load(lake, "Merged", number, [number, 100 + number], "merge"), upkeep=upkeep, row_columns=["_loaded_at"])
    assert set(rows(lake, "merged")) == {*range(3), *range(100, 103)}
    operations = [each["operation"] for each in DeltaTable(str(lake.tables / "merged")).history()]
    if lake.engine.kind == "spark":
        assert operations.count("OPTIMIZE") >= 1 and operations.count("OPTIMIZE") == operations.count("VACUUM END"), operations
        assert not lake.engine.clusters or clustering(lake, "merged") == ["Id"]
    else:
        assert not {"OPTIMIZE", "VACUUM END"} & set(operations)


@ON_SPARK
def test_what_accept_made_is_dropped_table_by_table_and_nothing_else(engine: Engine, tmp_path: Path) -> None:
    """A schema that holds somebody else's table stays, and the run says so. One that was never made is no error."""
    script = tmp_path / "sql.py"
    script.write_text(SQL)

    def does(*statements: str) -> bool:
        return engine.run(list(statements), script=script)[0] == 0

    tables = ("mine._loads", "ours._loads", "ours.kept")
    assert does("CREATE SCHEMA mine", "CREATE SCHEMA ours", *(f"CREATE TABLE {name} (id INT) USING delta" for name in tables))
    code, printed = engine.run(["mine", "accept_append", "_loads"], script=job_file.DROPPER)
    assert code == 0 and "mine is dropped" in printed, printed
    code, printed = engine.run(["ours", "_loads"], script=job_file.DROPPER)
    assert code, printed
    code, printed = engine.run(["nobody", "_loads"], script=job_file.DROPPER)
    assert code == 0, printed
    assert does("SELECT * FROM ours.kept")
    assert not does("SELECT * FROM ours._loads") and not does("SHOW TABLES IN mine")


def test_comments_of_the_source_come_along_and_what_the_owner_of_a_table_set_stays(lake: Lake) -> None:
    """Also where the columns change, which replaces the table's schema."""
    lake.by_name = lake.engine.kind == "spark"
    data = pa.table({"Id": pa.array([1], pa.int32()), "Name": ["x"], "Odd": ["y"]})
    told = {"Id": "The row's own number", "Name": "It's \\ 'quoted'", "Odd": ""}
    apply(lake, described(make_load(lake.stage, "Commented", [data], started=0), told))
    if lake.engine.kind == "spark":
        assert comments(lake) == {"Id": told["Id"], "Name": told["Name"]}
        assert metadata(lake)["description"] == "What's sold"
        set_by_owner(lake)
    wider = data.append_column("New", [["z"]]).set_column(0, "Id", pa.array([1], pa.int64()))
    again = described(make_load(lake.stage, "Commented", [wider], started=1), told | {"New": "Came later"})
    apply(lake, again)
    assert lake.rows("commented") == [(1, "x", "y", "z")]
    if lake.engine.kind == "spark":
        assert comments(lake) == {"Id": told["Id"], "Name": "the owner's", "New": "Came later"}
        assert not lake.engine.clusters or clustering(lake, "commented") == ["Name"]
        assert metadata(lake)["configuration"]["owner.said"] == "yes"
        assert metadata(lake)["description"] == "What's sold"


def described(made: Made, comments: dict[str, str]) -> Made:
    made.rewrite(comment="What's sold", schema=[each | {"comment": comments[each["name"]]} for each in made.manifest["schema"]])
    return made


def set_by_owner(lake: Lake) -> None:
    table = f"`{lake.schema}`.commented" if lake.by_name else f"delta.`{lake.tables}/commented`"
    script = lake.folder / "owner.py"
    script.write_text(SQL)
    statements = ['ALTER COLUMN Name COMMENT "the owner\'s"', "SET TBLPROPERTIES ('owner.said' = 'yes')"]
    statements += ["CLUSTER BY (Name)"] if lake.engine.clusters else []
    code, printed = lake.engine.run([f"ALTER TABLE {table} {each}" for each in statements], script=script)
    assert code == 0, printed[-3000:]


def actions(lake: Lake, table: str) -> list[dict[str, Any]]:
    """The actions of the table's log, oldest first."""
    files = sorted((lake.tables / table / "_delta_log").glob("*.json"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def metadata(lake: Lake) -> dict[str, Any]:
    return dict([each["metaData"] for each in actions(lake, "commented") if "metaData" in each][-1])


def comments(lake: Lake) -> dict[str, str]:
    fields = json.loads(metadata(lake)["schemaString"])["fields"]
    return {each["name"]: each["metadata"]["comment"] for each in fields if each["metadata"].get("comment")}


def clustering(lake: Lake, table: str) -> list[str]:
    """The columns that a table is clustered by, as its newest domain metadata says."""
    told = [each["domainMetadata"] for each in actions(lake, table) if "domainMetadata" in each]
    newest = [each for each in told if each["domain"] == "delta.clustering" and not each["removed"]][-1]
    return [column[-1] for column in json.loads(newest["configuration"])["clusteringColumns"]]
