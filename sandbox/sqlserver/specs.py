"""What tables and views are: their columns, keys and places, as data."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from sandbox.sqlserver.types import SqlType, parse_type


@dataclass(frozen=True)
class ColumnSpec:
    """One column; `type` is SQL Server's declaration, `computed` the expression of a computed column."""

    name: str
    type: str
    null: bool = True
    identity: bool = False
    computed: str = ""
    alias: str = ""
    default: str = ""

    @property
    def kind(self) -> SqlType:
        """The declared type with the column's own facts."""
        base = parse_type(self.type)
        return SqlType(base.name, base.length, base.precision, base.scale, self.null, self.identity, bool(self.computed))


@dataclass(frozen=True)
class TableSpec:
    """A table or view: `key` and `unique` name columns, `select` is a view's statement, `note` its description."""

    schema: str
    name: str
    columns: list[ColumnSpec]
    key: list[str] = field(default_factory=list)
    unique: list[list[str]] = field(default_factory=list)
    select: str = ""
    note: str = ""
    object_id: int = 0

    @property
    def full_name(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"

    @property
    def stored(self) -> str:
        """The quoted name in DuckDB."""
        return f"{quote(self.schema)}.{quote(self.name)}"

    def dump(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def load(cls, text: str) -> TableSpec:
        """From JSON."""
        fields = json.loads(text)
        return cls(**{**fields, "columns": [ColumnSpec(**column) for column in fields["columns"]]})


def quote(name: str) -> str:
    """An identifier for DuckDB."""
    return '"' + name.replace('"', '""') + '"'


def columns(text: str) -> list[ColumnSpec]:
    """Columns from one line each: `name type [not null] [identity] [alias X] [default X] [as expression]`."""
    found = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        line, _, computed = line.partition(" as ")
        line, _, default = line.partition(" default ")
        name, kind, *words = line.split()
        alias = words[words.index("alias") + 1] if "alias" in words else ""
        found.append(ColumnSpec(name, kind, "not" not in words, "identity" in words, computed, alias, default))
    return found
