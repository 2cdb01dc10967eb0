"""Runs of tap-rest-api-msdk beside those of the published tap 1.4.2, and whether both sent the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from api_kit import runs
from api_kit.runs import PUBLISHED, Run

OWN = ("total_path", "batch_config", "request_timeout_seconds", "backoff_max_seconds", "throttle_max_seconds")
AS_PUBLISHED = dict.fromkeys(OWN)  # settings that only this project's tap has
PLAIN = {
    "id": {"type": ["integer"]},
    "name": {"type": ["string"]},
    "price": {"type": ["number", "null"]},
    "at": {"type": ["string"]},
}


def ours(folder: Path, config: Mapping[str, Any], **more: Any) -> Run:
    return runs.run(folder / "ours", config, **more)


def published(folder: Path, config: Mapping[str, Any], **more: Any) -> Run:
    """A run of the published tap. Its exit code is 0 wherever it reached the end."""
    assert PUBLISHED.exists(), "the published tap is not installed; type: scripts/setup published"
    return runs.run(folder / "published", config, command=[str(PUBLISHED)], **more)


def same_records(left: Run, right: Run, name: str = "things") -> None:
    """Both sent the same records in the same order; numbers by their value."""
    assert left.code == right.code == 0, f"{left.log[-2000:]}\n{right.log[-2000:]}"
    assert [plain(record) for record in left.records(name)] == [plain(record) for record in right.records(name)]


def plain(value: Any) -> Any:
    """A value of a message, in which notation makes no difference: numbers by value, JSON texts by what they hold."""
    match value:
        case dict():
            return {key: plain(inner) for key, inner in value.items()}
        case list():
            return [plain(inner) for inner in value]
        case str() if value[:1] in ("{", "["):
            return plain(json.loads(value, parse_float=Decimal))
        case bool() | None:
            return value
        case int() | float() | Decimal():
            return Decimal(str(value)).normalize()
    return value
