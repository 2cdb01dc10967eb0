"""A column as CREATE TABLE and ALTER TABLE define it."""

from __future__ import annotations

from sqlglot import exp

from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.sql.declared_types import data_type
from sandbox.sqlserver.system.catalog import Catalog
from sandbox.sqlserver.system.specs import ColumnSpec
from sandbox.sqlserver.types.collations import collation
from sandbox.sqlserver.types.sql_types import SqlType


def column_spec(item: exp.ColumnDef, catalog: Catalog) -> tuple[ColumnSpec, bool, bool]:
    """A column's definition, whether it is the primary key and whether it is unique."""
    kinds = [constraint.args["kind"] for constraint in item.args.get("constraints") or []]
    primary = any(isinstance(kind, exp.PrimaryKeyColumnConstraint) for kind in kinds)
    single = any(isinstance(kind, exp.UniqueColumnConstraint) for kind in kinds)
    null = not primary and not any(
        isinstance(kind, exp.NotNullColumnConstraint) and not kind.args.get("allow_null") for kind in kinds
    )
    identity = any(isinstance(kind, exp.GeneratedAsIdentityColumnConstraint) for kind in kinds)
    default = next((k.this.sql(dialect="tsql") for k in kinds if isinstance(k, exp.DefaultColumnConstraint)), "")
    named = next((k.this.name for k in kinds if isinstance(k, exp.CollateColumnConstraint)), "")
    if item.args.get("kind") is None:
        raise NotSupported(f"a computed column in CREATE TABLE ({item.name})")
    alias = _alias(item.args["kind"], catalog)
    declared: SqlType = catalog.aliases[alias][0] if alias else data_type(item.args["kind"])
    if named:
        named = collation(named).name
    null = null and not identity and not (declared.name == "rowversion" and not kinds)
    return ColumnSpec(item.name, str(declared), null, identity, default=default, alias=alias, collation=named), primary, single


def _alias(kind: exp.Expression, catalog: Catalog) -> str:
    """The alias type a column is declared with; empty for a system type."""
    if not isinstance(kind, exp.DataType) or kind.this != exp.DataType.Type.USERDEFINED:
        return ""
    name = str(kind.args.get("kind")).split(".")[-1].strip('[]"')
    return next((alias for alias in catalog.aliases if catalog.fold(alias) == catalog.fold(name)), "")


def named_twice(column: str, table: str) -> SqlError:
    """2705: a column name that is there already."""
    text = f"Column names in each table must be unique. Column name '{column}' in table '{table}' is specified more than once."
    return SqlError(2705, text, state=4)
