"""COLMETADATA and the tokens around a result that pysqlbridge has no builder for."""

from __future__ import annotations

import struct

from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.types.collations import collation
from sandbox.sqlserver.types.sql_types import MAX, SqlType, decimal_width

COLLATION = bytes.fromhex("0904d00034")  # SQL_Latin1_General_CP1_CI_AS
DONE, DONE_PROCEDURE, DONE_IN_PROCEDURE = 0xFD, 0xFE, 0xFF
MORE, ERROR, COUNT, ATTENTION = 0x01, 0x02, 0x10, 0x20
_COMMANDS = {"SELECT": 0xC1, "INSERT": 0xC3, "DELETE": 0xC4, "UPDATE": 0xC5}
_INTEGERS = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}


def type_info(kind: SqlType) -> bytes:
    """TYPE_INFO of [MS-TDS] 2.2.5.6."""
    name = kind.name
    if name in _INTEGERS:
        return bytes([0x26, _INTEGERS[name]])
    if name in ("decimal", "numeric"):
        return bytes([0x6A if name == "decimal" else 0x6C, decimal_width(kind.precision), kind.precision, kind.scale])
    if name in ("time", "datetime2", "datetimeoffset"):
        return bytes([{"time": 0x29, "datetime2": 0x2A, "datetimeoffset": 0x2B}[name], kind.scale])
    simple = {
        "bit": b"\x68\x01",
        "real": b"\x6d\x04",
        "float": b"\x6d\x08",
        "money": b"\x6e\x08",
        "smallmoney": b"\x6e\x04",
        "datetime": b"\x6f\x08",
        "smalldatetime": b"\x6f\x04",
        "date": b"\x28",
        "uniqueidentifier": b"\x24\x10",
        "xml": b"\xf1\x00",
        "rowversion": b"\xad\x08\x00",
    }
    if name in simple:
        return simple[name]
    if name in ("text", "ntext", "image"):
        token = {"text": 0x23, "ntext": 0x63, "image": 0x22}[name]
        named = b"" if name == "image" else COLLATION
        return bytes([token]) + b"\xff\xff\xff\x7f" + named + b"\x01" + _us("sandbox")
    sized = {"varchar": 0xA7, "char": 0xAF, "nvarchar": 0xE7, "nchar": 0xEF, "varbinary": 0xA5, "binary": 0xAD}.get(name)
    if sized is None:
        raise NotSupported(f"a {name} value in a result")
    size = 0xFFFF if kind.length == MAX else max(kind.length, 1) * (2 if name.startswith("n") else 1)
    named = collation(kind.collation).wire if kind.collation else COLLATION
    return bytes([sized]) + struct.pack("<H", size) + (named if name in ("varchar", "char", "nvarchar", "nchar") else b"")


def col_metadata(columns: list[tuple[str, SqlType]]) -> bytes:
    """COLMETADATA for a result."""
    parts = [struct.pack("<BH", 0x81, len(columns))]
    for name, kind in columns:
        flags = (1 if kind.nullable else 0) | (0x10 if kind.identity else 0) | (0x20 if kind.computed else 0)
        user_type = 80 if kind.name == "rowversion" else 0
        parts.append(struct.pack("<IH", user_type, flags | 0x08) + type_info(kind) + _b(name))
    return b"".join(parts)


def done(token: int, status: int, count: int | None = None, word: str = "SELECT") -> bytes:
    """DONE, DONEPROC or DONEINPROC."""
    if count is not None:
        status |= COUNT
    command = _COMMANDS.get(word, 0) if count is not None else 0
    return struct.pack("<BHHQ", token, status, command, count or 0)


def error(number: int, severity: int, state: int, text: str, server: str) -> bytes:
    """ERROR; its texts are counted in UTF-16 units, of which an emoji has two."""
    body = struct.pack("<iBB", number, state, severity) + _us(text) + _b(server) + _b("") + struct.pack("<i", 1)
    return struct.pack("<BH", 0xAA, len(body)) + body


def sql_error(problem: SqlError, server: str) -> bytes:
    """ERROR of an SqlError."""
    return error(problem.number, problem.severity, problem.state, str(problem)[:4_000], server)


def return_status(value: int = 0) -> bytes:
    """RETURNSTATUS of a procedure."""
    return struct.pack("<Bi", 0x79, value)


def return_handle(value: int, ordinal: int = 0) -> bytes:
    """RETURNVALUE of an int output parameter: the handle of a prepared statement."""
    return struct.pack("<BH", 0xAC, ordinal) + b"\0" + struct.pack("<BIH", 1, 0, 0) + b"\x26\x04\x04" + struct.pack("<i", value)


def _b(text: str) -> bytes:
    encoded = text.encode("utf-16-le")
    return bytes([len(encoded) // 2]) + encoded


def _us(text: str) -> bytes:
    encoded = text.encode("utf-16-le")
    return struct.pack("<H", len(encoded) // 2) + encoded
