"""`python -m sandbox.workspace`: starts the workspace; SIGTERM or Ctrl-C stops it."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
import uvicorn

from sandbox.latency import delayed
from sandbox.ready import write_ready
from sandbox.workspace.app import build
from sandbox.workspace.faults import Faults, Order
from sandbox.workspace.runs import Runs
from sandbox.workspace.storage import Storage
from sandbox.workspace.tokens import LIFETIME_S, Tokens


class Server(uvicorn.Server):
    """Stops on SIGTERM and Ctrl-C with exit code 0; uvicorn itself would raise the signal again."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes the place of uvicorn's own."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.handle_exit)
        yield


@click.command(
    help="A Databricks workspace on this machine. It accepts SANDBOX_TOKEN, and OAuth tokens for SANDBOX_CLIENT_ID and _SECRET."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=0, show_default=True, help="0 takes a free port.")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Where files and runs are stored.")
@click.option(
    "--ready", type=click.Path(path_type=Path), help="Written once connections are accepted: JSON with pid, host, port."
)
@click.option("--quota", type=int, help="Bytes that fit into DBFS and volumes; more is refused as full.")
@click.option("--latency-ms", default=0, show_default=True, help="Milliseconds that every request waits.")
@click.option(
    "--volume",
    "volumes",
    multiple=True,
    default=("main.lighthouse.stage",),
    show_default=True,
    help="A volume that exists.",
)
@click.option(
    "--cluster",
    "clusters",
    multiple=True,
    default=("1124-120000-sandbox1",),
    show_default=True,
    help="A cluster that exists.",
)
@click.option("--token-lifetime", default=LIFETIME_S, show_default=True, help="Seconds that an OAuth token is valid.")
@click.option("--faults", "faults_file", type=click.Path(path_type=Path, exists=True), help="JSON: see faults.py.")
def main(
    host: str,
    port: int,
    data: Path,
    ready: Path | None,
    quota: int | None,
    latency_ms: int,
    volumes: tuple[str, ...],
    clusters: tuple[str, ...],
    token_lifetime: int,
    faults_file: Path | None,
) -> None:
    """Serves until SIGTERM."""
    token = os.environ.pop("SANDBOX_TOKEN", "")
    if not token:
        raise click.UsageError("SANDBOX_TOKEN is not set: the access token clients must show, such as dapi0123456789.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the server takes it
    storage = Storage(data.resolve(), quota)
    try:
        storage.prepare(volumes)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    client_id, client_secret = (os.environ.pop(name, "") for name in ("SANDBOX_CLIENT_ID", "SANDBOX_CLIENT_SECRET"))
    runs, tokens = Runs(storage), Tokens(token, client_id, client_secret, token_lifetime)
    faults = Faults(runs, storage, tokens)
    if faults_file:
        try:
            faults.add(msgspec.json.decode(faults_file.read_bytes(), type=Order))
        except msgspec.DecodeError as error:
            raise click.UsageError(f"--faults {faults_file}: {error}") from None
    listener = socket.create_server((host, port), backlog=256)
    # Connections inherit it; asyncio sets it only on sockets made another way, and each answer would wait 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    application = delayed(build(storage, runs, clusters, tokens, faults), latency_ms / 1000)
    config = uvicorn.Config(application, http="httptools", log_level="warning", access_log=False)
    if ready:
        # connections already wait in the listener's queue
        write_ready(ready, {"host": host, "port": listener.getsockname()[1], "volumes": volumes, "clusters": clusters})
    try:
        Server(config).run(sockets=[listener])
    finally:
        runs.stop()


if __name__ == "__main__":
    main()
    sys.exit(0)
