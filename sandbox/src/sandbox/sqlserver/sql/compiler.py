"""T-SQL queries to DuckDB."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from sandbox.sqlserver.errors import NotSupported
from sandbox.sqlserver.sql.scope import Scope
from sandbox.sqlserver.sql.select import select
from sandbox.sqlserver.sql.set_operations import set_operation
from sandbox.sqlserver.sql.statement import Query, Statement


@dataclass
class Compiler(Statement):
    """Compiles one statement's queries."""

    def query(self, node: exp.Expression, outer: Scope | None = None) -> Query:
        """Any query expression; raises NotSupported for anything else."""
        if isinstance(node, exp.Subquery):
            return self.query(node.this, outer)
        if isinstance(node, exp.SetOperation):
            return set_operation(self, node, outer)
        if not isinstance(node, exp.Select):
            raise NotSupported(type(node).__name__.upper())
        return select(self, node, outer)
