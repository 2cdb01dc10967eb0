"""A run as one trace: a span for the run, its steps, its streams, their ranges and requests (docs/operations.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from lakehouse.telemetry.facts import RunFacts, RunLoad, seconds_of

SCOPE = "lighthouse"
BATCH = 512  # spans in a request, as the SDK's own processor has it
_OF_HTTP = ("http.", "url.", "server.")


class NotSent(Exception):
    """The collector did not take something."""


class _Batches(SpanProcessor):
    """Sends ended spans, many at once. The SDK's own processors say nothing of what was not taken."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        self._exporter = exporter
        self._waiting: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Keeps it until there are many."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._waiting.append(span)

    def send(self, least: int = 1) -> None:
        """Sends what waits, where that is as much as this. Raises NotSent."""
        if len(self._waiting) < least:
            return
        spans, self._waiting = self._waiting, []
        if self._exporter.export(spans) is not SpanExportResult.SUCCESS:
            raise NotSent


def send(facts: RunFacts, resource: Resource, environment: Mapping[str, str]) -> None:
    """Sends the trace of a run, as a part of the one that TRACEPARENT names. Raises NotSent."""
    batches = _Batches(OTLPSpanExporter())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(batches)
    made = _Trace(facts, provider.get_tracer(SCOPE))
    carrier = {name.lower(): value for name, value in environment.items() if name in ("TRACEPARENT", "TRACESTATE")}
    made.outline(TraceContextTextMapPropagator().extract(carrier))
    batches.send()
    for number, _ in enumerate(made.details()):
        if number % BATCH == BATCH - 1:
            batches.send()
    batches.send()


class _Trace:
    """The spans of a run; the large ones first, so that they are there if time runs out."""

    def __init__(self, facts: RunFacts, tracer: trace.Tracer) -> None:
        self._facts, self._tracer = facts, tracer
        self._steps: list[Context] = []
        self._streams: dict[str, list[tuple[float, Context]]] = {}  # by load and by name, with when they began

    def outline(self, parent: Context) -> None:
        """The run, its steps and its streams."""
        facts, read = self._facts, [each.load.manifest for each in self._facts.loads if each.is_read]
        attributes = {
            "run_id": facts.run_id, "target": facts.target, "exit_code": facts.code, "loads": len(read),
            "rows": sum(m.rows for m in read), "bytes": sum(file.bytes for m in read for file in m.files),
        }  # fmt: skip
        failure = facts.failures[0] if facts.failures else f"exit code {facts.code}"
        self._root = self._span(
            "run", parent, facts.began, facts.ended, attributes, failure if facts.code else "", facts.failures
        )
        for step in facts.steps:
            began = seconds_of(step.started_at)
            self._steps.append(self._span(step.step, self._root, began, began + step.seconds, {"step": step.step}))
        for each in facts.loads:
            if each.is_read:
                self._stream(each)
        for stream, (began, ended, has_failed) in facts.without_load.items():
            error = "it was not read to its end" if has_failed else ""
            context = self._span(stream, self._parent(began, "extract"), began, ended, {"stream": stream}, error)
            self._streams.setdefault(stream, []).append((began, context))

    def _stream(self, each: RunLoad) -> None:
        m, result = each.load.manifest, each.converted.result if each.converted else None
        attributes = {
            "source": m.source, "stream": m.stream, "table": m.table, "load_id": m.load_id, "mode": m.mode, "rows": m.rows,
            "source_rows": m.source_rows, "bytes": sum(file.bytes for file in m.files), "files": len(m.files),
            "dead_letters": m.dead_letters, "deletes": m.deletes, "status": result.status if result else "staged",
            "equal": result.equal if result else None, "delta_rows": result.delta_rows if result else None,
        }  # fmt: skip
        began, ended = seconds_of(m.started_at), seconds_of(m.ended_at)
        begins = max(began, self._facts.began)  # of a load that goes on with one of an earlier run
        context = self._span(each.name, self._parent(begins, "extract"), begins, max(begins, ended), attributes, each.problem)
        for name in (m.load_id, m.stream):
            self._streams.setdefault(name, []).append((began, context))

    def details(self) -> Any:
        """Yields after each span below the steps and streams."""
        for note in self._facts.spans():
            told = {name if name.startswith(_OF_HTTP) else f"{SCOPE}.{name}": value for name, value in note.attributes.items()}
            status = int(note.attributes.get("http.response.status_code", 0))
            error = note.error or (f"HTTP {status}" if status >= 400 else "")
            kind = SpanKind.CLIENT if note.name == "request" else SpanKind.INTERNAL
            parent = self._stream_at(note.began, note.load, note.stream) or self._parent(note.began, note.step)
            yield self._span(note.name, parent, note.began, note.ended, told, error, kind=kind, prefix="")

    def _stream_at(self, moment: float, *names: str | None) -> Context | None:
        """The stream of the first name that is known; of several loads of one name, the last that had begun."""
        for name in names:
            if name and (found := self._streams.get(name)):
                return next((context for began, context in reversed(found) if began <= moment + 0.001), found[0][1])
        return None

    def _parent(self, moment: float, step: str | None) -> Context:
        number = self._facts.step_at(moment, step)
        return self._root if number is None else self._steps[number]

    def _span(
        self,
        name: str,
        parent: Context,
        began: float,
        ended: float,
        attributes: Mapping[str, Any],
        error: str = "",
        failures: list[str] | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        prefix: str = f"{SCOPE}.",
    ) -> Context:
        """A span from when to when; what hangs below it is given the context that comes out."""
        known = {prefix + name: value for name, value in attributes.items() if value is not None}
        span = self._tracer.start_span(name, parent, kind, known, start_time=int(began * 1e9))
        for line in failures or ():
            span.add_event("failure", {"message": line}, int(ended * 1e9))
        if error:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(int(ended * 1e9))
        return trace.set_span_in_context(span, parent)
