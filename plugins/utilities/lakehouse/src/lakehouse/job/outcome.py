"""What became of a load."""

from __future__ import annotations

from dataclasses import dataclass, field

from lakehouse.job.loads import Load


@dataclass
class Outcome:
    """What became of one load; `equal` is None where figures were never compared."""

    load: Load
    status: str
    equal: bool | None = None
    delta_rows: int | None = None
    problems: list[str] = field(default_factory=list)
