"""What every new or changed object needs: a free name, a modification time, its table and counter in DuckDB."""

from __future__ import annotations

from dataclasses import replace

from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.system.catalog import Catalog
from sandbox.sqlserver.system.specs import TableSpec
from sandbox.sqlserver.types.temporal import now_datetime


def redefined(spec: TableSpec, catalog: Catalog) -> TableSpec:
    """An object whose definition changes now."""
    now = now_datetime()
    return replace(spec, modified=max(now, spec.modified + 1), version=catalog.version + 1, created=spec.created or now)


def check_free(schema: str, name: str, catalog: Catalog) -> None:
    """Raises SqlError 2714 if an object has the name, 2760 if the schema does not exist."""
    if catalog.spec(schema, name) is not None:
        raise SqlError(2714, f"There is already an object named '{name}' in the database.", state=6)
    if catalog.fold(schema) not in catalog.schemas:
        raise SqlError(
            2760, f'The specified schema name "{schema}" either does not exist or you do not have permission to use it.'
        )


def create_sql(spec: TableSpec) -> str:
    """CREATE TABLE for DuckDB; keys are checked by the session."""
    listed = ", ".join(f"{c.stored} {c.kind.store}{'' if c.null or c.computed else ' NOT NULL'}" for c in spec.columns)
    return f"CREATE TABLE {spec.stored} ({listed})"


def identity_sql(spec: TableSpec, first: int = 1) -> str:
    """The counter of a table's identity column, for DuckDB."""
    return f"CREATE OR REPLACE SEQUENCE {spec.identity} START {first}"
