"""One client's session on the store: statements, transactions, prepared statements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp

from sandbox.sqlserver import catalog as catalogs
from sandbox.sqlserver.batches import Simple, split
from sandbox.sqlserver.changes import Change, change
from sandbox.sqlserver.errors import NotSupported, SqlError, bad_syntax, known
from sandbox.sqlserver.queries import Columns, Compiler, Parameter
from sandbox.sqlserver.store import Store
from sandbox.sqlserver.types import MAX, SqlType

ROWS_PER_BATCH = 16_384
_BOUND = re.compile(r"CAST\(\$(\d+) AS ")


@dataclass(frozen=True)
class Rows:
    """A result set: its columns' declared types and the batches, fetched as they are asked for."""

    columns: list[tuple[str, SqlType]]
    batches: Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class Affected:
    """A statement without rows; `count` None where SQL Server counts nothing, `word` is INSERT, UPDATE or DELETE."""

    count: int | None = None
    word: str = ""


@dataclass(frozen=True)
class Transaction:
    """The session's transaction began or ended: `begin`, `commit` or `rollback`."""

    what: str


@dataclass(frozen=True)
class Database:
    """USE changed the database."""

    name: str


Outcome = Rows | Affected | Transaction | Database


@dataclass
class Session:
    """What the server keeps for one login."""

    store: Store
    spid: int
    facts: dict[str, Any] = field(default_factory=dict)
    isolation: str = "READ COMMITTED"
    implicit: bool = False
    trancount: int = 0
    in_store: bool = False  # a DuckDB transaction is open
    prepared: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cursor = self.store.cursor()

    def close(self) -> None:
        """Roll back what is open and let go of the store."""
        if self.in_store:
            self.cursor.execute("ROLLBACK")
        self.cursor.close()

    def run(self, sql: str, parameters: dict[str, Parameter]) -> Iterator[Outcome]:
        """The outcomes of a batch, one statement after the other.

        Raises SqlError; what was answered before it stays answered.
        """
        for statement in split(sql):
            fault = self.store.faults.statement(statement.text if isinstance(statement, Simple) else statement)
            if fault is not None and fault.run:
                other = Session(self.store, 0, dict(self.facts))
                for _ in other.run(fault.run, {}):
                    pass
                other.close()
            outcomes = self._simple(statement) if isinstance(statement, Simple) else self._parsed(statement, parameters)
            if fault is None or fault.harmless:
                yield from outcomes
                continue
            if not fault.after_rows:
                fault.strike()
            for outcome in outcomes:
                yield Rows(outcome.columns, fault.after(outcome.batches)) if isinstance(outcome, Rows) else outcome

    def _parsed(self, statement: str, parameters: dict[str, Parameter]) -> Iterator[Outcome]:
        try:
            nodes = sqlglot.parse(statement, read="tsql")
        except sqlglot.errors.ParseError as error:
            near = error.errors[0].get("highlight", "") if error.errors else statement[:30]
            raise bad_syntax(str(near)) from None
        for node in nodes:
            if node is not None:
                yield from self._statement(node, parameters)

    def _statement(self, node: Any, parameters: dict[str, Parameter]) -> Iterator[Outcome]:
        compiler = Compiler(
            self.store.catalog,
            parameters,
            {
                **self.facts,
                "spid": self.spid,
                "trancount": self.trancount,
                "database": self.store.database,
            },
        )
        try:
            if isinstance(node, exp.Query):
                query = compiler.query(node)  # type: ignore[arg-type]
                if self.implicit and not self.trancount and node.find(exp.Table):
                    yield from self.begin()
                yield self._rows(query.sql, query.columns, compiler.binds)
                return
            work = change(node, compiler)
            if self.implicit and not self.trancount:
                yield from self.begin()
            yield Affected(self._apply(work, compiler.binds), type(node).__name__.upper())
        except duckdb.Error as error:
            raise self._translated(error) from error

    def _rows(self, sql: str, columns: Columns, binds: list[Any]) -> Rows:
        reader = self.cursor.execute(sql, _used(sql, binds)).to_arrow_reader(ROWS_PER_BATCH)
        declared = [
            (name if not name.startswith("_c") else "", kind or _kind_of(reader.schema.field(number).type))
            for number, (name, kind) in enumerate(columns)
        ]
        for _, kind in declared:
            if kind.name in ("sql_variant", "hierarchyid", "geography"):
                raise NotSupported(f"a {kind.name} value in a result (convert it to nvarchar in the SELECT)")
        return Rows(declared, reader)

    def _apply(self, work: Change, binds: list[Any]) -> int | None:
        own = not self.trancount
        if not self.in_store:
            self.cursor.execute("BEGIN TRANSACTION")
            self.in_store = True
        try:
            count = None
            for number, sql in enumerate(work.statements):
                rows = self.cursor.execute(sql, _used(sql, binds)).fetchall()
                if number == 0 and rows and work.specs is None:
                    count = int(rows[0][0])
            if work.spec is not None and work.spec.key:
                self._check_key(work)
            if work.specs is not None:
                catalogs.save(self.cursor, work.specs, self.store.database)
            if own:
                self.cursor.execute("COMMIT")
        except (duckdb.Error, SqlError):
            self.cursor.execute("ROLLBACK")
            self.in_store = False
            self.trancount = min(self.trancount, 1)
            raise
        if own:
            self.in_store = False
        if work.specs is not None or any(sql.startswith("CREATE SCHEMA") for sql in work.statements):
            self.store.catalog.load(self.cursor)
        return count

    def _check_key(self, work: Change) -> None:
        assert work.spec is not None
        spec = work.spec
        key = ", ".join(f'"{name}"' for name in spec.key)
        found = self.cursor.execute(f"SELECT {key} FROM {spec.stored} GROUP BY {key} HAVING count(*) > 1 LIMIT 1").fetchone()
        if found:
            raise SqlError(
                2627,
                f"Violation of PRIMARY KEY constraint 'PK_{spec.name}_{'_'.join(spec.key)}'. "
                f"Cannot insert duplicate key in object '{spec.full_name}'. The duplicate key value "
                f"is ({', '.join(map(str, found))}).",
                severity=14,
            )

    # transactions

    def _simple(self, statement: Simple) -> Iterator[Outcome]:
        what, value = statement.what, statement.value
        if what == "isolation":
            self.isolation = value
        elif what == "implicit":
            self.implicit = value == "ON"
        elif what == "lock_timeout":
            self.facts["lock_timeout"] = int(value)
        elif what == "use":
            if value.lower() not in (self.store.database.lower(), "master"):
                raise SqlError(911, f"Database '{value}' does not exist. Make sure that the name is entered correctly.")
            yield Database(value)
        elif what == "kill":
            self.store.kill(int(value), self.spid)
        elif what == "begin":
            yield from self.begin()
        elif what in ("commit", "rollback"):
            yield from self.end(what)
        elif what in ("commit_if", "rollback_if") and self.trancount:
            yield from self.end(what.removesuffix("_if"))
        yield Affected()

    def begin(self) -> Iterator[Outcome]:
        """A transaction: for the isolation levels that keep what was read it is one of the store from here on,
        under READ COMMITTED each statement sees what is committed by then, until the first change."""
        self.trancount += 1
        if self.trancount == 1:
            if self.isolation in ("SNAPSHOT", "SERIALIZABLE", "REPEATABLE READ"):
                self.cursor.execute("BEGIN TRANSACTION")
                # the store takes its snapshot with the first read
                self.cursor.execute("SELECT count(*) FROM mssys.specs").fetchall()
                self.in_store = True
            yield Transaction("begin")

    def end(self, what: str) -> Iterator[Outcome]:
        """COMMIT one level, or ROLLBACK all."""
        if not self.trancount:
            number = 3902 if what == "commit" else 3903
            raise SqlError(number, f"The {what.upper()} TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        self.trancount = self.trancount - 1 if what == "commit" else 0
        if self.trancount:
            return
        if self.in_store:
            self.in_store = False
            try:
                self.cursor.execute(what.upper())
            except duckdb.Error as error:
                raise self._translated(error) from error
            if what == "rollback":
                self.store.catalog.load(self.cursor)
        yield Transaction(what)

    def reset(self) -> None:
        """sp_reset_connection: what a pooled connection's last user left is undone."""
        if self.trancount:
            list(self.end("rollback"))
        self.isolation, self.implicit = "READ COMMITTED", False
        self.prepared.clear()

    def _translated(self, error: duckdb.Error) -> SqlError:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        missing = re.search(r"NOT NULL constraint failed: (\w+)\.(\w+)", text)
        if missing:
            return SqlError(
                515,
                f"Cannot insert the value NULL into column '{missing[2]}', table '{missing[1]}'; "
                "column does not allow nulls. INSERT fails.",
            )
        if isinstance(error, duckdb.TransactionException):
            return known(3960, self.store.database)
        if text.endswith("sandbox divides by zero"):
            return SqlError(8134, "Divide by zero error encountered.")
        if isinstance(error, duckdb.OutOfRangeException) or "out of range" in text:
            return SqlError(8115, "Arithmetic overflow error converting expression to data type numeric or int.")
        if isinstance(error, duckdb.ConversionException):
            return SqlError(245, f"Conversion failed: {text}")
        return SqlError(50_000, f"sandbox: {text}")


def _used(sql: str, binds: list[Any]) -> dict[str, Any]:
    return {number: binds[int(number) - 1] for number in set(_BOUND.findall(sql))}


def _kind_of(kind: pa.DataType) -> SqlType:
    """The SQL Server type of a DuckDB result column without a declared one."""
    if pa.types.is_decimal(kind):
        return SqlType("decimal", 0, kind.precision, kind.scale)
    names = {
        pa.bool_(): "bit",
        pa.uint8(): "tinyint",
        pa.int16(): "smallint",
        pa.int32(): "int",
        pa.int8(): "smallint",
        pa.int64(): "bigint",
        pa.float32(): "real",
        pa.float64(): "float",
        pa.date32(): "date",
        pa.null(): "int",
    }
    if kind in names:
        return SqlType(names[kind])
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return SqlType("nvarchar", MAX)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return SqlType("varbinary", MAX)
    raise NotSupported(f"a result of type {kind}")
