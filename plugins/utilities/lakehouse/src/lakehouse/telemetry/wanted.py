"""What the standard variables ask for. Pure functions over an environment; no client is imported to answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL = "http/protobuf"  # the one that is spoken


class Wanted(NamedTuple):
    """The variable that asks for each; empty for what nobody asks for. `problems`: what is asked for and cannot be done."""

    traces: str
    metrics: str
    lineage: str
    problems: tuple[str, ...]


def wanted(environment: Mapping[str, str]) -> Wanted:
    """What is to be sent."""
    traces, metrics = (_signal(environment, name) for name in ("TRACES", "METRICS"))
    problems = []
    for signal, variable in (("TRACES", traces), ("METRICS", metrics)):
        told = _value(environment, f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
        if variable and told and environment[told] != PROTOCOL:
            problems.append(f"{signal.lower()} were not sent: {told} is {environment[told]}, and {PROTOCOL} alone is spoken")
            traces, metrics = ("", metrics) if signal == "TRACES" else (traces, "")
    return Wanted(traces, metrics, _lineage(environment), tuple(problems))


def _signal(environment: Mapping[str, str], signal: str) -> str:
    exporters = environment.get(f"OTEL_{signal}_EXPORTER", "otlp").split(",")
    if _is_true(environment, "OTEL_SDK_DISABLED") or "otlp" not in (each.strip() for each in exporters):
        return ""
    return _value(environment, f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", ENDPOINT)


def _lineage(environment: Mapping[str, str]) -> str:
    if _is_true(environment, "OPENLINEAGE_DISABLED"):
        return ""
    transport = sorted(name for name in environment if name.startswith("OPENLINEAGE__TRANSPORT"))
    return _value(environment, "OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", *transport)


def _value(environment: Mapping[str, str], *names: str) -> str:
    """The first of these variables that has a value; empty text where none has."""
    return next((name for name in names if environment.get(name)), "")


def _is_true(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").strip().lower() == "true"
