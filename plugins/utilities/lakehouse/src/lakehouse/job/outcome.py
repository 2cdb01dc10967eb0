"""What became of a load."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lakehouse.job.errors import NotApplied, Unequal
from lakehouse.job.loads import Load, Missing
from lakehouse.job.parts import SEND_AGAIN
from lakehouse.job.session import cause_of

TRY_AGAIN = "the next convert tries it again"


@dataclass
class Outcome:
    """What became of one load; `told` is what its manifest (or the order) says of it, `equal` None where nothing was compared.

    `table_rows`: what the whole table holds after the load, None where it was not counted.
    """

    told: dict[str, Any]
    status: str
    equal: bool | None = None
    delta_rows: int | None = None
    problems: list[str] = field(default_factory=list)
    action: str = ""
    table_rows: int | None = None

    @property
    def load_id(self) -> str:
        """The load's id."""
        return str(self.told["load_id"])


def outcome_of(load: Load, error: Exception) -> Outcome:
    """What an exception makes of a load; the engine's own errors leave it to be tried again."""
    if isinstance(error, Unequal):
        return Outcome(load.manifest, error.status, False, error.rows, error.problems, error.action)
    if isinstance(error, NotApplied):
        return Outcome(load.manifest, error.status, None, None, [str(error)], error.action)
    print(f"{load.load_id}: {type(error).__name__}: {error}", flush=True)
    return Outcome(load.manifest, "failed", None, None, [cause_of(error)], TRY_AGAIN)


def outcome_of_missing(missing: Missing) -> Outcome:
    """A load without its manifest: the next upload sends it again."""
    return Outcome(missing.told, "damaged", None, None, [missing.reason], SEND_AGAIN)
