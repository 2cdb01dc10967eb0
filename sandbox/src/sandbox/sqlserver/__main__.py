"""`python -m sandbox.sqlserver`."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import click

from sandbox.ready import write_ready
from sandbox.sqlserver.data.content import Content
from sandbox.sqlserver.data.parquet_tables import ParquetTable
from sandbox.sqlserver.engine.listener import listen, serve, stop_on_sigterm
from sandbox.sqlserver.engine.login import Credentials
from sandbox.sqlserver.engine.store import Store
from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.types import collations
from sandbox.sqlserver.wire import browser, certificate
from sandbox.sqlserver.wire.gssapi import Acceptor, NotTrusted
from sandbox.without_pandas import hide_pandas


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, help="Port; 0 takes a free one.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the data.")
@click.option("--ready", type=click.Path(path_type=Path, dir_okay=False), help="File to write once listening.")
@click.option("--database", default="AdventureWorks", show_default=True, help="Name of the database.")
@click.option("--scale", default=1.0, show_default=True, type=click.FloatRange(min=0), help="Factor of the row counts.")
@click.option("--parquet", multiple=True, metavar="SCHEMA.TABLE=FILE[:KEYS]", help="A table made from a Parquet file.")
@click.option("--only-parquet", is_flag=True, help="Leave the generated tables out.")
@click.option("--tables", default=0, show_default=True, help="Empty extra tables of ten columns.")
@click.option("--collation", default=collations.DEFAULT, show_default=True, help="The database's collation.")
@click.option("--clock-offset", default=0.0, show_default=True, help="Seconds that the server's clock is ahead.")
@click.option("--count-rows", is_flag=True, help="Count the rows that statements look at (sys.dm_os_performance_counters).")
@click.option("--threads", default=1, show_default=True, help="Threads that one statement may use; its clients want the rest.")
@click.option("--instance", default="", help="Name of the instance: SQL Server Browser tells its port over UDP 1434.")
@click.option("--keytab", type=click.Path(path_type=Path, dir_okay=False), help="Keys of its service, for integrated logins.")
@click.option("--windows-login", default="", help="DOMAIN\\\\name that may log in so.")
@click.option("--copies", type=click.Path(path_type=Path, file_okay=False), help="Folder of generated databases to copy.")
@click.option("--faults", type=click.Path(path_type=Path, dir_okay=False), help="JSON file of logins and statements to fail.")
def main(
    host: str,
    port: int,
    data: Path,
    ready: Path | None,
    database: str,
    scale: float,
    parquet: tuple[str, ...],
    only_parquet: bool,
    tables: int,
    collation: str,
    clock_offset: float,
    count_rows: bool,
    threads: int,
    instance: str,
    keytab: Path | None,
    windows_login: str,
    copies: Path | None,
    faults: Path | None,
) -> None:
    """A SQL Server stand-in. SANDBOX_USER and SANDBOX_PASSWORD hold the login that it accepts."""
    logging.basicConfig(level=os.environ.get("SANDBOX_LOG", "WARNING"), stream=sys.stderr)
    user, password = os.environ.get("SANDBOX_USER"), os.environ.get("SANDBOX_PASSWORD")
    if not user or not password:
        raise click.UsageError(
            "SANDBOX_USER and SANDBOX_PASSWORD are not set: the login that this server accepts, e.g. SANDBOX_USER=sa"
        )
    hide_pandas()
    data.mkdir(parents=True, exist_ok=True)
    try:
        files = tuple(map(ParquetTable.parse, parquet))
        named = collations.collation(collation).name
        content = Content(None if only_parquet else scale, files, tables, named)
        store = Store(data, database, content, faults, clock_offset, count_rows, copies, threads)
    except (ValueError, SqlError) as problem:
        raise click.UsageError(str(problem)) from None
    try:
        acceptor = Acceptor(keytab, data / "replays") if keytab else None
    except (OSError, NotTrusted) as problem:
        raise click.UsageError(f"integrated logins: {problem}") from None
    certificate_file, key_file = certificate.make(data)
    stopping = stop_on_sigterm()
    listener = listen(host, port)
    port = listener.getsockname()[1]
    if instance:
        browser.serve(host, instance, port)
    if ready is not None:
        ca_file = str(certificate_file.resolve())
        write_ready(ready, {"host": host, "port": port, "database": database, "ca_file": ca_file})
    credentials = Credentials(user, password, windows_login, acceptor)
    serve(listener, stopping, store, certificate.context(certificate_file, key_file), credentials)
    sys.stdout.flush()
    os._exit(0)  # threads that still serve a client are not waited for


if __name__ == "__main__":
    main()
