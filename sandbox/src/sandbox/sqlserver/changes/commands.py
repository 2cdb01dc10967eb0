"""Statements the parser doesn't know: indexes, synonyms, renames, descriptions, permissions, settings of the database."""

from __future__ import annotations

import re
from dataclasses import replace

from sqlglot import parse_one

from sandbox.sqlserver.changes.definitions import free, touched
from sandbox.sqlserver.changes.rows import Change
from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.sql.expressions import data_type
from sandbox.sqlserver.sql.queries import Compiler
from sandbox.sqlserver.sql.token_reader import Words
from sandbox.sqlserver.system import catalog as catalogs
from sandbox.sqlserver.system.specs import IndexSpec, TableSpec
from sandbox.sqlserver.types.sql_types import parse_type

_STARTS = re.compile(
    r"\s*(CREATE\s+(UNIQUE\s+)?((NON)?CLUSTERED\s+)?INDEX|ALTER\s+INDEX|DROP\s+INDEX|(CREATE|DROP)\s+SYNONYM|CREATE\s+TYPE"
    r"|EXEC(UTE)?\s|(sys\s*\.\s*)?sp_\w+|DENY\s|GRANT\s|REVOKE\s|ALTER\s+DATABASE)",
    re.IGNORECASE,
)


def command(sql: str, compiler: Compiler) -> Change | None:
    """None where the parser is to read the statement."""
    if not _STARTS.match(sql):
        return None
    # CLUSTERED decides nothing here, and the parser takes it for one word with INDEX
    words = Words(re.sub(r"\b(NON)?CLUSTERED\s+INDEX\b", "INDEX", sql, count=1, flags=re.IGNORECASE))
    first = words.take().text.upper()
    if first == "CREATE":
        if words.maybe("SYNONYM"):
            return _synonym(words, compiler)
        return _type(words, compiler) if words.maybe("TYPE") else _index(words, compiler)
    if first == "ALTER":
        return _database(words, compiler) if words.maybe("DATABASE") else _alter_index(words, compiler)
    if first == "DROP":
        return _drop_synonym(words, compiler) if words.maybe("SYNONYM") else _drop_index(words, compiler)
    if first in ("DENY", "GRANT", "REVOKE"):
        return _permission(first, words, compiler)
    name = words.name() if first in ("EXEC", "EXECUTE") else (first, *(words.name() if words.maybe(".") else ()))
    return _procedure(name[-1].lower(), words, compiler)


def _table(name: tuple[str, ...], compiler: Compiler) -> TableSpec:
    spec = compiler.catalog.spec(name[-2] if len(name) > 1 else "", name[-1])
    if spec is None or spec.select or spec.target:
        text = f'Cannot find the object "{".".join(name)}" because it does not exist or you do not have permissions.'
        raise SqlError(1088, text, state=12)
    return spec


def _exact(name: str, spec: TableSpec, compiler: Compiler) -> str:
    for column in spec.columns:
        if compiler.catalog.fold(column.name) == compiler.catalog.fold(name):
            return column.name
    raise SqlError(1911, f"Column name '{name}' does not exist in the target table or view.")


def _changed(spec: TableSpec, compiler: Compiler, statements: tuple[str, ...] = ()) -> Change:
    return Change([*statements], puts=[touched(spec, compiler.catalog)])


def _index(words: Words, compiler: Compiler) -> Change:
    unique = words.maybe("UNIQUE")
    words.need("INDEX")
    name = words.take().text
    words.need("ON")
    spec = _table(words.name(), compiler)
    keys = [(_exact(column, spec, compiler), down) for column, down in words.names()]
    included = [_exact(column, spec, compiler) for column, _ in words.names()] if words.maybe("INCLUDE") else []
    where = ""
    if words.maybe("WHERE"):
        where = re.sub(r"\s+WITH\s*\(.*$", "", words.rest(), flags=re.IGNORECASE | re.DOTALL)
        parse_one(f"SELECT 1 WHERE {where}", read="tsql")
    elif words.maybe("WITH"):
        words.rest()
    words.end()
    if any(index.name == name for index in spec.indexes):
        text = f"The operation failed because an index or statistics with name '{name}' already exists on '{spec.full_name}'."
        raise SqlError(1913, text)
    index = IndexSpec(name, [key for key, _ in keys], unique, f"({where})" if where else "", included, [k for k, d in keys if d])
    changed = _changed(replace(spec, indexes=[*spec.indexes, index]), compiler)
    return replace(changed, spec=changed.puts[0], checks=unique)


def _alter_index(words: Words, compiler: Compiler) -> Change:
    words.need("INDEX")
    name = words.take().text
    words.need("ON")
    spec = _table(words.name(), compiler)
    disabled = words.maybe("DISABLE")
    if not disabled:
        words.need("REBUILD")
    words.rest()
    found = [replace(i, disabled=disabled) if i.name == name or name.upper() == "ALL" else i for i in spec.indexes]
    if name.upper() != "ALL" and name not in [index.name for index in spec.indexes]:
        raise SqlError(2727, f"Cannot find index '{name}'.", severity=11)
    return _changed(replace(spec, indexes=found), compiler)


def _drop_index(words: Words, compiler: Compiler) -> Change:
    words.need("INDEX")
    if words.maybe("IF", "EXISTS"):
        raise NotSupported("DROP INDEX IF EXISTS")
    name = words.take().text
    words.need("ON")
    spec = _table(words.name(), compiler)
    left = [index for index in spec.indexes if index.name != name]
    if len(left) == len(spec.indexes):
        text = f"Cannot drop the index '{spec.full_name}.{name}', because it does not exist or you do not have permission."
        raise SqlError(3701, text, severity=11)
    return _changed(replace(spec, indexes=left), compiler)


def _synonym(words: Words, compiler: Compiler) -> Change:
    name = words.name()
    words.need("FOR")
    target = words.name()
    words.end()
    schema = name[-2] if len(name) > 1 else "dbo"
    free(schema, name[-1], compiler.catalog)
    text = ".".join(f"[{part.replace(']', ']]')}]" for part in target)
    spec = TableSpec(schema, name[-1], [], target=text, object_id=compiler.catalog.next_id())
    return _changed(spec, compiler)


def _drop_synonym(words: Words, compiler: Compiler) -> Change:
    name = words.name()
    spec = compiler.catalog.spec(name[-2] if len(name) > 1 else "", name[-1])
    if spec is None or not spec.target:
        text = f"Cannot drop the synonym '{'.'.join(name)}', because it does not exist or you do not have permission."
        raise SqlError(3701, text, severity=11)
    return Change([], drops=[spec])


def _type(words: Words, compiler: Compiler) -> Change:
    name = words.name()
    words.need("FROM")
    text = words.rest()
    nullable = not re.search(r"\bNOT\s+NULL\s*$", text, re.IGNORECASE)
    text = re.sub(r"\s+(NOT\s+)?NULL\s*$", "", text, flags=re.IGNORECASE)
    column = parse_one(f"CAST(1 AS {text})", read="tsql").args["to"]
    kind = parse_type(str(data_type(column)))
    where = compiler.catalog.collation
    return Change([], state=lambda cursor: catalogs.add_alias(cursor, name[-1], kind, nullable, where))


def _arguments(words: Words) -> dict[str, str]:
    """A procedure's arguments by name or, before the first named one, by position."""
    found: dict[str, str] = {}
    while words.next is not None:
        name = str(len(found))
        if words.maybe("@"):
            name = words.take().text.lower()
            words.need("=")
        found[name] = words.take().text
        if not words.maybe(","):
            words.end()
    return found


def _procedure(name: str, words: Words, compiler: Compiler) -> Change:
    given = _arguments(words)
    if name == "sp_rename":
        return _rename(given, compiler)
    if name in ("sp_addextendedproperty", "sp_updateextendedproperty", "sp_dropextendedproperty"):
        return _property(name, given, compiler)
    raise NotSupported(f"procedure {name}")


def _rename(given: dict[str, str], compiler: Compiler) -> Change:
    old, new = given.get("objname", given.get("0", "")), given.get("newname", given.get("1", ""))
    kind = given.get("objtype", given.get("2", "OBJECT")).upper()
    parts = Words(old).name()
    catalog = compiler.catalog
    if kind == "COLUMN":
        spec = _table(parts[:-1], compiler)
        exact = _exact(parts[-1], spec, compiler)
        if any(catalog.fold(column.name) == catalog.fold(new) and column.name != exact for column in spec.columns):
            text = f"Error: The new name '{new}' is already in use as a COLUMN name and would cause a duplicate."
            raise SqlError(15335, text, severity=11)

        def renamed(names: list[str]) -> list[str]:
            return [new if name == exact else name for name in names]

        columns = [replace(column, name=new) if column.name == exact else column for column in spec.columns]
        indexes = [replace(index, columns=renamed(index.columns), included=renamed(index.included)) for index in spec.indexes]
        unique = [renamed(names) for names in spec.unique]
        return _changed(replace(spec, columns=columns, key=renamed(spec.key), unique=unique, indexes=indexes), compiler)
    if kind != "OBJECT":
        raise NotSupported(f"sp_rename of {kind}")
    spec = _table(parts, compiler)
    if catalog.fold(spec.name) != catalog.fold(new):
        free(spec.schema, new, catalog)
    return _changed(replace(spec, name=new), compiler)


_LEVELS = ("name", "value", "level0type", "level0name", "level1type", "level1name", "level2type", "level2name")


def _property(procedure: str, given: dict[str, str], compiler: Compiler) -> Change:
    order = [name for name in _LEVELS if name != "value"] if procedure == "sp_dropextendedproperty" else _LEVELS
    named = {(order[int(key)] if key.isdigit() else key): value for key, value in given.items()}
    if named.get("level0type", "").upper() != "SCHEMA" or "level1name" not in named:
        raise NotSupported("an extended property of anything but a table, view or column")
    spec = compiler.catalog.spec(named["level0name"], named["level1name"])
    if spec is None:
        raise SqlError(15135, f"Object is invalid. Extended properties are not permitted on '{named['level1name']}'.")
    number = 0
    if "level2name" in named:
        number = spec.column(_exact(named["level2name"], spec, compiler)).number
    left = [item for item in spec.properties if item[:2] != (number, named["name"])]
    if procedure == "sp_addextendedproperty" and len(left) != len(spec.properties):
        raise SqlError(15233, f"Property cannot be added. Property '{named['name']}' already exists for '{spec.full_name}'.")
    if procedure != "sp_dropextendedproperty":
        left.append((number, named["name"], named["value"]))
    return Change([], puts=[replace(spec, properties=left)])


def _permission(what: str, words: Words, compiler: Compiler) -> Change:
    """SELECT only; there is one login, so it is denied to or granted to that."""
    words.need("SELECT")
    columns = words.names() if words.next is not None and words.next.text == "(" else []
    words.need("ON")
    words.maybe("OBJECT", "::")
    name = words.name()
    columns = columns or (words.names() if words.next is not None and words.next.text == "(" else [])
    if not words.maybe("TO"):
        words.need("FROM")
    words.take()
    words.end()
    spec = compiler.catalog.spec(name[-2] if len(name) > 1 else "", name[-1])
    if spec is None:
        text = f"Cannot find the object '{'.'.join(name)}', because it does not exist or you do not have permission."
        raise SqlError(15151, text)
    numbers = [spec.column(_exact(column, spec, compiler)).number for column, _ in columns] or [0]
    listed = ", ".join(map(str, numbers))
    everything = "" if columns else " OR true"
    statements = [f"DELETE FROM mssys.denied WHERE object_id = {spec.object_id} AND (column_id IN ({listed}){everything})"]
    if what == "DENY":
        rows = ", ".join(f"({spec.object_id}, {number})" for number in numbers)
        statements.append(f"INSERT INTO mssys.denied VALUES {rows}")
    return Change(statements, state=lambda cursor: None)


_SETTINGS = {"ALLOW_SNAPSHOT_ISOLATION": "snapshot", "READ_COMMITTED_SNAPSHOT": "rcsi"}


def _database(words: Words, compiler: Compiler) -> Change:
    words.take()
    words.need("SET")
    what = words.take().text.upper()
    if what in ("READ_ONLY", "READ_WRITE"):
        name, value = "read_only", "ON" if what == "READ_ONLY" else ""
        fact = f"is_read_only = {what == 'READ_ONLY'}"
    elif what in _SETTINGS:
        name, state = _SETTINGS[what], words.take().text.upper()
        value = "ON" if state == "ON" else ""
        fact = f"is_read_committed_snapshot_on = {state == 'ON'}"
        if name == "snapshot":
            fact = f"snapshot_isolation_state = {int(state == 'ON')}, snapshot_isolation_state_desc = '{state}'"
    else:
        raise NotSupported(f"ALTER DATABASE … SET {what}")
    words.rest()
    return Change(
        [
            f"DELETE FROM mssys.state WHERE name = '{name}'",
            f"INSERT INTO mssys.state VALUES ('{name}', '{value}')",
            f"UPDATE mssys.databases SET {fact} WHERE database_id = 5",
        ],
        state=lambda cursor: None,
    )
