"""`python -m sandbox.sqlserver`."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import click

from sandbox.sqlserver.data.content import Content
from sandbox.sqlserver.data.parquet import Given
from sandbox.sqlserver.engine.connection import Connection, Credentials
from sandbox.sqlserver.engine.store import Store
from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.types import collations
from sandbox.sqlserver.wire import browser, certificate


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
@click.option("--instance", default="", help="Name of the instance: SQL Server Browser tells its port over UDP 1434.")
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
    instance: str,
    faults: Path | None,
) -> None:
    """A SQL Server counterpart. Login from SANDBOX_USER and SANDBOX_PASSWORD."""
    logging.basicConfig(level=os.environ.get("SANDBOX_LOG", "WARNING"), stream=sys.stderr)
    user, password = os.environ.get("SANDBOX_USER"), os.environ.get("SANDBOX_PASSWORD")
    if not user or not password:
        raise click.UsageError("SANDBOX_USER and SANDBOX_PASSWORD must be set, e.g. SANDBOX_USER=sa")
    data.mkdir(parents=True, exist_ok=True)
    try:
        files = tuple(map(Given.parse, parquet))
        named = collations.collation(collation).name
        store = Store(data, database, Content(None if only_parquet else scale, files, tables, named), faults, clock_offset)
    except (ValueError, SqlError) as problem:
        raise click.UsageError(str(problem)) from None
    certificate_file, key_file = certificate.make(data)
    context = certificate.context(certificate_file, key_file)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    listener = socket.create_server((host, port), backlog=64)
    listener.settimeout(0.2)
    if instance:
        browser.serve(host, instance, listener.getsockname()[1])
    if ready is not None:
        _write(
            ready,
            {
                "pid": os.getpid(),
                "host": host,
                "port": listener.getsockname()[1],
                "database": database,
                "ca_file": str(certificate_file.resolve()),
            },
        )
    credentials = Credentials(user, password)
    while not stopping.is_set():
        try:
            sock, _ = listener.accept()
        except TimeoutError:
            continue
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, store, context, credentials)
        threading.Thread(target=connection.serve, daemon=True).start()
    listener.close()
    store.close()
    # threads that still serve a client are not waited for
    sys.stdout.flush()
    os._exit(0)


def _write(file: Path, document: dict[str, object]) -> None:
    """Written under another name and renamed, so that a reader sees all of it or nothing."""
    hidden = file.with_name(f".{file.name}.{os.getpid()}")
    hidden.write_text(json.dumps(document) + "\n")
    hidden.replace(file)


if __name__ == "__main__":
    main()
