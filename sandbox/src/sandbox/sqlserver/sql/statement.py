"""What the compilation of one statement shares: the catalog, the session, the values that the client bound."""

from __future__ import annotations

import datetime as dt
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self

from sqlglot import exp

from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.sql.scope import Scope, Typed
from sandbox.sqlserver.system.catalog import Catalog
from sandbox.sqlserver.system.columns import QueryColumn
from sandbox.sqlserver.system.server import SessionFacts
from sandbox.sqlserver.types import stored_values
from sandbox.sqlserver.types.sql_types import SqlType
from sandbox.sqlserver.types.stored_values import Parameter

Columns = list[QueryColumn]


@dataclass(frozen=True)
class Pages:
    """A query that reads long values from one table, in two steps: the ids of the rows, then a few rows at a time.

    `rows` takes the ids in place of {} and has the id as its last column; `long` names the table's columns of long values.
    """

    table: str
    ids: str
    rows: str
    long: list[str]


@dataclass(frozen=True)
class Query:
    """A DuckDB query and its columns; a column's type is None where DuckDB's own is good enough."""

    sql: str
    columns: Columns
    pages: Pages | None = None


@dataclass
class Statement(ABC):
    """One statement; values bound by the client are collected in `binds`."""

    catalog: Catalog
    parameters: dict[str, Parameter] = field(default_factory=dict)
    session: SessionFacts = field(default_factory=SessionFacts)
    binds: list[Any] = field(default_factory=list)
    reads_sizes: bool = False  # the sizes of tables are asked for
    reads: set[int] = field(default_factory=set)  # object ids of the tables that are read
    ctes: dict[str, tuple[str, Columns]] = field(default_factory=dict)
    inside_views: tuple[int, ...] = ()  # object ids of the views around what is compiled
    _names: Iterator[int] = field(default_factory=itertools.count)

    @abstractmethod
    def query(self, node: exp.Expression, outer: Scope | None = None) -> Query:
        """Any query expression; `outer` is the scope of the query around it."""

    def of_view(self, object_id: int) -> Self:
        """The same statement inside a view: without the client's parameters and the CTEs."""
        around = (*self.inside_views, object_id)
        return type(self)(self.catalog, {}, self.session, self.binds, self.reads_sizes, self.reads, {}, around, self._names)

    def name(self, letter: str) -> str:
        """A new name for use in DuckDB."""
        return f"{letter}{next(self._names)}"

    def parameter(self, name: str) -> Typed:
        """@name. Raises SqlError 137."""
        found = self.parameters.get(name.lower())
        if found is None:
            raise SqlError(137, f'Must declare the scalar variable "@{name}".', severity=15)
        return Typed(self._bind(found.value, found.kind), found.kind, True, found.value)

    def constant(self, value: Typed, target: SqlType) -> str:
        """A constant as another type's stored value; a bound one stays bound."""
        assert value.kind is not None
        changed = stored_values.convert(value.value, value.kind, target)
        return self._bind(changed, target) if value.sql.startswith("CAST($") else stored_values.literal(changed, target)

    def _bind(self, value: Any, kind: SqlType) -> str:
        sent = value
        if isinstance(value, Decimal):
            sent = f"{value:f}"
        elif isinstance(value, (int, dt.date)) and not isinstance(value, bool):
            sent = str(value)
        self.binds.append(sent)
        return f"CAST(${len(self.binds)} AS {kind.store})"
