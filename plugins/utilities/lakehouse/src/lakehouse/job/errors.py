"""Why a load is not applied. The first sentence of each says what is wrong; `action` is what settles it."""

from __future__ import annotations


class NotApplied(Exception):
    """Base: `status` is what the load is then (docs/contracts.md, Order of loads)."""

    status = "failed"

    def __init__(self, reason: str, action: str = "") -> None:
        super().__init__(reason)
        self.action = action


class Refused(NotApplied):
    """The load cannot be applied, now or later: a ledger row says so."""

    status = "refused"


class Damaged(NotApplied):
    """The stage does not hold what the manifest says: the next upload sends it again."""

    status = "damaged"


class Unequal(NotApplied):
    """What is in Delta is not what the manifest says; `rows` is what was found."""

    def __init__(self, problems: list[str], rows: int) -> None:
        super().__init__("; ".join(problems), "convert again, which compares anew; if it stays so, refresh the stream")
        self.problems = problems
        self.rows = rows


class LeaseLost(NotApplied):
    """Another job took the target over: nothing more may be written."""

    status = "blocked"
