"""What tables, views and synonyms are: their columns, keys, indexes and places, as data.

In DuckDB a table is called by its object id and a column by its number, so every name SQL Server allows is possible,
twins that differ in case included, and a new name moves no data.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache

from sandbox.sqlserver.types.sql_types import STRINGS, SqlType, parse_type


@dataclass(frozen=True)
class ColumnSpec:
    """One column; `type` is SQL Server's declaration, `computed` the expression of a computed column.

    `collation` is empty for the database's own, `number` is its column_id.
    """

    name: str
    type: str
    null: bool = True
    identity: bool = False
    computed: str = ""
    alias: str = ""
    default: str = ""
    collation: str = ""
    number: int = 0

    @property
    def kind(self) -> SqlType:
        """The declared type, with the column's own nullability, identity and collation."""
        base = _declared(self.type)
        collation = self.collation if base.name in STRINGS else ""
        return replace(base, nullable=self.null, identity=self.identity, computed=bool(self.computed), collation=collation)

    @property
    def stored(self) -> str:
        """The name in DuckDB."""
        return f"c{self.number}"


@lru_cache(4_096)
def _declared(text: str) -> SqlType:
    return parse_type(text)


@dataclass(frozen=True)
class IndexSpec:
    """An index that is no primary key and no unique constraint; `where` is the filter as it was written."""

    name: str
    columns: list[str]
    unique: bool = False
    where: str = ""
    included: list[str] = field(default_factory=list)
    descending: list[str] = field(default_factory=list)
    disabled: bool = False


@dataclass(frozen=True)
class TableSpec:
    """A table, view or synonym: `key` and `unique` name columns, `select` is a view's statement, `note` its description.

    `target` is what a synonym stands for; `properties` are extended ones: column number (0: the object), name, value;
    `modified` counts 1/300 s since 1900 as `datetime` does, `version` the changes of definitions before this one.
    """

    schema: str
    name: str
    columns: list[ColumnSpec]
    key: list[str] = field(default_factory=list)
    unique: list[list[str]] = field(default_factory=list)
    select: str = ""
    note: str = ""
    object_id: int = 0
    indexes: list[IndexSpec] = field(default_factory=list)
    target: str = ""
    properties: list[tuple[int, str, str]] = field(default_factory=list)
    created: int = 0
    modified: int = 0
    version: int = 0
    tracked: bool = False  # change tracking is on

    def __post_init__(self) -> None:
        if any(not column.number for column in self.columns):
            numbered = [replace(column, number=column.number or number) for number, column in enumerate(self.columns, start=1)]
            object.__setattr__(self, "columns", numbered)

    @property
    def full_name(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"

    @property
    def stored(self) -> str:
        """The name in DuckDB."""
        return f"data.t{self.object_id}"

    @property
    def changes(self) -> str:
        """The name in DuckDB of the keys that changed, where it is tracked."""
        return f"data.k{self.object_id}"

    @property
    def identity(self) -> str:
        """The name in DuckDB of the counter behind its identity column."""
        return f"data.i{self.object_id}"

    def column(self, name: str) -> ColumnSpec:
        """A column by its exact name, as keys and indexes hold it."""
        return next(column for column in self.columns if column.name == name)

    def dump(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def load(cls, text: str) -> TableSpec:
        """From JSON."""
        fields = json.loads(text)
        return cls(
            **{
                **fields,
                "columns": [ColumnSpec(**column) for column in fields["columns"]],
                "indexes": [IndexSpec(**index) for index in fields["indexes"]],
                "properties": [(number, name, value) for number, name, value in fields["properties"]],
            }
        )


def key_name(spec: TableSpec) -> str:
    """The primary key's name."""
    return f"PK_{spec.name}_{'_'.join(spec.key)}"[:128]


def unique_name(spec: TableSpec, names: list[str]) -> str:
    """A unique constraint's name."""
    return f"AK_{spec.name}_{'_'.join(names)}"[:128]


def quote(name: str) -> str:
    """An identifier for DuckDB."""
    return '"' + name.replace('"', '""') + '"'


def parse_columns(text: str) -> list[ColumnSpec]:
    """Columns from one line each: `name type [not null] [identity] [alias X] [default X] [as expression]`."""
    found = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        line, _, computed = line.partition(" as ")
        line, _, default = line.partition(" default ")
        name, kind, *words = line.split()
        alias = words[words.index("alias") + 1] if "alias" in words else ""
        found.append(ColumnSpec(name, kind, "not" not in words, "identity" in words, computed, alias, default))
    return found
