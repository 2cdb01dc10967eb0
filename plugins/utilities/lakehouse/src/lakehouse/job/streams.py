"""The loads of one stream, in their order: which are applied, together or one by one, and what becomes of each."""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse.job.errors import NotApplied, Refused
from lakehouse.job.ledger import LOST, Ledger, columns_of, status_of
from lakehouse.job.loads import Load
from lakehouse.job.order import Applied, check_continues, superseded_by
from lakehouse.job.outcome import Outcome, outcome_of
from lakehouse.job.session import die_if_asked
from lakehouse.job.writer import Writer

TOGETHER = 25  # loads that are written in one commit at most


class StreamLoads:
    """Applies the loads of one stream; `outcomes` are known one by one, by load id. `owners`: which stream has each table."""

    def __init__(self, writer: Writer, ledger: Ledger, loads: list[Load], owners: Mapping[str, tuple[str, str]]) -> None:
        self._writer, self._ledger, self._owners = writer, ledger, owners
        self._loads = loads
        self._stream = loads[0].stream
        self.outcomes: dict[str, Outcome] = {}

    def apply(self) -> None:
        """Every load gets an outcome. One that is not applied stops those behind it, until one that reads the stream whole."""
        upkeep, target = self._writer.upkeep, self._writer.target
        before = {load.table: upkeep.version(target, load.table) for load in self._loads}
        self._apply()
        for table, version in before.items():
            upkeep.tend(target, table, version)

    def _apply(self) -> None:
        pending = [load for load in self._loads if not self._is_settled(load)]
        pending = self._whole_reads(pending)
        blocked = ""
        while pending:
            group = [pending.pop(0)]
            if blocked:
                self._tell(group[0], Outcome(group[0].manifest, "blocked", None, None, [blocked], "settle that one"))
                continue
            while pending and len(group) < TOGETHER and may_join(group[-1], pending[0]):
                group.append(pending.pop(0))
            for load in self._apply_group(group):
                if self.outcomes[load.load_id].status in ("damaged", "failed"):
                    blocked = f"load {load.load_id} of this stream is {self.outcomes[load.load_id].status}"

    def check(self) -> None:
        """Compares the loads with Delta again, writing nothing."""
        for load in self._loads:
            try:
                found = self._writer.compare(load)
            except Exception as error:
                self._tell(load, outcome_of(load, error))
                continue
            self._tell(load, Outcome(load.manifest, "already", True, found, table_rows=self._writer.count(load)))

    def _is_settled(self, load: Load) -> bool:
        """Whether the ledger knows a load; a refused one is tried again only where it was sent again."""
        row = self._ledger.row_of(load)
        if row is None or (status_of(row) == "refused" and load.again):
            return False
        if status_of(row) == "refused":
            outcome = Outcome(load.manifest, "refused", None, None, [str(row["reason"])], f"entrypoint.sh drop {load.load_id}")
        elif status_of(row) == "superseded":
            outcome = Outcome(load.manifest, "superseded", None, None, [str(row["reason"] or "")])
        else:
            outcome = Outcome(load.manifest, "already", True, row["delta_rows"])
        self._tell(load, outcome)
        return True

    def _whole_reads(self, pending: list[Load]) -> list[Load]:
        """Applies the newest load that reads the stream whole, for it makes all before it needless; what is left to do."""
        for place in reversed(range(len(pending))):
            load = pending[place]
            if load.mode != "overwrite":
                continue
            self._apply_group([load])
            if self.outcomes[load.load_id].status in ("applied", "superseded"):
                for older in pending[:place]:
                    self._supersede(older, f"the stream was read whole later, by load {load.load_id}")
                return [each for each in pending[place + 1 :] if each.load_id not in self.outcomes]
        return [load for load in pending if load.load_id not in self.outcomes]

    def _apply_group(self, group: list[Load]) -> list[Load]:
        """Applies loads in one commit; where that fails, one by one, so that each gets what is its own."""
        applied = self._ledger.applied(self._stream)
        try:
            ready: list[Load] = []
            for load in group:
                needless = superseded_by(load, applied)
                if needless:
                    self._supersede(load, needless)
                    continue
                refuse_table_of(self._owners[load.table], load)
                check_continues(load, applied)
                applied = applied.after(load)
                ready.append(load)
            if ready:
                self._write(ready)
        except Exception as error:
            if len(group) > 1 and not (isinstance(error, NotApplied) and error.status == "blocked"):
                return self._one_by_one(group)
            for load in group:
                self._fail(load, error)
        return group

    def _one_by_one(self, group: list[Load]) -> list[Load]:
        blocked = ""
        for load in group:
            if load.load_id in self.outcomes:
                continue
            if blocked:
                self._tell(load, Outcome(load.manifest, "blocked", None, None, [blocked], "settle that one"))
                continue
            self._apply_group([load])
            if self.outcomes[load.load_id].status in ("damaged", "failed"):
                blocked = f"load {load.load_id} of this stream is {self.outcomes[load.load_id].status}"
        return group

    def _write(self, loads: list[Load]) -> None:
        applied, former = self._ledger.applied(self._stream), columns_of(self._ledger.last_row(self._stream))
        last, writer = loads[-1], self._writer
        if last.mode == "overwrite":
            rows = writer.overwrite(last)
        else:
            self._check_table(last, applied)
            if last.mode == "append":
                rows = writer.append(loads, former, applied.last is None)
            else:
                rows = writer.repair(last, former) if last.mode == "repair" else writer.merge(loads, former)
        die_if_asked(f"{last.mode}-uncommitted")
        version = writer.target.version(last.table)
        committed = [self._ledger.row(load, "applied", n, None, version) for load, n in zip(loads, rows, strict=True)]
        self._ledger.commit([*committed, *self._ledger.superseded(last)])
        die_if_asked(f"{last.mode}-committed")
        held = rows[-1] if last.mode == "overwrite" else writer.count(last)
        for load, count in zip(loads, rows, strict=True):
            self._tell(load, Outcome(load.manifest, "applied", True, count, table_rows=held if load is last else None))

    def _check_table(self, load: Load, applied: Applied) -> None:
        """Raises Refused where the table that a load continues is gone, or another one."""
        row = self._ledger.last_row(self._stream)
        if applied.last is None or row is None or not self._ledger.is_lost(row):
            return
        raise Refused(f"{LOST} since load {applied.last}: {load.table}", "the next run reads the stream whole")

    def _supersede(self, load: Load, why: str) -> None:
        self._ledger.commit([self._ledger.row(load, "superseded", None, why)])
        die_if_asked("superseded-committed")
        self._tell(load, Outcome(load.manifest, "superseded", None, None, [why]))

    def _fail(self, load: Load, error: Exception) -> None:
        outcome = outcome_of(load, error)
        if outcome.status == "damaged" and load.again:
            outcome.status, outcome.action = "refused", "the next run reads it again"
        if outcome.status == "refused":
            self._ledger.commit([self._ledger.row(load, "refused", None, "; ".join(outcome.problems))])
            die_if_asked("refusal-committed")
        self._tell(load, outcome)

    def _tell(self, load: Load, outcome: Outcome) -> None:
        self.outcomes[load.load_id] = outcome
        told = "; ".join(outcome.problems) or f"{outcome.delta_rows} rows in Delta"
        print(f"{outcome.status}: {load.load_id} {load.table}: {told}", flush=True)


def refuse_table_of(owner: tuple[str, str], load: Load) -> None:
    """Raises Refused for a load into a table that another stream has: they would replace each other's rows."""
    if owner == load.stream:
        return
    one, other = "/".join(owner), "/".join(load.stream)
    raise Refused(
        f"{one} and {other} would share one Delta table, {load.table}, which has the rows of {one}",
        f"deselect one of the two streams; if {one} is no more, drop the table {load.table} in Delta: the next run makes it anew",
    )


def may_join(one: Load, other: Load) -> bool:
    """Whether two loads, one right behind the other, can be written in one commit: same mode, columns and keys."""
    same = ("mode", "schema", "key_columns", "table")
    return one.mode in ("append", "merge") and all(one.manifest[name] == other.manifest[name] for name in same)
