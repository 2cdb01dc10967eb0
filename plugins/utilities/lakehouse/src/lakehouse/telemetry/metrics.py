"""A run as figures: gauges, since each run is a process of its own (docs/operations.md)."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult
from opentelemetry.sdk.resources import Resource

from lakehouse.telemetry.facts import RunFacts, RunLoad, seconds_of
from lakehouse.telemetry.traces import SCOPE, NotSent


def send(facts: RunFacts, resource: Resource) -> None:
    """Sends the figures of a run. Raises NotSent."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], resource, shutdown_on_exit=False)
    _measure(facts, provider.get_meter(SCOPE))
    figures = reader.get_metrics_data()
    if figures is not None and OTLPMetricExporter().export(figures) is not MetricExportResult.SUCCESS:
        raise NotSent


def _measure(facts: RunFacts, meter: Meter) -> None:
    target = {f"{SCOPE}.target": facts.target}
    meter.create_gauge(f"{SCOPE}.run.duration", "s", "From its first step to its end.").set(facts.ended - facts.began, target)
    meter.create_gauge(f"{SCOPE}.run.exit_code", "1", "0: everything is in Delta.").set(facts.code, target)
    steps = meter.create_gauge(f"{SCOPE}.step.duration", "s", "Of a step; one that came twice, together.")
    for name in dict.fromkeys(step.step for step in facts.steps):
        seconds = sum(step.seconds for step in facts.steps if step.step == name)
        steps.set(seconds, {**target, f"{SCOPE}.step": name})
    duration = meter.create_gauge(f"{SCOPE}.stream.duration", "s", "Of reading a stream.")
    rows = meter.create_gauge(f"{SCOPE}.stream.rows", "{row}", "Rows that were read.")
    size = meter.create_gauge(f"{SCOPE}.stream.size", "By", "Bytes of the Parquet files.")
    letters = meter.create_gauge(f"{SCOPE}.stream.dead_letters", "{record}", "Records that do not fit the schema.")
    table = meter.create_gauge(f"{SCOPE}.table.rows", "{row}", "Rows of the table in Delta.")
    failed = meter.create_gauge(f"{SCOPE}.stream.failed", "1", "1 where the stream was not read, or its load is not in Delta.")
    for each in facts.loads:
        m = each.load.manifest
        where = {**target, f"{SCOPE}.source": m.source, f"{SCOPE}.stream": m.stream}
        if each.is_read:
            duration.set(max(seconds_of(m.ended_at) - seconds_of(m.started_at), 0.0), where)
            rows.set(m.rows, where)
            size.set(sum(file.bytes for file in m.files), where)
            letters.set(m.dead_letters, where)
        if (in_delta := _table_rows(each)) is not None:
            table.set(in_delta, where)
        failed.set(int(bool(each.problem)), where)
    for stream, read in facts.without_load.items():
        failed.set(int(read.has_failed), {**target, f"{SCOPE}.stream": stream})


def _table_rows(each: RunLoad) -> int | None:
    result = each.converted.result if each.converted else None
    if result is None:
        return None
    return result.delta_rows if result.mode == "overwrite" else result.table_rows
