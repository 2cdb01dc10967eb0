"""Compiled expressions (DuckDB text with the type SQL Server would give it), and the scopes in which names are looked up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.sqlserver.errors import SqlError, no_column
from sandbox.sqlserver.system.columns import QueryColumn
from sandbox.sqlserver.types import stored_values
from sandbox.sqlserver.types.sql_types import STRINGS, SqlType

INT, BIGINT, BIT = SqlType("int"), SqlType("bigint"), SqlType("bit")


@dataclass(frozen=True)
class Typed:
    """A DuckDB expression and its SQL Server type (None: whatever DuckDB makes of it); constants also hold their value.

    `label` is the coercibility of a text's collation: 0 the database's default, 1 a column's (implicit), 2 COLLATE's.
    """

    sql: str
    kind: SqlType | None = None
    constant: bool = False
    value: Any = None
    label: int = 0


@dataclass
class Source:
    """A FROM item: its alias, its name in DuckDB and its columns."""

    alias: str
    stored: str
    columns: list[QueryColumn]


@dataclass
class Scope:
    """The FROM items of a query, and the scope of the query around it."""

    sources: list[Source]
    fold: Callable[[str], str]
    outer: Scope | None = None

    def column(self, name: str, table: str) -> Typed:
        """Looks a column up, here and then outwards. Raises SqlError 207, 209 (ambiguous) or 4104 (no such table)."""
        scope: Scope | None = self
        while scope is not None:
            found = [
                (column, Typed(f"{source.stored}.{column.stored}", column.kind, label=int(is_text(column.kind))))
                for source in scope.sources
                if not table or self.fold(source.alias) == self.fold(table)
                for column in source.columns
                if self.fold(column.name) == self.fold(name)
            ]
            if len(found) > 1:
                raise SqlError(209, f"Ambiguous column name '{name}'.")
            if found:
                found[0][0].check()
                return found[0][1]
            scope = scope.outer
        if table and not self._knows(table):
            raise SqlError(4104, f'The multi-part identifier "{table}.{name}" could not be bound.')
        raise no_column(name)

    def _knows(self, table: str) -> bool:
        here = any(self.fold(source.alias) == self.fold(table) for source in self.sources)
        return here or (self.outer is not None and self.outer._knows(table))


def is_text(kind: SqlType | None) -> bool:
    """Whether it has a collation."""
    return kind is not None and kind.name in STRINGS


def constant(value: Any, kind: SqlType) -> Typed:
    """A stored value as an expression."""
    return Typed(stored_values.literal(value, kind), kind, True, value)
