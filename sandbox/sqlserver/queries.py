"""T-SQL queries to DuckDB: names resolved against the catalog, every output column with its declared type."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlglot import exp

from sandbox.sqlserver import values
from sandbox.sqlserver.catalog import Catalog
from sandbox.sqlserver.errors import NotSupported, SqlError, no_object
from sandbox.sqlserver.expressions import Expressions, Scope, Source, Typed, constant
from sandbox.sqlserver.functions import VERSION_TEXT
from sandbox.sqlserver.keyorder import implied, needless_order
from sandbox.sqlserver.specs import quote
from sandbox.sqlserver.types import STRINGS, SqlType

Columns = list[tuple[str, SqlType | None]]
_SELECT_PARTS = frozenset(
    {
        "expressions",
        "from_",
        "joins",
        "where",
        "group",
        "having",
        "order",
        "limit",
        "offset",
        "distinct",
        "with_",
        "options",
        "kind",
        "hint",
    }
)


@dataclass(frozen=True)
class Parameter:
    """A value the client bound: its type, and the value as `types` keeps it."""

    kind: SqlType
    value: Any


@dataclass(frozen=True)
class Query:
    """A DuckDB query and its columns; a column's type is None where DuckDB's own says enough."""

    sql: str
    columns: Columns


@dataclass
class Compiler:
    """Compiles one statement; values bound by the client are collected in `binds`."""

    catalog: Catalog
    parameters: dict[str, Parameter] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    binds: list[Any] = field(default_factory=list)
    _ctes: dict[str, Columns] = field(default_factory=dict)

    def parameter(self, node: exp.Parameter) -> Typed:
        """@name, or @@NAME of the session."""
        if isinstance(node.this, exp.Parameter):
            return self._global(node.this.name)
        found = self.parameters.get(node.name.lower())
        if found is None:
            raise SqlError(137, f'Must declare the scalar variable "@{node.name}".', severity=15)
        return Typed(self._bind(found.value, found.kind), found.kind, True, found.value)

    def _global(self, name: str) -> Typed:
        known: dict[str, Typed] = {
            "spid": constant(self.facts.get("spid", 0), SqlType("smallint")),
            "version": constant(VERSION_TEXT, SqlType("nvarchar", 300)),
            "servername": constant("SANDBOX", SqlType("nvarchar", 128)),
            "servicename": constant("MSSQLSERVER", SqlType("nvarchar", 128)),
            "trancount": constant(self.facts.get("trancount", 0), SqlType("int")),
            "rowcount": constant(self.facts.get("rowcount", 0), SqlType("int")),
            "lock_timeout": constant(self.facts.get("lock_timeout", -1), SqlType("int")),
            "microsoftversion": constant(0x10000FA0, SqlType("int")),
            "max_precision": constant(38, SqlType("tinyint")),
            "language": constant("us_english", SqlType("nvarchar", 128)),
            "dbts": Typed("dbts()", SqlType("varbinary", 8)),
        }
        if name.lower() not in known:
            raise NotSupported(f"@@{name.upper()}")
        return known[name.lower()]

    def constant(self, value: Typed, target: SqlType) -> str:
        """A constant as another type's kept value; a bound one stays bound."""
        assert value.kind is not None
        changed = values.convert(value.value, value.kind, target)
        return self._bind(changed, target) if value.sql.startswith("CAST($") else values.literal(changed, target)

    def _bind(self, value: Any, kind: SqlType) -> str:
        sent = value
        if isinstance(value, Decimal):
            sent = f"{value:f}"
        elif isinstance(value, (int, dt.date)) and not isinstance(value, bool):
            sent = str(value)
        self.binds.append(sent)
        return f"CAST(${len(self.binds)} AS {kind.store})"

    def query(self, node: exp.Expression, outer: Scope | None = None) -> Query:
        """Any query expression."""
        if isinstance(node, exp.Subquery):
            return self.query(node.this, outer)
        if isinstance(node, exp.SetOperation):
            return self._union(node, outer)
        if not isinstance(node, exp.Select):
            raise NotSupported(type(node).__name__.upper())
        return self._select(node, outer)

    def _with(self, node: exp.Expression, outer: Scope | None) -> str:
        clause = node.args.get("with_")
        if clause is None:
            return ""
        parts = []
        for cte in clause.expressions:
            inner = self.query(cte.this, outer)
            names = [column.name for column in cte.args["alias"].columns] or [name for name, _ in inner.columns]
            self._ctes[cte.alias.lower()] = [(n, kind) for n, (_, kind) in zip(names, inner.columns, strict=True)]
            listed = ", ".join(quote(name) for name in names)
            parts.append(f"{quote(cte.alias)}({listed}) AS ({inner.sql})")
        return f"WITH {', '.join(parts)} "

    def _union(self, node: exp.SetOperation, outer: Scope | None) -> Query:
        start = self._with(node, outer)
        left, right = self.query(node.this, outer), self.query(node.expression, outer)
        word = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}[type(node)]
        sql = f"{start}{left.sql} {word}{'' if node.args.get('distinct') else ' ALL'} {right.sql}"
        order = node.args.get("order")
        if order is not None:
            keys = [
                f"{quote(k.this.name) if isinstance(k.this, exp.Column) else k.this.sql()}{_direction(k)}"
                for k in order.expressions
            ]
            sql += f" ORDER BY {', '.join(keys)}"
        columns = [
            (
                name,
                a
                if a is not None and (b is None or a.name == b.name) and (a.length or 0) >= (b.length if b else 0)
                else (a if b is not None and a is not None and a.name not in STRINGS else b),
            )
            for (name, a), (_, b) in zip(left.columns, right.columns, strict=True)
        ]
        return Query(sql, columns)

    def _select(self, node: exp.Select, outer: Scope | None) -> Query:
        for name, part in node.args.items():
            if part and name not in _SELECT_PARTS:
                raise NotSupported(f"{name.strip('_').upper()} in SELECT")
        start = self._with(node, outer)
        scope = Scope([], outer)
        sources = self._sources(node, scope)
        expressions = Expressions(self, scope)
        output = [item for projection in node.expressions for item in self._projection(projection, expressions)]
        names = [name or f"_c{number}" for number, (name, _) in enumerate(output)]
        listed = [f"{typed.sql} AS {quote(name)}" for name, (_, typed) in zip(names, output, strict=True)]
        distinct = node.args.get("distinct")
        sql = f"{start}SELECT {'DISTINCT ' if distinct else ''}{', '.join(listed)}{sources}"
        if node.args.get("where") is not None:
            condition = node.args["where"].this
            sql += f" WHERE {expressions.text(condition)}"
            sql += "".join(implied(condition, key[0], expressions) for key in [self._stored_order(node)] if key)
        if node.args.get("group") is not None:
            sql += f" GROUP BY {', '.join(expressions.text(key) for key in node.args['group'].expressions)}"
        if node.args.get("having") is not None:
            sql += f" HAVING {expressions.text(node.args['having'].this)}"
        sql += self._order(node, expressions, output, bool(distinct)) + self._limit(node, expressions)
        return Query(sql, [(name, typed.kind) for name, typed in output])

    def _stored_order(self, node: exp.Select) -> list[str]:
        """The key in whose order the query's only table is stored and read; empty when that is not known."""
        first = node.args.get("from_")
        table = first.this if first is not None else None
        if not isinstance(table, exp.Table) or table.args.get("joins") or node.args.get("joins"):
            return []
        if any(node.args.get(part) for part in ("group", "distinct", "having")):
            return []
        return self.catalog.stored_order(table.db, table.name)

    def _projection(self, node: exp.Expression, scope: Expressions) -> list[tuple[str, Typed]]:
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            table = node.table if isinstance(node, exp.Column) else ""
            found = [
                (name, Typed(f"{quote(source.alias)}.{quote(name)}", kind))
                for source in scope.scope.sources
                if not table or source.alias.lower() == table.lower()
                for name, kind in source.columns
            ]
            if not found:
                raise SqlError(263, "Must specify table to select from.")
            return found
        if isinstance(node, exp.EQ):
            if isinstance(node.this, exp.Parameter):
                raise NotSupported("SELECT into a variable")
            return [(node.this.name, scope.compile(node.expression))]
        if isinstance(node, exp.Alias):
            return [(node.alias, scope.compile(node.this))]
        typed = scope.compile(node)
        return [(node.name if isinstance(node, exp.Column) else "", typed)]

    def _sources(self, node: exp.Select, scope: Scope) -> str:
        first = node.args.get("from_")
        if first is None:
            return ""
        sql = f" FROM {self._source(first.this, scope)}"
        for join in [*(first.this.args.get("joins") or []), *(node.args.get("joins") or [])]:
            item = join.this
            if isinstance(item, exp.Lateral):
                word = "CROSS JOIN LATERAL" if item.args.get("cross_apply") else "LEFT JOIN LATERAL"
                inner = self.query(item.this, scope)
                scope.sources.append(Source(item.alias, inner.columns))
                sql += f" {word} {self._derived(inner, item.alias)}"
                sql += "" if item.args.get("cross_apply") else " ON true"
                continue
            words = [str(join.args.get(key) or "") for key in ("method", "side", "kind")]
            condition = join.args.get("on")
            word = " ".join(filter(None, words)).upper() or ("INNER" if condition is not None else "CROSS")
            sql += f" {word} JOIN {self._source(item, scope)}"
            if condition is not None:
                sql += f" ON {Expressions(self, scope).text(condition)}"
        return sql

    def _source(self, item: exp.Expression, scope: Scope) -> str:
        """One FROM item; what it offers is added to the scope."""
        if isinstance(item, exp.Subquery):
            inner = self.query(item.this, scope.outer)
            alias = item.args.get("alias")
            names = [column.name for column in alias.columns] if alias is not None else []
            if names:
                inner = Query(inner.sql, [(n, kind) for n, (_, kind) in zip(names, inner.columns, strict=True)])
            scope.sources.append(Source(item.alias, inner.columns))
            return self._derived(inner, item.alias)
        if not isinstance(item, exp.Table) or not isinstance(item.this, exp.Identifier):
            raise NotSupported(f"{item.sql(dialect='tsql')[:60]} in FROM")
        if item.args.get("sample") or item.args.get("pivots"):
            raise NotSupported("TABLESAMPLE, PIVOT and UNPIVOT")
        alias_name = item.alias or item.name
        if not item.db and item.name.lower() in self._ctes:
            scope.sources.append(Source(alias_name, self._ctes[item.name.lower()]))
            return f"{quote(item.name)} AS {quote(alias_name)}"
        stored, columns = self.table(item)
        scope.sources.append(Source(alias_name, list(columns)))
        return f"{stored} AS {quote(alias_name)}"

    @staticmethod
    def _derived(inner: Query, alias: str) -> str:
        listed = ", ".join(quote(name or f"_c{number}") for number, (name, _) in enumerate(inner.columns))
        return f"({inner.sql}) AS {quote(alias)}({listed})"

    def table(self, node: exp.Table) -> tuple[str, list[tuple[str, SqlType]]]:
        """A table's quoted name and columns; raises 208."""
        full = ".".join(part for part in (node.catalog, node.db, node.name) if part)
        elsewhere = node.catalog and node.catalog.lower() != self.catalog.database.lower()
        if elsewhere and not (node.db.lower() == "sys" and node.name.lower() == "databases"):
            raise no_object(full)
        if node.name.startswith("#"):
            raise NotSupported("a temporary table")
        found = self.catalog.find(node.db, node.name)
        if found is None:
            raise no_object(full)
        return found

    def _order(self, node: exp.Select, scope: Expressions, output: list[tuple[str, Typed]], distinct: bool) -> str:
        order = node.args.get("order")
        if order is None or needless_order(order, self._stored_order(node)):
            return ""
        keys = []
        for key in order.expressions:
            target = key.this
            if isinstance(target, exp.Literal) and not target.is_string:
                typed = output[int(target.this) - 1][1]
                name = str(target.this)
            else:
                named = [
                    (n, t)
                    for n, t in output
                    if isinstance(target, exp.Column) and not target.table and n.lower() == target.name.lower()
                ]
                typed = named[0][1] if named else scope.compile(target)
                name = quote(named[0][0]) if named else typed.sql
            if typed.kind is not None and typed.kind.name in STRINGS and not distinct and not _aggregated(typed.sql):
                name = f"ci({typed.sql})"
            keys.append(name + _direction(key))
        return f" ORDER BY {', '.join(keys)}"

    def _limit(self, node: exp.Select, scope: Expressions) -> str:
        limit, offset = node.args.get("limit"), node.args.get("offset")
        sql = ""
        if limit is not None:
            options = limit.args.get("limit_options")
            if options is not None and (options.args.get("percent") or options.args.get("with_ties")):
                raise NotSupported("TOP … PERCENT and WITH TIES")
            count = limit.args.get("count") if isinstance(limit, exp.Fetch) else limit.expression
            sql += f" LIMIT {scope.coerce(scope.compile(_unwrapped(count)), SqlType('bigint'))}"
        if offset is not None:
            sql += f" OFFSET {scope.coerce(scope.compile(_unwrapped(offset.expression)), SqlType('bigint'))}"
        return sql


def _unwrapped(node: Any) -> Any:
    return node.this if isinstance(node, exp.Paren) else node


def _direction(key: exp.Expression) -> str:
    return " DESC NULLS LAST" if key.args.get("desc") else " ASC NULLS FIRST"


def _aggregated(sql: str) -> bool:
    return bool(re.match(r"(CAST\()?(count|sum|avg|min|max|arg_min|arg_max|string_agg)\(", sql))
