"""SQL Server's types: how one is declared, and how its values are stored in DuckDB.

DuckDB's own types cannot hold SQL Server's times (0001..9999 at 100 ns), so these are integers there:

| declared | stored as |
|---|---|
| time(n) | BIGINT, 100 ns since midnight |
| datetime2(n) | BIGINT, 100 ns since 0001-01-01 |
| datetime | BIGINT, 1/300 s since 1900-01-01 |
| smalldatetime | BIGINT, minutes since 1900-01-01 |
| datetimeoffset(n) | HUGEINT, (100 ns of UTC since 0001-01-01) * 4096 + offset in minutes + 2048 |
| uniqueidentifier | BLOB, 16 bytes in the order SQL Server sorts them |
"""

from __future__ import annotations

from dataclasses import dataclass, replace

MAX = -1

_STORE = {
    "bit": "BOOLEAN",
    "tinyint": "UTINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "float": "DOUBLE",
    "money": "DECIMAL(19,4)",
    "smallmoney": "DECIMAL(10,4)",
    "date": "DATE",
    "time": "BIGINT",
    "datetime2": "BIGINT",
    "datetime": "BIGINT",
    "smalldatetime": "BIGINT",
    "datetimeoffset": "HUGEINT",
    "uniqueidentifier": "BLOB",
    "binary": "BLOB",
    "varbinary": "BLOB",
    "image": "BLOB",
    "rowversion": "BLOB",
}
# name: (system_type_id, max_length in bytes, precision, scale) as sys.types has them
SYSTEM = {
    "image": (34, 16, 0, 0),
    "text": (35, 16, 0, 0),
    "uniqueidentifier": (36, 16, 0, 0),
    "date": (40, 3, 10, 0),
    "time": (41, 5, 16, 7),
    "datetime2": (42, 8, 27, 7),
    "datetimeoffset": (43, 10, 34, 7),
    "tinyint": (48, 1, 3, 0),
    "smallint": (52, 2, 5, 0),
    "int": (56, 4, 10, 0),
    "smalldatetime": (58, 4, 16, 0),
    "real": (59, 4, 24, 0),
    "money": (60, 8, 19, 4),
    "datetime": (61, 8, 23, 3),
    "float": (62, 8, 53, 0),
    "sql_variant": (98, 8016, 0, 0),
    "ntext": (99, 16, 0, 0),
    "bit": (104, 1, 1, 0),
    "decimal": (106, 17, 38, 38),
    "numeric": (108, 17, 38, 38),
    "smallmoney": (122, 4, 10, 4),
    "bigint": (127, 8, 19, 0),
    "hierarchyid": (240, 892, 0, 0),
    "geography": (240, -1, 0, 0),
    "varbinary": (165, 8000, 0, 0),
    "varchar": (167, 8000, 0, 0),
    "binary": (173, 8000, 0, 0),
    "char": (175, 8000, 0, 0),
    "rowversion": (189, 8, 0, 0),
    "nvarchar": (231, 8000, 0, 0),
    "nchar": (239, 8000, 0, 0),
    "xml": (241, -1, 0, 0),
}
USER_TYPE_ID = {"hierarchyid": 128, "geography": 130}
STRINGS = frozenset({"char", "varchar", "text", "nchar", "nvarchar", "ntext", "xml"})
WIDE = frozenset({"nchar", "nvarchar", "ntext", "xml"})
BINARIES = frozenset({"binary", "varbinary", "image", "rowversion"})
INTEGERS = ("bit", "tinyint", "smallint", "int", "bigint")
DECIMALS = frozenset({"decimal", "numeric", "money", "smallmoney"})
TEMPORAL = frozenset({"date", "time", "datetime2", "datetime", "smalldatetime", "datetimeoffset"})
# values the client gets only as text: the type name on the wire would be a CLR type or a variant
TEXT_ONLY = frozenset({"sql_variant", "hierarchyid", "geography"})


@dataclass(frozen=True)
class SqlType:
    """A declared type. `length` counts characters or bytes (MAX for max), `scale` also means fractional digits."""

    name: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    nullable: bool = True
    identity: bool = False
    computed: bool = False
    collation: str = ""  # of text; empty for the database's own

    @property
    def store(self) -> str:
        """The DuckDB type that values of this type are stored as."""
        if self.name in ("decimal", "numeric"):
            return f"DECIMAL({self.precision},{self.scale})"
        return _STORE.get(self.name, "VARCHAR")

    @property
    def plain(self) -> SqlType:
        """The type of an expression over such a column."""
        return replace(self, nullable=True, identity=False, computed=False)

    def __str__(self) -> str:
        if self.name in ("decimal", "numeric"):
            return f"{self.name}({self.precision},{self.scale})"
        if self.name in ("time", "datetime2", "datetimeoffset"):
            return f"{self.name}({self.scale})"
        if self.name in ("char", "varchar", "nchar", "nvarchar", "binary", "varbinary"):
            return f"{self.name}({'max' if self.length == MAX else self.length})"
        return self.name


def sql_type(name: str, *arguments: int) -> SqlType:
    """A type from its name and the numbers in its brackets, with SQL Server's defaults."""
    name = {"integer": "int", "timestamp": "rowversion", "sysname": "nvarchar", "dec": "decimal"}.get(name, name)
    first = arguments[0] if arguments else None
    if name in ("decimal", "numeric"):
        return SqlType(name, 0, 18 if first is None else first, arguments[1] if len(arguments) > 1 else 0)
    if name in ("money", "smallmoney"):
        return SqlType(name, 0, 19 if name == "money" else 10, 4)
    if name in ("time", "datetime2", "datetimeoffset"):
        return SqlType(name, scale=7 if first is None else first)
    if name == "float" and first is not None and first <= 24:
        return SqlType("real")
    if name in ("char", "varchar", "nchar", "nvarchar", "binary", "varbinary"):
        return SqlType(name, 30 if first is None else first)
    return SqlType(name, length=8 if name == "rowversion" else 0)


def parse_type(text: str) -> SqlType:
    """A type from text such as `decimal(38,10)`, `nvarchar(max)` or `sysname`."""
    name, _, rest = text.strip().lower().partition("(")
    name = name.strip().strip("[]")
    if name == "sysname":
        return SqlType("nvarchar", 128)
    numbers = [MAX if part.strip() == "max" else int(part) for part in rest.rstrip(") ").split(",") if part.strip()]
    if name not in SYSTEM and name not in ("timestamp", "integer", "dec"):
        raise ValueError(f"Type {name} is not a defined system type.")
    return sql_type(name, *numbers)


def max_length(kind: SqlType) -> int:
    """`max_length` of sys.columns, in bytes."""
    if kind.name in ("char", "varchar", "binary", "varbinary"):
        return kind.length
    if kind.name in ("nchar", "nvarchar"):
        return kind.length if kind.length == MAX else kind.length * 2
    if kind.name in ("decimal", "numeric"):
        return decimal_width(kind.precision)
    if kind.name in ("time", "datetime2", "datetimeoffset"):
        return time_width(kind.scale) + {"time": 0, "datetime2": 3, "datetimeoffset": 5}[kind.name]
    return SYSTEM[kind.name][1]


def decimal_width(precision: int) -> int:
    """Bytes of a decimal on the wire, with its sign."""
    return 5 if precision <= 9 else 9 if precision <= 19 else 13 if precision <= 28 else 17


def time_width(scale: int) -> int:
    """Bytes of the time part at a number of fractional digits."""
    return 3 if scale <= 2 else 4 if scale <= 4 else 5
