"""T-SQL queries to DuckDB: names resolved against the catalog, every output column with its declared type."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from sqlglot import exp, parse_one

from sandbox.sqlserver.errors import NotSupported, SqlError, no_object
from sandbox.sqlserver.sql.expressions import Expressions
from sandbox.sqlserver.sql.functions.server import VERSION_TEXT, last_rowversion, views
from sandbox.sqlserver.sql.key_ranges import implied, needless_order
from sandbox.sqlserver.sql.scope import Scope, Source, Typed, constant, is_text
from sandbox.sqlserver.system.catalog import Catalog, Offer
from sandbox.sqlserver.system.specs import TableSpec
from sandbox.sqlserver.types import stored_values as values
from sandbox.sqlserver.types.sql_types import MAX, STRINGS, WIDE, SqlType

Columns = list[Offer]
_SIZED = frozenset({"partitions", "allocation_units", "dm_db_partition_stats"})
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
class Pages:
    """A query of long values from one table in two steps: the ids of its rows, then some of these at a time.

    `rows` takes the ids in place of {} and has the id as its last column; `long` names the table's columns of long values.
    """

    table: str
    ids: str
    rows: str
    long: list[str]


@dataclass(frozen=True)
class Query:
    """A DuckDB query and its columns; a column's type is None where DuckDB's own says enough."""

    sql: str
    columns: Columns
    pages: Pages | None = None


@dataclass
class Compiler:
    """Compiles one statement; values bound by the client are collected in `binds`."""

    catalog: Catalog
    parameters: dict[str, Parameter] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    binds: list[Any] = field(default_factory=list)
    sized: bool = False  # the sizes of tables are asked for
    touched: set[int] = field(default_factory=set)  # object ids of the tables that are read
    _ctes: dict[str, tuple[str, Columns]] = field(default_factory=dict)
    _views: tuple[int, ...] = ()  # views around what is compiled
    _names: Iterator[int] = field(default_factory=itertools.count)

    def dynamic(self, schema: str, name: str) -> tuple[str, Columns] | None:
        """A view of the server's own state, such as sys.dm_exec_sessions."""
        offers = views(self.facts["store"]).get((schema.lower(), name.lower())) if "store" in self.facts else None
        return offers() if offers is not None else None

    def parameter(self, node: exp.Parameter) -> Typed:
        """@name, or @@NAME of the session."""
        if isinstance(node.this, exp.Parameter):
            return self._global(node.this.name)
        found = self.parameters.get(node.name.lower())
        if found is None:
            raise SqlError(137, f'Must declare the scalar variable "@{node.name}".', severity=15)
        return Typed(self._bind(found.value, found.kind), found.kind, True, found.value)

    def _global(self, name: str) -> Typed:
        if name.lower() == "dbts":
            return last_rowversion(self.facts["store"])
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
            "max_connections": constant(32_767, SqlType("int")),
            "options": constant(5_432, SqlType("int")),
            "procid": constant(0, SqlType("int")),
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

    def name(self, letter: str) -> str:
        """A name in DuckDB nobody else has."""
        return f"{letter}{next(self._names)}"

    def _with(self, node: exp.Expression, outer: Scope | None) -> str:
        clause = node.args.get("with_")
        if clause is None:
            return ""
        parts = []
        for cte in clause.expressions:
            inner = self.query(cte.this, outer)
            names = [column.name for column in cte.args["alias"].columns] or [offer.name for offer in inner.columns]
            stored = self.name("q")
            offers = [replace(offer, name=n) for n, offer in zip(names, inner.columns, strict=True)]
            self._ctes[self.catalog.fold(cte.alias)] = (stored, offers)
            parts.append(f"{stored} AS ({inner.sql})")
        return f"WITH {', '.join(parts)} "

    def _union(self, node: exp.SetOperation, outer: Scope | None) -> Query:
        start = self._with(node, outer)
        left, right = self.query(node.this, outer), self.query(node.expression, outer)
        if len(left.columns) != len(right.columns):
            raise SqlError(
                205,
                "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of "
                "expressions in their target lists.",
            )
        columns = [replace(a, kind=_united(a.kind, b.kind)) for a, b in zip(left.columns, right.columns, strict=True)]
        word = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}[type(node)]
        scope = Expressions(self, Scope([], self.catalog.fold))
        if word == "UNION" and node.args.get("distinct"):
            keys = [scope.ordered(Typed(offer.stored, offer.kind, label=1)) for offer in columns]
            sql = f"SELECT DISTINCT ON ({', '.join(keys)}) * FROM ({left.sql} UNION ALL {right.sql})"
        else:
            sql = f"({left.sql}) {word}{'' if node.args.get('distinct') else ' ALL'} ({right.sql})"
        order = node.args.get("order")
        if order is not None:
            output = [(offer.name, Typed(offer.stored, offer.kind, label=1)) for offer in columns]
            keys = [scope.ordered(self._selected(key.this, scope, output)) + _direction(key) for key in order.expressions]
            sql = f"SELECT * FROM ({sql}) ORDER BY {', '.join(keys)}"
        return Query(start + sql, columns)

    def _select(self, node: exp.Select, outer: Scope | None) -> Query:
        for name, part in node.args.items():
            if part and name not in _SELECT_PARTS:
                raise NotSupported(f"{name.strip('_').upper()} in SELECT")
        start = self._with(node, outer)
        scope = Scope([], self.catalog.fold, outer)
        sources = self._sources(node, scope)
        expressions = Expressions(self, scope)
        tail = ""
        if node.args.get("where") is not None:
            condition = node.args["where"].this
            tail += f" WHERE {expressions.text(condition)}"
            tail += "".join(implied(condition, key[0], expressions) for key in [self._stored_order(node)] if key)
        if node.args.get("group") is not None:
            tail += f" GROUP BY {', '.join(self._group(node.args['group'].expressions, expressions))}"
        output = [item for projection in node.expressions for item in self._projection(projection, expressions)]
        columns = [Offer(name, typed.kind, f"o{number}") for number, (name, typed) in enumerate(output)]
        listed = [f"{typed.sql} AS o{number}" for number, (_, typed) in enumerate(output)]
        if node.args.get("having") is not None:
            tail += f" HAVING {expressions.text(node.args['having'].this)}"
        if not node.args.get("distinct"):
            order = self._order(node, expressions, output)
            tail += f"{order}{self._limit(node, expressions)}"
            pages = self._pages(node, scope, listed, columns, sources, tail) if not start and outer is None else None
            return Query(f"{start}SELECT {', '.join(listed)}{sources}{tail}", columns, pages)
        # first the distinct rows, then their order
        keys = ", ".join(expressions.ordered(typed) for _, typed in output)
        inner = f"SELECT DISTINCT ON ({keys}) {', '.join(listed)}{sources}{tail}"
        chosen = [(n, replace(typed, sql=f"o{number}")) for number, (n, typed) in enumerate(output)]
        order = self._order(node, expressions, chosen, output)
        return Query(f"{start}SELECT * FROM ({inner}){order}{self._limit(node, expressions)}", columns)

    def _pages(
        self, node: exp.Select, scope: Scope, listed: list[str], columns: Columns, sources: str, tail: str
    ) -> Pages | None:
        """None where the query is not one of rows of a table, or has no long values."""
        first = node.args.get("from_")
        if first is None or len(scope.sources) != 1 or not isinstance(first.this, exp.Table) or node.args.get("group"):
            return None
        spec = self.catalog.spec(first.this.db, first.this.name) if first.this.db.lower() != "sys" else None
        aggregated = any(item.find(exp.AggFunc, exp.Window) for item in node.expressions)
        if spec is None or spec.select or spec.target or aggregated or not any(_is_long(offer.kind) for offer in columns):
            return None
        long = [column.stored for column in spec.columns if _is_long(column.kind)]
        if not long:
            return None
        own = scope.sources[0].stored
        rows = f"SELECT {', '.join(listed)}, {own}.rowid AS rid{sources} WHERE {own}.rowid IN ({{}})"
        return Pages(spec.stored, f"SELECT {own}.rowid{sources}{tail}", rows, long)

    def _group(self, nodes: list[exp.Expression], expressions: Expressions) -> list[str]:
        keys = []
        for item in nodes:
            typed = expressions.compile(item)
            key = expressions.ordered(typed)
            keys.append(key)
            if key != typed.sql:
                expressions.grouped[typed.sql] = f"first({typed.sql})"
        return keys

    def _stored_order(self, node: exp.Select) -> list[str]:
        """The key in whose order the query's only table is stored and read; empty when that is not known."""
        first = node.args.get("from_")
        table = first.this if first is not None else None
        if not isinstance(table, exp.Table) or table.args.get("joins") or node.args.get("joins"):
            return []
        if any(node.args.get(part) for part in ("group", "distinct", "having")):
            return []
        if table.db.lower() in ("sys", "information_schema"):
            return []
        return self.catalog.stored_order(table.db, table.name)

    def _projection(self, node: exp.Expression, scope: Expressions) -> list[tuple[str, Typed]]:
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            table = node.table if isinstance(node, exp.Column) else ""
            found = [
                (offer.name, Typed(f"{source.stored}.{offer.stored}", offer.kind, label=int(is_text(offer.kind))))
                for source in scope.scope.sources
                if not table or self.catalog.fold(source.alias) == self.catalog.fold(table)
                for offer in source.columns
            ]
            for source in scope.scope.sources:
                if not table or self.catalog.fold(source.alias) == self.catalog.fold(table):
                    for offer in source.columns:
                        offer.check()
            found = [(name, replace(typed, sql=scope.grouped.get(typed.sql, typed.sql))) for name, typed in found]
            if not found:
                raise SqlError(263, "Must specify table to select from.")
            return found
        if isinstance(node, exp.EQ):
            if isinstance(node.this, exp.Parameter):
                raise NotSupported("SELECT into a variable")
            return [(node.this.name, scope.compile(node.expression))]  # name = expression
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
                sql += f" {word} {self._derived(inner.sql, item.alias, inner.columns, scope)}"
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
            offers = inner.columns
            if names:
                offers = [replace(offer, name=n) for n, offer in zip(names, inner.columns, strict=True)]
            return self._derived(inner.sql, item.alias, offers, scope)
        if not isinstance(item, exp.Table) or not isinstance(item.this, exp.Identifier):
            raise NotSupported(f"{item.sql(dialect='tsql')[:60]} in FROM")
        if item.args.get("sample") or item.args.get("pivots"):
            raise NotSupported("TABLESAMPLE, PIVOT and UNPIVOT")
        alias_name = item.alias or item.name
        found = self._ctes.get(self.catalog.fold(item.name)) if not item.db else None
        stored, columns = found or self.table(item)
        own = self.name("s")
        scope.sources.append(Source(alias_name, own, columns))
        return f"{stored} AS {own}"

    def _derived(self, sql: str, alias: str, offers: Columns, scope: Scope) -> str:
        own = self.name("s")
        scope.sources.append(Source(alias, own, offers))
        return f"({sql}) AS {own}"

    def table(self, node: exp.Table) -> tuple[str, Columns]:
        """What stands for a table, view or catalog view in DuckDB's FROM, and its columns; raises 208 and 229."""
        full = ".".join(part for part in (node.catalog, node.db, node.name) if part)
        elsewhere = node.catalog and self.catalog.fold(node.catalog) != self.catalog.fold(self.catalog.database)
        system = None if elsewhere and node.name.lower() != "databases" else self.catalog.system(node.db, node.name)
        if system is not None:
            self.sized |= node.name.lower() in _SIZED
            return system
        live = self.dynamic(node.db, node.name) if not elsewhere else None
        if live is not None:
            return live
        if elsewhere:
            raise no_object(full)
        if node.name.startswith("#"):
            raise NotSupported("a temporary table")
        spec = self.spec(node)
        if spec.select:
            if spec.object_id in self._views:
                raise SqlError(4_413, f"Could not use view '{full}' because of binding errors.")
            around = (*self._views, spec.object_id)
            inner = Compiler(self.catalog, {}, self.facts, self.binds, self.sized, self.touched, {}, around, self._names)
            statement: Any = parse_one(spec.select, read="tsql")
            query = inner.query(statement)
            offers = [replace(offer, name=c.name) for offer, c in zip(query.columns, spec.columns, strict=False)]
            self.sized |= inner.sized
            return f"({query.sql})", offers
        self.touched.add(spec.object_id)
        # who may read a view may read what it reads
        denied = self.catalog.denied.get(spec.object_id, set()) if not self._views else set()
        whose = f"object '{spec.name}', database '{self.catalog.database}', schema '{spec.schema}'"
        if 0 in denied:
            raise SqlError(229, f"The SELECT permission was denied on the {whose}.", 14, 5)
        return spec.stored, [
            Offer(column.name, column.kind, column.stored, whose if column.number in denied else "") for column in spec.columns
        ]

    def spec(self, node: exp.Table) -> TableSpec:
        """A table or view by its name, through synonyms; raises 208."""
        spec = self.catalog.spec(node.db, node.name)
        if spec is None:
            raise no_object(".".join(part for part in (node.catalog, node.db, node.name) if part))
        if spec.target:
            return self.spec(exp.to_table(spec.target, dialect="tsql"))
        return spec

    def _order(
        self,
        node: exp.Select,
        scope: Expressions,
        output: list[tuple[str, Typed]],
        distinct: list[tuple[str, Typed]] | None = None,
    ) -> str:
        order = node.args.get("order")
        if order is None or needless_order(order, self._stored_order(node)):
            return ""
        keys = []
        for key in order.expressions:
            typed = self._selected(key.this, scope, output, distinct)
            keys.append(scope.ordered(typed) + _direction(key))
        return f" ORDER BY {', '.join(keys)}"

    def _selected(
        self,
        target: exp.Expression,
        scope: Expressions,
        output: list[tuple[str, Typed]],
        distinct: list[tuple[str, Typed]] | None = None,
    ) -> Typed:
        """What an ORDER BY item means: an output column by number or name, or an expression."""
        if isinstance(target, exp.Literal) and not target.is_string:
            number = int(target.this)
            if not 0 < number <= len(output):
                text = f"The ORDER BY position number {number} is out of range of the number of items in the select list."
                raise SqlError(108, text)
            return output[number - 1][1]
        if isinstance(target, exp.Column) and not target.table:
            for name, typed in output:
                if self.catalog.fold(name) == self.catalog.fold(target.name):
                    return typed
        typed = scope.compile(target)
        if distinct is None:
            return typed
        for (_, chosen), (_, given) in zip(output, distinct, strict=True):
            if given.sql == typed.sql:
                return chosen
        raise SqlError(145, "ORDER BY items must appear in the select list if SELECT DISTINCT is specified.", severity=15)

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


def _is_long(kind: SqlType | None) -> bool:
    return kind is not None and (kind.length == MAX or kind.name in ("text", "ntext", "image", "xml"))


def _unwrapped(node: Any) -> Any:
    return node.this if isinstance(node, exp.Paren) else node


def _direction(key: exp.Expression) -> str:
    return " DESC NULLS LAST" if key.args.get("desc") else " ASC NULLS FIRST"


def _united(left: SqlType | None, right: SqlType | None) -> SqlType | None:
    """The type of a column of UNION."""
    if left is None or right is None:
        return left or right
    if left.name in STRINGS and right.name in STRINGS:
        length = MAX if MAX in (left.length, right.length) else max(left.length, right.length)
        return replace(right if right.name in WIDE else left, length=length).plain
    return left.plain if left.name == right.name and left.length >= right.length else right.plain
