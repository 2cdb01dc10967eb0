"""Whatever the key is, the union of a table's ranges is the table, and no row comes twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mssql_kit import Ran, Tap, execute, good, same, select

from sandbox.launch import Counterpart, counterpart

SEED, ROWS = 7, 40
CS, BIN, AI = "Latin1_General_CS_AS", "Latin1_General_BIN2", "Latin1_General_CI_AI"
LETTERS = "aAbB áÀçZz_-'1🚚"


def _guid(chance: random.Random) -> str:
    digits = chance.randbytes(16).hex()
    return f"'{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}'"


def _text(chance: random.Random) -> str:
    found = "".join(chance.choice(LETTERS) for _ in range(chance.randint(0, 6))) + " " * chance.randint(0, 2)
    return "N'" + found.replace("'", "''") + "'"


def _number(chance: random.Random) -> str:
    return str(chance.randint(-3, 3))


Literal = Callable[[random.Random], str]
# name → key columns, each a declaration and random literals; few values each, so that composite keys repeat in their prefix
KEYS: dict[str, list[tuple[str, Literal]]] = {
    "Int": [("int", lambda c: str(c.randint(-(2**31), 2**31 - 1)))],
    "Decimal": [("decimal(38,4)", lambda c: f"{c.randint(-(10**30), 10**30)}.{c.randint(0, 9999):04d}")],
    "Money": [("money", lambda c: f"{c.randint(-99, 99)}.{c.randint(0, 9999):04d}")],
    "Float": [("float", lambda c: repr(c.uniform(-1e300, 1e300)))],
    "Date": [("date", lambda c: f"'{c.randint(1, 9999):04d}-0{c.randint(1, 9)}-1{c.randint(0, 9)}'")],
    "DateTime": [("datetime", lambda c: f"'2024-01-01T00:00:0{c.randint(0, 9)}.{c.randint(0, 999):03d}'")],
    "DateTime2": [("datetime2(7)", lambda c: f"'2024-01-01T00:00:00.{c.randint(0, 10**7 - 1):07d}'")],
    "Offset": [("datetimeoffset(3)", lambda c: f"'2024-01-01T{c.randint(10, 23)}:00:00.{c.randint(0, 999)}+02:00'")],
    "Time": [("time(7)", lambda c: f"'{c.randint(0, 23):02d}:00:00.{c.randint(0, 10**7 - 1):07d}'")],
    "Guid": [("uniqueidentifier", _guid)],
    "Binary": [("varbinary(6)", lambda c: "0x" + c.randbytes(c.randint(1, 6)).hex())],
    "Text": [("nvarchar(20)", _text)],
    "TextCase": [(f"nvarchar(20) COLLATE {CS}", _text)],
    "TextBinary": [(f"nvarchar(20) COLLATE {BIN}", _text)],
    "TextAccent": [(f"nvarchar(20) COLLATE {AI}", _text)],
    "Char": [("char(5)", lambda c: f"'{c.choice('aAbBzZ')}{c.randint(0, 999)}'")],
    "Pair": [("int", _number), ("nvarchar(20)", _text)],
    "Three": [("tinyint", lambda c: str(c.randint(0, 2))), ("date", lambda c: f"'2024-01-0{c.randint(1, 9)}'"), ("int", _number)],
    "GuidPair": [("bit", lambda c: str(c.randint(0, 1))), ("uniqueidentifier", _guid)],
}  # fmt: skip
RANGES = (2, 15)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with counterpart("sqlserver", tmp_path_factory.mktemp("keys"), "--scale", "0.001") as running:
        for name, columns in KEYS.items():
            chance = random.Random(f"{SEED}{name}")
            declared = ", ".join(f"k{n} {kind} NOT NULL" for n, (kind, _) in enumerate(columns))
            key = ", ".join(f"k{n}" for n in range(len(columns)))
            execute(running, f"CREATE TABLE dbo.Key{name} ({declared}, n int NULL, PRIMARY KEY ({key}))")
            _fill(running, name, columns, chance)
        yield running


def _fill(server: Counterpart, name: str, columns: list[tuple[str, Literal]], chance: random.Random) -> None:
    """Rows one by one: what the server takes for a key that is there already is refused by it, and left out."""
    import mssql_python
    from mssql_kit import connect

    connection = connect(server)
    for n in range(ROWS):
        row = ", ".join([*(make(chance) for _, make in columns), str(n)])
        try:
            connection.cursor().execute(f"INSERT INTO dbo.Key{name} VALUES ({row})")
        except mssql_python.IntegrityError:
            continue
    connection.close()


@pytest.fixture(scope="module")
def runs(server: Counterpart, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Ran]:
    """All tables, in ranges of so many rows."""
    folder = tmp_path_factory.mktemp("runs")
    return {n: good(Tap(server, folder / str(n)).run(streams=["dbo.Key*"], range_rows=n)) for n in RANGES}


@pytest.mark.parametrize("rows", RANGES)
@pytest.mark.parametrize("name", KEYS)
def test_the_ranges_of_any_key_are_the_table(name: str, rows: int, server: Counterpart, runs: dict[int, Ran]) -> None:
    expected = select(server, f"SELECT * FROM dbo.Key{name}")
    assert expected.num_rows > ROWS // 10
    same(runs[rows].table(f"dbo-Key{name}"), expected)
    parts = runs[rows].document(f"dbo-Key{name}")["files"]
    assert len(parts) >= expected.num_rows // rows


def test_a_unique_index_with_nulls_is_no_key(server: Counterpart, tmp_path: Path) -> None:
    execute(server, "CREATE TABLE dbo.Nullable (k int NULL, n int NOT NULL)", "CREATE UNIQUE INDEX ux ON dbo.Nullable (k)")
    execute(server, "INSERT INTO dbo.Nullable VALUES (NULL, 1), (2, 2), (3, 3)")
    ran = good(Tap(server, tmp_path).run(streams=["dbo.Nullable"], range_rows=1))
    same(ran.table("dbo-Nullable"), select(server, "SELECT * FROM dbo.Nullable"))
    assert ran.document("dbo-Nullable")["key_columns"] == []


def test_text_keys_have_their_collation_in_the_load_document_and_others_have_none(runs: dict[int, Ran]) -> None:
    def collations(name: str) -> dict[str, str]:
        return {each["name"]: each["collation"] for each in runs[15].document(f"dbo-Key{name}")["schema"] if each["collation"]}

    assert [collations(f"Text{name}") for name in ("Case", "Binary", "Accent")] == [{"k0": CS}, {"k0": BIN}, {"k0": AI}]
    assert collations("Text").keys() == {"k0"} and collations("Pair").keys() == {"k1"}
    assert not collations("Int") and not collations("Guid") and not collations("Binary")


def test_plan_names_text_keys_that_are_not_compared_byte_by_byte(server: Counterpart, tmp_path: Path) -> None:
    steps, said = Tap(server, tmp_path).plan(streams=["dbo.KeyText*"])
    warned = {name: [w for w in step["warnings"] if "collation" in w] for name, step in steps.items()}
    assert warned.pop("dbo-KeyTextBinary") == [], said
    assert warned["dbo-KeyTextCase"] and all(CS in each for each in warned["dbo-KeyTextCase"])
    assert all(len(each) == 1 for each in warned.values()) and len(warned) == 3


def test_a_query_whose_time_is_up_does_not_end_a_range_between_two_equal_values(server: Counterpart, tmp_path: Path) -> None:
    """Without a key, equal values of the replication key are one row to an index that it leads: all of them, or none."""
    values = ", ".join(f"({n // 40}, {n})" for n in range(120))
    execute(server, "CREATE TABLE dbo.Tied (R int NOT NULL, id int)", "CREATE INDEX ByR ON dbo.Tied (R)")
    execute(server, f"INSERT INTO dbo.Tied VALUES {values}, (9, 120)")  # the greatest value waits
    options = {"dbo.Tied": {"replication_key": "R"}}
    tap = Tap(server, tmp_path, {"streams": ["dbo.Tied"], "stream_options": options})
    ran = good(tap.run(max_query_seconds=0.001, cursor_array_size=7))
    assert sorted(ran.table("dbo-Tied")["id"].to_pylist()) == list(range(120))
    assert ran.document("dbo-Tied")["source_rows"] == 120
