"""Lines of a run, as `singer_arrow.lines` makes them: Meltano's environment has none of that package (docs/contracts.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime

from lighthouse import masks


def is_json(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether lines are objects."""
    return environment.get("LOG_FORMAT") == "json"


def line(step: str, message: str, level: str = "info", environment: Mapping[str, str] = os.environ) -> str:
    """One event, without a line break at its end."""
    now, message = datetime.now(UTC), masks.of_run().hidden(message)
    if is_json(environment):
        told = {"time": f"{now:%Y-%m-%dT%H:%M:%S.%f}Z", "level": level, "step": step, "stream": None, "load": None}
        return json.dumps({**told, "message": message, "figures": {}}, ensure_ascii=False)
    return f"{now:%H:%M:%S}  {step:<8}  {'warning: ' if level == 'warning' else ''}{message}"
