"""RPC requests: which procedure, and every parameter with its type and stored value."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any

from pysqlbridge.tds import TdsProtocolError, skip_all_headers

from sandbox.sqlserver.types.stored_values import Parameter
from sandbox.sqlserver.wire.parameters import Reader, parameter

PROCEDURES = {
    10: "sp_executesql",
    11: "sp_prepare",
    12: "sp_execute",
    13: "sp_prepexec",
    15: "sp_unprepare",
    2: "sp_cursoropen",
    14: "sp_prepexecrpc",
}
_DECLARED = re.compile(r"@(\w+)\s+(?:AS\s+)?[\w\[\].]+(?:\s*\([^)]*\))?", re.IGNORECASE)


@dataclass(frozen=True)
class Argument:
    """A parameter of a call, with its name as sent (may be empty)."""

    name: str
    parameter: Parameter
    output: bool


@dataclass(frozen=True)
class ProcedureCall:
    """One procedure call."""

    procedure: str
    arguments: list[Argument]

    def value(self, position: int) -> Any:
        """The value at a position; None when there is none."""
        return self.arguments[position].parameter.value if position < len(self.arguments) else None

    def named(self, declared: str, skip: int) -> dict[str, Parameter]:
        """The arguments after the first `skip`, by the names of a declaration or their own."""
        names = [name.lower() for name in _DECLARED.findall(declared or "")]
        given = self.arguments[skip:]
        return {
            (argument.name.lstrip("@").lower() or (names[number] if number < len(names) else str(number))): argument.parameter
            for number, argument in enumerate(given)
        }


def parse_calls(payload: bytes) -> list[ProcedureCall]:
    """The calls of an RPC message. Raises TdsProtocolError when cut short, NotSupported for a type."""
    try:
        reader = Reader(payload, skip_all_headers(payload))
        calls = []
        while reader.at < len(payload):
            calls.append(_call(reader))
        return calls
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise TdsProtocolError(f"RPC request is malformed ({type(error).__name__})") from None


def _call(reader: Reader) -> ProcedureCall:
    length = reader.number("H")
    if length == 0xFFFF:
        identity = reader.number("H")
        procedure = PROCEDURES.get(identity, f"procedure {identity}")
    else:
        procedure = reader.text(length).split(".")[-1].strip("[]").lower()
    reader.number("H")
    arguments: list[Argument] = []
    while reader.at < len(reader.data):
        if reader.data[reader.at] in (0x80, 0xFF):
            reader.at += 1
            break
        name = reader.text(reader.number("B"))
        status = reader.number("B")
        arguments.append(Argument(name, parameter(reader), bool(status & 1)))
    return ProcedureCall(procedure, arguments)
