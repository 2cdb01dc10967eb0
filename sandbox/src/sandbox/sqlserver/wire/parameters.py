"""The parameters of an RPC request: TYPE_INFO and value ([MS-TDS] 2.2.5.5, 2.2.6.6) as a type and a stored value."""

from __future__ import annotations

import datetime as dt
import struct
from decimal import Decimal
from typing import Any

from sandbox.sqlserver.errors import NotSupported
from sandbox.sqlserver.types import guids
from sandbox.sqlserver.types.sql_types import MAX, SqlType
from sandbox.sqlserver.types.stored_values import Parameter
from sandbox.sqlserver.types.temporal import DAY

_FIXED = {
    0x30: "tinyint",
    0x32: "bit",
    0x34: "smallint",
    0x38: "int",
    0x7F: "bigint",
    0x3B: "real",
    0x3E: "float",
    0x3C: "money",
    0x7A: "smallmoney",
    0x3D: "datetime",
    0x3A: "smalldatetime",
}
_WIDTH = {
    "tinyint": 1,
    "bit": 1,
    "smallint": 2,
    "int": 4,
    "bigint": 8,
    "real": 4,
    "float": 8,
    "money": 8,
    "smallmoney": 4,
    "datetime": 8,
    "smalldatetime": 4,
}
_SIZED = {0xA7: "varchar", 0xAF: "char", 0xE7: "nvarchar", 0xEF: "nchar", 0xA5: "varbinary", 0xAD: "binary"}
_BY_WIDTH = {
    0x26: {1: "tinyint", 2: "smallint", 4: "int", 8: "bigint"},
    0x68: {1: "bit"},
    0x6D: {4: "real", 8: "float"},
    0x6E: {4: "smallmoney", 8: "money"},
    0x6F: {4: "smalldatetime", 8: "datetime"},
}


class Reader:
    """Reads a request from left to right; raises struct.error or IndexError where it is cut short."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def number(self, layout: str) -> int:
        """A number in one of struct's layouts, little-endian."""
        (value,) = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return int(value)

    def bytes(self, count: int) -> bytes:
        """So many bytes."""
        if self.at + count > len(self.data):
            raise IndexError
        self.at += count
        return self.data[self.at - count : self.at]

    def text(self, characters: int) -> str:
        """Text of so many UTF-16 units."""
        return self.bytes(2 * characters).decode("utf-16-le")


def parameter(reader: Reader) -> Parameter:
    """The next parameter, from its type on. Raises NotSupported for a type that is not known here."""
    token = reader.number("B")
    if token == 0x1F:
        return Parameter(SqlType("int"), None)
    if token in _FIXED:
        name = _FIXED[token]
        return Parameter(_plain(name), _decode(name, reader.bytes(_WIDTH[name])))
    if token in _BY_WIDTH:
        name = _BY_WIDTH[token][reader.number("B")]
        raw = reader.bytes(reader.number("B"))
        return Parameter(_plain(name), _decode(name, raw) if raw else None)
    if token in (0x6A, 0x6C):
        reader.number("B")
        kind = SqlType("decimal" if token == 0x6A else "numeric", 0, reader.number("B"), reader.number("B"))
        raw = reader.bytes(reader.number("B"))
        return Parameter(kind, _decimal(raw, kind.scale) if raw else None)
    if token == 0x24:
        reader.number("B")
        raw = reader.bytes(reader.number("B"))
        return Parameter(SqlType("uniqueidentifier"), guids.from_wire(raw) if raw else None)
    if token == 0x28:
        raw = reader.bytes(reader.number("B"))
        day = dt.date.fromordinal(int.from_bytes(raw, "little") + 1) if raw else None
        return Parameter(SqlType("date"), day)
    if token in (0x29, 0x2A, 0x2B):
        return _time(reader, token)
    if token in _SIZED:
        return _sized(reader, token)
    if token == 0xF1:
        if reader.number("B"):
            raise NotSupported("a parameter of a typed xml")
        raw_chunks = _chunks(reader)
        text = None if raw_chunks is None else raw_chunks.decode("utf-16-le").removeprefix("\ufeff")
        return Parameter(SqlType("xml"), text)
    if token in (0x63, 0x23, 0x22):
        reader.number("I")
        if token != 0x22:
            reader.bytes(5)
        length = reader.number("I")
        data = None if length == 0xFFFFFFFF else reader.bytes(length)
        name = {0x63: "nvarchar", 0x23: "varchar", 0x22: "varbinary"}[token]
        return Parameter(SqlType(name, MAX), None if data is None else _characters(name, data))
    names = {0x62: "sql_variant", 0xF0: "a CLR type", 0xF3: "a table-valued parameter"}
    raise NotSupported(f"a parameter of type {names.get(token, hex(token))}")


def _plain(name: str) -> SqlType:
    if name in ("money", "smallmoney"):
        return SqlType(name, 0, 19 if name == "money" else 10, 4)
    return SqlType(name)


def _decode(name: str, raw: bytes) -> Any:
    if name == "bit":
        return bool(raw[0])
    if name == "tinyint":
        return raw[0]
    if name in ("real", "float"):
        return struct.unpack("<f" if name == "real" else "<d", raw)[0]
    if name == "money":
        high, low = struct.unpack("<iI", raw)
        return _scaled((high << 32) + low, 4)
    if name == "smallmoney":
        return _scaled(int.from_bytes(raw, "little", signed=True), 4)
    if name == "datetime":
        days, ticks = struct.unpack("<iI", raw)
        return days * 25_920_000 + ticks
    if name == "smalldatetime":
        days, minutes = struct.unpack("<HH", raw)
        return days * 1_440 + minutes
    return int.from_bytes(raw, "little", signed=True)


def _decimal(raw: bytes, scale: int) -> Decimal:
    number = int.from_bytes(raw[1:], "little")
    return _scaled(number if raw[0] else -number, scale)


def _scaled(number: int, scale: int) -> Decimal:
    """Exact for 38 digits, which arithmetic on decimals would round to 28."""
    return Decimal((int(number < 0), tuple(int(digit) for digit in str(abs(number))), -scale))


def _time(reader: Reader, token: int) -> Parameter:
    scale = reader.number("B")
    kind = SqlType({0x29: "time", 0x2A: "datetime2", 0x2B: "datetimeoffset"}[token], scale=scale)
    raw = reader.bytes(reader.number("B"))
    if not raw:
        return Parameter(kind, None)
    rest = {0x29: 0, 0x2A: 3, 0x2B: 5}[token]
    ticks = int.from_bytes(raw[: len(raw) - rest], "little") * 10 ** (7 - scale)
    if token == 0x29:
        return Parameter(kind, ticks)
    tail = raw[len(raw) - rest :]
    ticks += int.from_bytes(tail[:3], "little") * DAY
    if token == 0x2A:
        return Parameter(kind, ticks)
    return Parameter(kind, ticks * 4_096 + int.from_bytes(tail[3:], "little", signed=True) + 2_048)


def _sized(reader: Reader, token: int) -> Parameter:
    name = _SIZED[token]
    size = reader.number("H")
    if name.endswith("char"):
        reader.bytes(5)
    if size == 0xFFFF:
        data = _chunks(reader)
        kind = SqlType("varbinary" if "binary" in name else name.replace("nchar", "nvarchar"), MAX)
    else:
        length = reader.number("H")
        data = None if length == 0xFFFF else reader.bytes(length)
        kind = SqlType(name, max(size // (2 if name.startswith("n") else 1), 1))
    return Parameter(kind, None if data is None else _characters(name, data))


def _characters(name: str, data: bytes) -> Any:
    if "binary" in name:
        return data
    return data.decode("utf-16-le") if name.startswith("n") else data.decode("cp1252", "replace")


def _chunks(reader: Reader) -> bytes | None:
    """A value in length-prefixed chunks (PLP)."""
    if reader.number("Q") == 0xFFFFFFFFFFFFFFFF:
        return None
    parts = []
    while size := reader.number("I"):
        parts.append(reader.bytes(size))
    return b"".join(parts)
