"""A collector on loopback: takes OTLP over HTTP and OpenLineage events from whoever shows the right header, and keeps both."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

OTLP_SECRET, LINEAGE_SECRET = "0tlp-s3cret-of-the-tests", "l1neage-s3cret-of-the-tests"
SECRETS = {
    "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{OTLP_SECRET}",
    "OPENLINEAGE_API_KEY": LINEAGE_SECRET,
}

TRACE, PARENT_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"  # of whoever starts the first run
WATCHED = {  # how it is told to whoever watches; quoted as `docker run --env-file` hands it over
    "OTEL_SERVICE_NAME": "'nightly'", "OTEL_RESOURCE_ATTRIBUTES": "team=data", "TRACEPARENT": f"00-{TRACE}-{PARENT_SPAN}-01",
}  # fmt: skip


def _value(told: Any) -> Any:
    """An attribute's value as Python has it."""
    return getattr(told, told.WhichOneof("value"))


def attributes(told: Any) -> dict[str, Any]:
    """Attributes by name."""
    return {each.key: _value(each.value) for each in told}


@dataclass(frozen=True)
class Span:
    """A span as it arrived; times in seconds since 1970."""

    trace: str
    id: str
    parent: str
    name: str
    began: float
    ended: float
    kind: int
    attributes: dict[str, Any]
    error: str | None
    events: list[str]


@dataclass
class Collector:
    """What arrived: `bodies` are all of it as it came, `refused` how many requests were not taken."""

    url: str = ""
    status: int = 200
    spans: list[Span] = field(default_factory=list)
    resource: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, list[tuple[dict[str, Any], float]]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    refused: int = 0

    @property
    def places(self) -> dict[str, str]:
        """The variables that name it."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OPENLINEAGE_URL": self.url}

    def take(self, path: str, body: bytes) -> None:
        self.bodies.append(body)
        if path == "/v1/traces":
            for part in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resource = attributes(part.resource.attributes)
                self.spans += [_span(each) for scope in part.scope_spans for each in scope.spans]
        elif path == "/v1/metrics":
            for part in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metric in (each for scope in part.scope_metrics for each in scope.metrics):
                    points = [(attributes(p.attributes), getattr(p, p.WhichOneof("value"))) for p in metric.gauge.data_points]
                    self.metrics[metric.name] = points
        else:
            self.events.append(json.loads(body))

    def span(self, name: str) -> Span:
        """The one of that name."""
        [found] = [each for each in self.spans if each.name == name]
        return found

    def below(self, span: Span, name: str | None = None) -> list[Span]:
        """Its children, those of a name if one is given."""
        return [each for each in self.spans if each.parent == span.id and name in (None, each.name)]


def _span(told: Any) -> Span:
    return Span(
        told.trace_id.hex(), told.span_id.hex(), told.parent_span_id.hex(), told.name, told.start_time_unix_nano / 1e9,
        told.end_time_unix_nano / 1e9, told.kind, attributes(told.attributes),
        told.status.message if told.status.code == 2 else None, [attributes(each.attributes)["message"] for each in told.events],
    )  # fmt: skip


@contextmanager
def collector() -> Iterator[Collector]:
    kept = Collector()
    lock, over = threading.Lock(), threading.Event()
    wanted = {"/v1/traces": OTLP_SECRET, "/v1/metrics": OTLP_SECRET, "/api/v1/lineage": LINEAGE_SECRET}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if kept.status == 0:  # it never answers
                over.wait(60)
            is_known = self.headers.get("Authorization") == f"Bearer {wanted.get(self.path)}"
            status = kept.status if is_known else 401
            with lock:
                if status == 200:
                    kept.take(self.path, body)
                else:
                    kept.refused += 1
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        kept.url = f"http://127.0.0.1:{server.server_port}"
        yield kept
        over.set()
        server.shutdown()
