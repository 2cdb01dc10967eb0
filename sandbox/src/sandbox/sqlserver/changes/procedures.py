"""sp_rename, the procedures of extended properties, and those of change tracking."""

from __future__ import annotations

from dataclasses import replace

from sandbox.sqlserver.changes.change import Change
from sandbox.sqlserver.changes.named_objects import definition_change, exact_column, named_table
from sandbox.sqlserver.changes.objects import check_free
from sandbox.sqlserver.changes.token_reader import TokenReader
from sandbox.sqlserver.changes.tracking import cleaned_up, grown_old, restored
from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.sql.statement import Statement

_LEVELS = ("name", "value", "level0type", "level0name", "level1type", "level1name", "level2type", "level2name")


def procedure(name: str, tokens: TokenReader, statement: Statement) -> Change:
    """EXECUTE of a procedure. Raises NotSupported for an unknown one."""
    given = _arguments(tokens)
    if name == "sp_rename":
        return _rename(given, statement)
    if name in ("sp_addextendedproperty", "sp_updateextendedproperty", "sp_dropextendedproperty"):
        return _property(name, given, statement)
    if name == "sp_flush_ct_internal_table_on_demand":
        table = given.get("tabletoclean", given.get("0", ""))
        return cleaned_up(named_table(TokenReader(table).name(), statement) if table else None, statement)
    if name == "sp_sandbox_age_changes":
        return grown_old(statement, int(given["0"]))
    if name == "sp_sandbox_restore_version":
        return restored(int(given["0"]), statement)
    raise NotSupported(f"procedure {name}")


def _arguments(tokens: TokenReader) -> dict[str, str]:
    """A procedure's arguments by name or, before the first named one, by position."""
    found: dict[str, str] = {}
    while tokens.next is not None:
        name = str(len(found))
        if tokens.maybe("@"):
            name = tokens.take().text.lower()
            tokens.need("=")
        found[name] = tokens.take().text
        if not tokens.maybe(","):
            tokens.end()
    return found


def _rename(given: dict[str, str], statement: Statement) -> Change:
    old, new = given.get("objname", given.get("0", "")), given.get("newname", given.get("1", ""))
    kind = given.get("objtype", given.get("2", "OBJECT")).upper()
    parts = TokenReader(old).name()
    catalog = statement.catalog
    if kind == "COLUMN":
        spec = named_table(parts[:-1], statement)
        exact = exact_column(parts[-1], spec, statement)
        if any(catalog.fold(column.name) == catalog.fold(new) and column.name != exact for column in spec.columns):
            text = f"Error: The new name '{new}' is already in use as a COLUMN name and would cause a duplicate."
            raise SqlError(15335, text, severity=11)

        def renamed(names: list[str]) -> list[str]:
            return [new if name == exact else name for name in names]

        columns = [replace(column, name=new) if column.name == exact else column for column in spec.columns]
        indexes = [replace(index, columns=renamed(index.columns), included=renamed(index.included)) for index in spec.indexes]
        unique = [renamed(names) for names in spec.unique]
        return definition_change(replace(spec, columns=columns, key=renamed(spec.key), unique=unique, indexes=indexes), statement)
    if kind != "OBJECT":
        raise NotSupported(f"sp_rename of {kind}")
    spec = named_table(parts, statement)
    if catalog.fold(spec.name) != catalog.fold(new):
        check_free(spec.schema, new, catalog)
    return definition_change(replace(spec, name=new), statement)


def _property(procedure: str, given: dict[str, str], statement: Statement) -> Change:
    order = [name for name in _LEVELS if name != "value"] if procedure == "sp_dropextendedproperty" else _LEVELS
    named = {(order[int(key)] if key.isdigit() else key): value for key, value in given.items()}
    if named.get("level0type", "").upper() != "SCHEMA" or "level1name" not in named:
        raise NotSupported("an extended property of anything but a table, view or column")
    spec = statement.catalog.spec(named["level0name"], named["level1name"])
    if spec is None:
        raise SqlError(15135, f"Object is invalid. Extended properties are not permitted on '{named['level1name']}'.")
    number = 0
    if "level2name" in named:
        number = spec.column(exact_column(named["level2name"], spec, statement)).number
    left = [item for item in spec.properties if item[:2] != (number, named["name"])]
    if procedure == "sp_addextendedproperty" and len(left) != len(spec.properties):
        raise SqlError(15233, f"Property cannot be added. Property '{named['name']}' already exists for '{spec.full_name}'.")
    if procedure != "sp_dropextendedproperty":
        left.append((number, named["name"], named["value"]))
    return Change([], puts=[replace(spec, properties=left)])
