"""`lakehouse verify`: are source, Parquet and Delta equal? The job measured; this shows it."""

from __future__ import annotations

from lakehouse.errors import ConvertError, TargetBusy, VerifyError
from lakehouse.loads import StagedLoad, staged_loads
from lakehouse.stages.base import Stage
from lakehouse.terminal import show_table
from singer_arrow.documents import DONE, LoadResult, PublishedDocument

BUSY = "another job writes into this target"
_NOT_COMMITTED = "The bookmarks of these streams stay where the ledger has them; the other loads are in Delta"
_EACH = "settle each as its line says; entrypoint.sh loads lists them"


def show_results(title: str, results: list[LoadResult]) -> None:
    """One line per load: stream, source rows, Parquet rows, Delta rows, equal."""
    rows = [(r.source, r.stream, r.mode, r.source_rows, r.rows, r.delta_rows, equality(r)) for r in results]
    show_table(title, ("source", "stream", "mode", "source rows", "Parquet rows", "Delta rows", "equal"), rows, left=3)
    for r in results:
        if r.deletes:
            print(f"  {r.source}/{r.stream}: beside its {r.rows:,} rows {r.deletes:,} keys that the source deleted")
        if r.dead_letters or r.left_out:
            print(
                f"  {r.source}/{r.stream}: beside its {r.rows:,} rows {r.dead_letters:,} dead letters and {r.left_out:,} left out"
            )


def equality(result: LoadResult) -> bool | str:
    """Whether a load's figures are equal; where they were not compared, why."""
    return result.status if result.equal is None else result.equal


def results_of(local: list[StagedLoad], known: PublishedDocument | None, stage: Stage) -> list[LoadResult]:
    """What is published about the local loads, or, without any, about the newest load of every stream.

    Of a load that was given up nothing is left, here and on the stage: it is not missed, its stream's next load covers it.
    Raises VerifyError when a local load is not in Delta.
    """
    if known is None:
        if local:
            raise VerifyError(f"{len(local)} loads are staged, but nothing is published: Delta holds none of them yet")
        return []
    results = {load.load_id: load for load in known.loads}
    if not local:
        staged = staged_loads(stage)[0] if any(load.status not in DONE for load in known.loads) else {}
        return [load for load in known.loads if load.status in DONE or load.load_id in staged]
    absent = [load for load in local if load.load_id not in results and load.load_id not in known.committed]
    if absent:
        names = ", ".join(f"{load.source}/{load.manifest.stream} ({load.load_id})" for load in absent[:5])
        raise VerifyError(f"{len(absent)} loads are not in Delta: {names}", safe="They are complete on this machine")
    return [results[load.load_id] for load in local if load.load_id in results]


def refuse_failures(results: list[LoadResult], again: bool = False) -> None:
    """Nothing where every load is in Delta; else what each lacks, on a line, and what settles it.

    Raises TargetBusy when another job holds the target, VerifyError when figures differ, ConvertError otherwise. `again` says
    that the loads were equal once, when they were applied.
    """
    failed = [each for each in results if each.status not in DONE]
    if not failed:
        return
    lines = [line for each in failed for line in _lines(each)]
    if all(problem.startswith(BUSY) for each in failed for problem in each.problems):
        raise TargetBusy(failed[0].problems[0], safe="Nothing was written by this run")
    count = f"{len(failed)} load{'s' if len(failed) > 1 else ''}"
    if not any(each.equal is False for each in failed):
        raise ConvertError("\n".join([f"{count} not in Delta:", *lines]), safe=_NOT_COMMITTED, action=_EACH)
    if again:
        raise VerifyError(
            "\n".join([f"figures of {count} differ, which were equal when they were applied:", *lines]),
            safe="Nothing was written now",
            action="find out who has changed these tables since; entrypoint.sh refresh STREAM restores one",
        )
    raise VerifyError("\n".join([f"figures of {count} differ:", *lines]), safe=_NOT_COMMITTED, action=_EACH)


def refuse_gone(loads: list[LoadResult]) -> None:
    """Raises VerifyError naming loads that could not be compared again; nothing where there are none."""
    if loads:
        names = ", ".join(f"{load.source}/{load.stream}" for load in loads[:5]) + (", …" if len(loads) > 5 else "")
        raise VerifyError(
            f"{len(loads)} streams were not compared again, since the files of their newest load are gone: {names}",
            safe="Nothing was written now",
            action="entrypoint.sh reconcile compares SQL Server and Delta; of later loads LAKEHOUSE_KEEP_LOADS keeps the files",
        )


def _lines(load: LoadResult) -> list[str]:
    where = f"  {load.source}/{load.stream} → {load.table} ({load.load_id}, {load.status}): "
    return [where + problem for problem in load.problems] + ([f"    what settles it: {load.action}"] if load.action else [])
