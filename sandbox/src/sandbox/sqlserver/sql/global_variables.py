"""@@NAME: facts about the server and the session."""

from __future__ import annotations

from sandbox.sqlserver.errors import NotSupported
from sandbox.sqlserver.sql.scope import INT, Typed, constant
from sandbox.sqlserver.system import server
from sandbox.sqlserver.system.server import SYSNAME, SessionFacts
from sandbox.sqlserver.types.sql_types import SqlType


def global_variable(name: str, session: SessionFacts) -> Typed:
    """@@NAME. Raises NotSupported for an unknown one."""
    if name.lower() == "dbts":
        return constant(session.running().last_rowversion().to_bytes(8, "big"), SqlType("binary", 8))
    known: dict[str, Typed] = {
        "spid": constant(session.spid, SqlType("smallint")),
        "version": constant(server.VERSION_TEXT, SqlType("nvarchar", 300)),
        "servername": constant(server.NAME, SYSNAME),
        "servicename": constant("MSSQLSERVER", SYSNAME),
        "trancount": constant(session.trancount, INT),
        "rowcount": constant(session.rowcount, INT),
        "lock_timeout": constant(session.lock_timeout, INT),
        "microsoftversion": constant(0x10000FA0, INT),
        "max_precision": constant(38, SqlType("tinyint")),
        "language": constant("us_english", SYSNAME),
        "max_connections": constant(32_767, INT),
        "options": constant(5_432, INT),
        "procid": constant(0, INT),
    }
    if name.lower() not in known:
        raise NotSupported(f"@@{name.upper()}")
    return known[name.lower()]
