"""T-SQL expressions to DuckDB, with the type SQL Server would give each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from sqlglot import exp

from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.sql import collation_keys, comparisons, conversions, type_rules
from sandbox.sqlserver.sql.declared_types import cast_target
from sandbox.sqlserver.sql.global_variables import global_variable
from sandbox.sqlserver.sql.scope import BIT, INT, Scope, Typed, constant, is_text
from sandbox.sqlserver.sql.statement import Statement
from sandbox.sqlserver.types.sql_types import BINARIES, INTEGERS, MAX, STRINGS, TEMPORAL, TEXT_ONLY, SqlType

Handler = Callable[["Expressions", exp.Expression], Typed]

_COMPARISONS: dict[Any, str] = {exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_ARITHMETIC: dict[Any, str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}


class Expressions:
    """Compiles the expressions of one scope; `call` compiles functions."""

    def __init__(self, statement: Statement, scope: Scope, call: Handler) -> None:
        self.statement = statement
        self.scope = scope
        self._call = call
        self.grouped: dict[str, str] = {}  # what stands for a grouped expression outside of aggregates
        self.aggregating = 0

    def compile(self, node: exp.Expression) -> Typed:
        """Compiles an expression. Raises NotSupported with the construct's name, or SQL Server's own errors."""
        inside = isinstance(node, exp.AggFunc)
        self.aggregating += inside
        try:
            typed = self._compile(node)
        finally:
            self.aggregating -= inside
        if typed.sql in self.grouped and not self.aggregating:
            return replace(typed, sql=self.grouped[typed.sql])
        return typed

    def _compile(self, node: exp.Expression) -> Typed:
        for kind in _COMPARISONS:
            if type(node) is kind:
                return Typed(self._compare(_COMPARISONS[kind], node.this, node.expression), BIT)
        if type(node) in _ARITHMETIC:
            return self._arithmetic(node)
        method = getattr(self, "_" + type(node).__name__.lower(), None)
        if method is not None:
            result: Typed = method(node)
            return result
        return self._call(self, node)

    def text(self, node: exp.Expression) -> str:
        """The DuckDB expression alone."""
        return self.compile(node).sql

    # constants and names

    def _literal(self, node: exp.Literal) -> Typed:
        if node.is_string:
            return constant(node.this, SqlType("varchar", max(len(node.this), 1)))
        text = str(node.this)
        if "e" in text.lower():
            return constant(float(text), SqlType("float"))
        if "." in text:
            whole, _, fraction = text.partition(".")
            return constant(text, SqlType("numeric", 0, max(len(whole) + len(fraction), 1), len(fraction)))
        if abs(int(text)) < 2**31:
            return constant(int(text), INT)
        return constant(int(text), SqlType("numeric", 0, len(text.lstrip("-")), 0))

    def _national(self, node: exp.National) -> Typed:
        return constant(node.this, SqlType("nvarchar", max(len(node.this), 1)))

    def _hexstring(self, node: exp.HexString) -> Typed:
        text = hex(int(node.this)) if not isinstance(node.this, str) else node.this
        digits = text[2:] if text.lower().startswith("0x") else text
        data = bytes.fromhex(digits if len(digits) % 2 == 0 else "0" + digits)
        return constant(data, SqlType("varbinary", max(len(data), 1)))

    def _null(self, _: exp.Null) -> Typed:
        return Typed("NULL", None, True, None)

    def _boolean(self, node: exp.Boolean) -> Typed:
        return Typed("true" if node.this else "false", BIT)

    def _column(self, node: exp.Column) -> Typed:
        if node.name.lower() == "0x" and not node.table:
            return constant(b"", SqlType("varbinary", 1))
        return self.scope.column(node.name, node.table)

    def _parameter(self, node: exp.Parameter) -> Typed:
        if isinstance(node.this, exp.Parameter):
            return global_variable(node.this.name, self.statement.session)
        return self.statement.parameter(node.name)

    def _paren(self, node: exp.Paren) -> Typed:
        inner = self.compile(node.this)
        return replace(inner, sql=f"({inner.sql})")

    def _neg(self, node: exp.Neg) -> Typed:
        inner = self.compile(node.this)
        if inner.constant and inner.kind is not None and inner.value is not None:
            negative = "-" + inner.value if isinstance(inner.value, str) else -inner.value
            return constant(negative, inner.kind)
        return Typed(f"(- {inner.sql})", inner.kind)

    # logic

    def _and(self, node: exp.And) -> Typed:
        return Typed(f"({self.text(node.this)} AND {self.text(node.expression)})", BIT)

    def _or(self, node: exp.Or) -> Typed:
        return Typed(f"({self.text(node.this)} OR {self.text(node.expression)})", BIT)

    def _not(self, node: exp.Not) -> Typed:
        return Typed(f"(NOT {self.text(node.this)})", BIT)

    def _is(self, node: exp.Is) -> Typed:
        return Typed(f"({self.text(node.this)} IS {self.text(node.expression)})", BIT)

    def _exists(self, node: exp.Exists) -> Typed:
        return Typed(f"EXISTS ({self.statement.query(node.this, self.scope).sql})", BIT)

    def _subquery(self, node: exp.Subquery) -> Typed:
        return self._select(node.this)

    def _select(self, node: exp.Expression) -> Typed:
        query = self.statement.query(node, self.scope)
        kind = query.columns[0].kind
        return Typed(f"({query.sql})", kind, label=int(is_text(kind)))

    def _between(self, node: exp.Between) -> Typed:
        low, high = node.args["low"], node.args["high"]
        return Typed(f"({self._compare('>=', node.this, low)} AND {self._compare('<=', node.this, high)})", BIT)

    def _in(self, node: exp.In) -> Typed:
        query = node.args.get("query")
        if query is not None:
            inner = self.statement.query(query.this if isinstance(query, exp.Subquery) else query, self.scope)
            left, right = self.compile(node.this), Typed("v", inner.columns[0].kind)
            right = replace(right, label=int(is_text(right.kind)))
            a, b = comparisons.comparable(self.statement, left, right)
            return Typed(f"{a} IN (SELECT {b} FROM ({inner.sql}) AS x(v))", BIT)
        tests = [self._compare("=", node.this, item) for item in node.expressions]
        return Typed(f"({' OR '.join(tests)})", BIT)

    def _like(self, node: exp.Like) -> Typed:
        left, right = self.compile(node.this), self.compile(node.expression)
        if "[" in str(right.value or ""):
            raise NotSupported("LIKE with [ ]")
        name = self.collation(left, right)
        return Typed(f"({collation_keys.fold(left.sql, name)} LIKE {collation_keys.fold(right.sql, name)})", BIT)

    def _escape(self, node: exp.Escape) -> Typed:
        left, right = self.compile(node.this.this), self.compile(node.this.expression)
        name = self.collation(left, right)
        a, b = collation_keys.fold(left.sql, name), collation_keys.fold(right.sql, name)
        return Typed(f"({a} LIKE {b} ESCAPE {self.text(node.expression)})", BIT)

    def _compare(self, operator: str, left_node: exp.Expression, right_node: exp.Expression) -> str:
        left, right = self.compile(left_node), self.compile(right_node)
        return self.compare(operator, left, right)

    def compare(self, operator: str, left: Typed, right: Typed) -> str:
        """A comparison after SQL Server's implicit conversions."""
        return comparisons.compare(self.statement, operator, left, right)

    def sort_key(self, value: Typed) -> str:
        """A DuckDB expression that sorts and groups as SQL Server does; the value itself where that is the same."""
        return comparisons.sort_key(self.statement, value)

    def collation(self, *sides: Typed) -> str:
        """The collation by which texts are compared. Raises SqlError 468 where two contradict each other."""
        return comparisons.common_collation(self.statement, *sides)

    # conversions

    def coerce(self, value: Typed, target: SqlType) -> str:
        """A DuckDB expression that converts a value to another type's stored form."""
        return conversions.coerce(self.statement, value, target)

    def _cast(self, node: exp.Cast) -> Typed:
        return self.convert(node.this, cast_target(node.args["to"]), None)

    def _trycast(self, node: exp.TryCast) -> Typed:
        raise NotSupported("TRY_CAST and TRY_CONVERT")

    def _convert(self, node: exp.Convert) -> Typed:
        if node.args.get("safe"):
            raise NotSupported("TRY_CONVERT")
        style_node = node.args.get("style")
        style = None if style_node is None else self.compile(style_node).value
        return self.convert(node.expression, cast_target(node.this), style)

    def convert(self, node: exp.Expression, target: SqlType, style: int | None) -> Typed:
        """CAST and CONVERT."""
        inner = self.compile(node)
        if is_text(target):
            if is_text(inner.kind) and inner.kind is not None:
                target = replace(target, collation=inner.kind.collation)
            return Typed(self.as_text(inner, target, style), target, label=inner.label)
        if target.name in TEXT_ONLY and inner.kind and inner.kind.name not in STRINGS | TEXT_ONLY:
            raise NotSupported(f"CAST to {target.name}")
        if inner.kind is not None and inner.kind.name == "sql_variant" and target.name != "sql_variant":
            return Typed(conversions.from_variant(inner.sql, target), target)
        if target.name == "sql_variant":
            return Typed(conversions.to_variant(self.statement, inner), target)
        if target.name in BINARIES:
            return Typed(conversions.to_binary(self.statement, inner, target, style), target)
        return Typed(self.coerce(inner, target), target)

    def as_text(self, inner: Typed, target: SqlType, style: int | None) -> str:
        """CONVERT to text."""
        return conversions.to_text(self.statement, inner, target, style)

    # arithmetic and CASE

    def _arithmetic(self, node: exp.Expression) -> Typed:
        left, right = self.compile(node.this), self.compile(node.expression)
        kinds = [kind for kind in (left.kind, right.kind) if kind is not None]
        operator = _ARITHMETIC[type(node)]
        if any(kind.name in STRINGS for kind in kinds):
            if operator == "+":
                a, b = (self.coerce(side, SqlType("nvarchar", MAX)) for side in (left, right))
                return Typed(f"({a} || {b})", SqlType("nvarchar", 4_000))
            raise SqlError(8117, f"Operand data type varchar is invalid for {type(node).__name__.lower()} operator.")
        if any(kind.name in TEMPORAL | BINARIES for kind in kinds):
            raise NotSupported(f"{operator} with {kinds[0]}")
        if len(kinds) == 2 and all(kind.name in INTEGERS for kind in kinds):
            kind = max(kinds, key=lambda one: INTEGERS.index(one.name)).plain
            a, b = (f"CAST({side.sql} AS {kind.store})" for side in (left, right))
            sql = f"({a} {'//' if operator == '/' else operator} {b})"
            if operator in "/%":
                sql = f"(CASE WHEN {b} = 0 THEN error('sandbox divides by zero') ELSE {sql} END)"
            return Typed(sql, kind)
        money = len(kinds) == 2 and all(kind.name in ("money", "smallmoney") for kind in kinds) and operator in "+-"
        return Typed(f"({left.sql} {operator} {right.sql})", SqlType("money", 0, 19, 4) if money else None)

    def _dpipe(self, node: exp.DPipe) -> Typed:
        return Typed(f"({self.text(node.this)} || {self.text(node.expression)})", SqlType("nvarchar", 4_000))

    def _case(self, node: exp.Case) -> Typed:
        subject = node.args.get("this")
        default = node.args.get("default")
        branches = []
        for branch in node.args["ifs"]:
            test = self._compare("=", subject, branch.this) if subject is not None else self.text(branch.this)
            branches.append((test, self.compile(branch.args["true"])))
        results = [value for _, value in branches]
        last = self.compile(default) if default is not None else None
        kind = self.widest([*results, *([last] if last is not None else [])])
        text = " ".join(f"WHEN {test} THEN {self.as_kind(value, kind)}" for test, value in branches)
        return Typed(f"CASE {text}{f' ELSE {self.as_kind(last, kind)}' if last is not None else ''} END", kind)

    def as_kind(self, value: Typed, kind: SqlType | None) -> str:
        """Converted where both types are known."""
        return value.sql if kind is None or value.kind is None else self.coerce(value, kind)

    def widest(self, items: Iterable[Typed]) -> SqlType | None:
        """The type of CASE, COALESCE and the like."""
        return type_rules.widest(item.kind for item in items)
