"""Every type at its limits and at random: parts and records hold what the server itself prints, for three readers."""

from __future__ import annotations

import base64
import datetime as dt
import random
import struct
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake
from mssql_kit import Ran, Tap, connect, execute, good

from sandbox.launch import Counterpart, counterpart

SEED, RANDOM_ROWS = 20261125, 150
EPOCH = dt.datetime(1970, 1, 1)
TEXT = "abcXYZ 019'\"\\ãçéÕ€ß日本語🚚🙂\u200d\t"
STREAMS = {"limits": "dbo-AllTypes", "random": "dbo-Random"}


def random_literals(chance: random.Random) -> dict[str, Callable[[], str]]:
    """Declared type → a literal of it."""

    def digits(precision: int, scale: int) -> str:
        number = str(chance.randrange(10 ** chance.randint(1, precision)))
        number = number.rjust(scale + 1, "0")
        sign = chance.choice(("", "-"))
        return f"{sign}{number[: len(number) - scale]}.{number[len(number) - scale :]}" if scale else sign + number

    def moment(first: int, form: str) -> str:
        at = dt.datetime(first, 1, 1) + dt.timedelta(seconds=chance.randrange((9999 - first) * 31_556_952))
        return f"'{form.format(at=at.isoformat(), ticks=chance.randrange(10**7))}'"

    def day(first: int, days: int) -> str:
        return (dt.date(first, 1, 1) + dt.timedelta(days=chance.randrange(days))).isoformat()

    def text(most: int) -> str:
        found = "".join(chance.choice(TEXT) for _ in range(chance.randint(0, most)))
        return "N'" + found.replace("'", "''") + "'"

    return {
        "tinyint": lambda: str(chance.randrange(256)),
        "smallint": lambda: str(chance.randrange(-(2**15), 2**15)),
        "int": lambda: str(chance.randrange(-(2**31), 2**31)),
        "bigint": lambda: str(chance.randrange(-(2**63), 2**63)),
        "bit": lambda: str(chance.randrange(2)),
        "decimal(38,0)": lambda: digits(38, 0),
        "decimal(38,20)": lambda: digits(38, 20),
        "decimal(9,2)": lambda: digits(9, 2),
        "money": lambda: digits(18, 4),
        "smallmoney": lambda: digits(9, 4),
        "float": lambda: repr(struct.unpack("<d", struct.pack("<Q", chance.randrange(2**52, 0x7FE << 52)))[0]),
        "real": lambda: repr(struct.unpack("<f", struct.pack("<I", chance.randrange(2**23, 0xFE << 23)))[0]),
        "date": lambda: moment(1, "{at}")[:11] + "'",
        "time(7)": lambda: f"'{chance.randrange(24):02d}:{chance.randrange(60):02d}:59.{chance.randrange(10**7):07d}'",
        "time(3)": lambda: f"'{chance.randrange(24):02d}:{chance.randrange(60):02d}:59.{chance.randrange(1000):03d}'",
        "datetime": lambda: f"'{day(1753, 3_000_000)}T01:02:03.{chance.choice(('000', '003', '007', '997'))}'",
        "smalldatetime": lambda: f"'{day(1900, 65_000)}T{chance.randrange(24):02d}:{chance.randrange(60):02d}:00'",
        "datetime2(7)": lambda: moment(1, "{at}.{ticks:07d}"),
        "datetime2(0)": lambda: moment(1, "{at}"),
        "datetimeoffset(7)": lambda: moment(2, "{at}.{ticks:07d}" + chance.choice(("+14:00", "-12:00", "+05:45", "-03:30"))),
        "nvarchar(60)": lambda: text(29),
        "nvarchar(max)": lambda: text(200),
        "varbinary(20)": lambda: "0x" + chance.randbytes(chance.randrange(21)).hex(),
        "uniqueidentifier": lambda: _guid(chance),
    }  # fmt: skip


def _guid(chance: random.Random) -> str:
    hexadecimal = chance.randbytes(16).hex()
    return f"'{hexadecimal[:8]}-{hexadecimal[8:12]}-{hexadecimal[12:16]}-{hexadecimal[16:20]}-{hexadecimal[20:]}'"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with counterpart("sqlserver", tmp_path_factory.mktemp("types"), "--scale", "0.001") as running:
        literals = random_literals(random.Random(SEED))
        columns = ", ".join(f"c{n} {declared} NULL" for n, declared in enumerate(literals))
        execute(running, f"CREATE TABLE dbo.Random (id int NOT NULL PRIMARY KEY, {columns})")
        chance = random.Random(SEED)
        rows = [
            ", ".join([str(n), *("NULL" if chance.random() < 0.1 else make() for make in literals.values())])
            for n in range(RANDOM_ROWS)
        ]
        for at in range(0, RANDOM_ROWS, 25):
            execute(running, "INSERT INTO dbo.Random VALUES " + ", ".join(f"({row})" for row in rows[at : at + 25]))
        yield running


@pytest.fixture(scope="module")
def ran(server: Counterpart, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    settings = {"streams": ["dbo.AllTypes", "dbo.Random"]}
    folder = tmp_path_factory.mktemp("ran")
    return {
        "parts": good(Tap(server, folder / "parts", settings).run()),
        "records": good(Tap(server, folder / "records", settings, batch=False).run()),
    }


def declared(found: Ran, stream: str) -> dict[str, str]:
    """The columns' types as the SCHEMA message tells them."""
    schema = next(m["schema"]["properties"] for m in found.messages if m["type"] == "SCHEMA" and m["stream"] == stream)
    return {name: str(column["x-sql-datatype"]) for name, column in schema.items()}


# What the server prints, and values of a part or record, all become the same plain Python values.

STYLES = {"float": 3, "real": 3, "money": 2, "smallmoney": 2, "date": 23, "datetime": 126, "smalldatetime": 126, "datetime2": 126}
STYLES |= {"datetimeoffset": 121, "time": 114, "binary": 1, "varbinary": 1, "image": 1, "rowversion": 1}


def printed(server: Counterpart, table: str, types: dict[str, str]) -> dict[str, list[Any]]:
    items = []
    for name, kind in types.items():
        base = kind.partition("(")[0]
        column = f"CONVERT(varbinary(max), [{name}])" if base == "image" else f"[{name}]"
        size = "varchar(max)" if base in STYLES else "nvarchar(max)"
        items.append(f"CONVERT({size}, {column}{f', {STYLES[base]}' if base in STYLES and base != 'time' else ''})")
    connection = connect(server)
    rows = connection.cursor().execute(f"SELECT {', '.join(items)} FROM {table} ORDER BY id").fetchall()
    connection.close()
    return {name: [None if row[n] is None else from_server(types[name], row[n]) for row in rows] for n, name in enumerate(types)}


def from_server(kind: str, text: str) -> Any:
    base = kind.partition("(")[0]
    if base in ("tinyint", "smallint", "int", "bigint", "bit"):
        return int(text)
    if base in ("decimal", "numeric", "money", "smallmoney"):
        return Decimal(text)
    if base in ("float", "real"):
        return float(text) if base == "float" else struct.unpack("<f", struct.pack("<f", float(text)))[0]
    if base == "date":
        return (dt.date.fromisoformat(text) - EPOCH.date()).days
    if base == "time":
        return clock(text)
    if base in ("datetime", "smalldatetime", "datetime2"):
        day, _, time = text.partition("T")
        return microseconds(day, clock(time), 0)
    if base == "datetimeoffset":
        day, time, zone = text.split(" ")
        minutes = int(zone[1:3]) * 60 + int(zone[4:6])
        return microseconds(day, clock(time), minutes if zone[0] == "+" else -minutes)
    if base in STYLES:
        return bytes.fromhex(text[2:])
    return text


def clock(text: str) -> int:
    """HH:MM:SS[.fffffff] as nanoseconds since midnight."""
    whole, _, part = text.partition(".")
    hours, minutes, seconds = map(int, whole.split(":"))
    return ((hours * 60 + minutes) * 60 + seconds) * 10**9 + int(part.ljust(9, "0") or 0)


def microseconds(day: str, nanoseconds: int, offset: int) -> int:
    """Since 1970 in UTC; what is finer is cut, as the contract says."""
    days = (dt.date.fromisoformat(day) - EPOCH.date()).days
    return days * 86_400_000_000 + nanoseconds // 1000 - offset * 60_000_000


def plain(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    kind = column.type
    if pa.types.is_time(kind):
        return [None if v is None else v * (1000 if kind.unit == "us" else 1) for v in column.cast(pa.int64()).to_pylist()]
    if pa.types.is_timestamp(kind):
        return list(column.cast(pa.timestamp("us", tz=kind.tz)).cast(pa.int64()).to_pylist())
    if pa.types.is_date(kind):
        return list(column.cast(pa.int32()).to_pylist())
    if pa.types.is_boolean(kind):
        return list(column.cast(pa.int8()).to_pylist())
    return list(column.to_pylist())


def by_pyarrow(found: Ran, stream: str, folder: Path) -> pa.Table:
    return found.table(stream)


def by_duckdb(found: Ran, stream: str, folder: Path) -> pa.Table:
    files = ", ".join(f"'{path}'" for path in found.paths(stream))
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(f"SELECT * FROM read_parquet([{files}]) ORDER BY id").to_arrow_table()


def by_deltalake(found: Ran, stream: str, folder: Path) -> pa.Table:
    """Delta has no time type: such columns are text there, as the contract says."""
    table = found.table(stream)
    for at, field in enumerate(table.schema):
        if pa.types.is_time(field.type):
            table = table.set_column(at, field.name, pc.cast(table.column(at), pa.string()))
    write_deltalake(str(folder / "delta"), table)
    return DeltaTable(str(folder / "delta")).to_pyarrow_table().sort_by("id")


@pytest.mark.parametrize("reader", [by_pyarrow, by_duckdb, by_deltalake], ids=lambda each: each.__name__)
@pytest.mark.parametrize("which", STREAMS)
def test_parts_hold_what_the_server_prints(
    which: str, reader: Any, server: Counterpart, ran: dict[str, Ran], tmp_path: Path
) -> None:
    stream = STREAMS[which]
    types = declared(ran["parts"], stream)
    expected = printed(server, stream.replace("-", "."), types)
    found = reader(ran["parts"], stream, tmp_path)
    for name, kind in types.items():
        values = plain(found.column(name))
        wanted = expected[name]
        if reader is by_duckdb and kind.startswith("time"):  # its own TIME ends at microseconds
            wanted = [None if v is None else v // 1000 * 1000 for v in wanted]
        if kind.startswith("time") and pa.types.is_string(found.schema.field(name).type):
            values = [None if v is None else clock(v) for v in values]
        assert values == wanted, f"{name} {kind}"


@pytest.mark.parametrize("which", STREAMS)
def test_records_hold_what_the_server_prints(which: str, server: Counterpart, ran: dict[str, Ran]) -> None:
    stream = STREAMS[which]
    types = declared(ran["records"], stream)
    expected = printed(server, stream.replace("-", "."), types)
    records = sorted(ran["records"].records(stream), key=lambda record: record["id"])
    for name, kind in types.items():
        assert [from_record(kind, record[name]) for record in records] == expected[name], f"{name} {kind}"


def from_record(kind: str, value: Any) -> Any:
    base = kind.partition("(")[0]
    if value is None:
        return None
    if base in ("decimal", "numeric", "money", "smallmoney"):
        return Decimal(value)
    if base in ("binary", "varbinary", "image", "rowversion"):
        return base64.b64decode(value)
    if base == "date":
        return (dt.date.fromisoformat(value) - EPOCH.date()).days
    if base == "time":
        return clock(value)
    if base in ("datetime", "smalldatetime", "datetime2", "datetimeoffset"):
        day, _, time = value.removesuffix("Z").partition("T")
        assert value.endswith("Z") == (base == "datetimeoffset")
        return microseconds(day, clock(time), 0)
    return int(value) if base == "bit" else value
