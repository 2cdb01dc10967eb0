"""`python -m sandbox.api`: encodes the tables, listens, writes the ready file, and stops cleanly on SIGTERM."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import click
import uvicorn

from sandbox.adventureworks.orders import order_tables
from sandbox.api.app import build
from sandbox.api.pages import encode
from sandbox.latency import delayed
from sandbox.ready import write_ready
from sandbox.without_pandas import hide_pandas


class Server(uvicorn.Server):
    """Writes the ready file once it accepts connections."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket, ready: Path | None) -> None:
        super().__init__(config)
        self._address: tuple[str, int] = listener.getsockname()[:2]
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts as uvicorn does, then writes the ready file."""
        await super().startup(sockets)
        if self._ready and self.started:
            host, port = self._address
            write_ready(self._ready, {"host": host, "port": port, "url": f"http://{host}:{port}"})


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Created if missing; the API stores nothing there."
)
@click.option("--ready", type=click.Path(dir_okay=False, path_type=Path), help="Written once connections are accepted.")
@click.option("--max-page-size", default=5000, show_default=True, type=click.IntRange(1), help="Silent cap of `limit`.")
@click.option("--scale", default=1.0, show_default=True, type=click.FloatRange(0, min_open=True), help="1.0: 165,639 records.")
@click.option("--latency-ms", default=0, show_default=True, help="Milliseconds that every request waits.")
def main(host: str, port: int, data: Path | None, ready: Path | None, max_page_size: int, scale: float, latency_ms: int) -> None:
    """A REST API with the four order tables. SANDBOX_USER and SANDBOX_PASSWORD hold the login."""
    user, password = os.environ.get("SANDBOX_USER"), os.environ.get("SANDBOX_PASSWORD")
    if not user or not password:
        raise click.UsageError("SANDBOX_USER and SANDBOX_PASSWORD are not set: the login that this API accepts")
    if data:
        data.mkdir(parents=True, exist_ok=True)
    hide_pandas()
    tables = {name: encode(table) for name, table in order_tables(scale).items()}
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else small answers wait 40 ms for an acknowledgement
    config = uvicorn.Config(
        delayed(build(tables, user, password, max_page_size), latency_ms / 1000),
        http="httptools",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    # uvicorn hands a caught signal on to the handler that was there before it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Server(config, listener, ready).run(sockets=[listener])


if __name__ == "__main__":
    main()
