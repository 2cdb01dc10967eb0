"""`lakehouse verify`: are source, Parquet and Delta equal? The job measured; this shows it."""

from __future__ import annotations

from lakehouse.errors import ConvertError, VerifyError
from lakehouse.manifest import Staged
from lakehouse.tables import show
from singer_arrow.documents import LoadResult, PublishedDocument


def show_results(title: str, results: list[LoadResult]) -> None:
    """One line per load: stream, source rows, Parquet rows, Delta rows, equal."""
    rows = [(r.source, r.stream, r.mode, r.source_rows, r.rows, r.delta_rows, r.equal) for r in results]
    show(title, ("source", "stream", "mode", "source rows", "Parquet rows", "Delta rows", "equal"), rows, left=3)


def of_this_run(known: PublishedDocument | None, local: list[Staged]) -> list[LoadResult]:
    """What is published about the local loads, or, without any, about the newest load of every stream.

    Raises VerifyError when a local load is not in Delta.
    """
    if known is None:
        if local:
            raise VerifyError(f"{len(local)} loads are staged, but nothing is published: run lakehouse convert.")
        return []
    told = {load.load_id: load for load in known.loads}
    if not local:
        return known.loads
    absent = [load for load in local if load.load_id not in told and load.load_id not in known.committed]
    if absent:
        names = ", ".join(f"{load.source}/{load.manifest.stream} ({load.load_id})" for load in absent[:5])
        raise VerifyError(f"{len(absent)} loads are not in Delta: {names}. Run lakehouse upload and lakehouse convert.")
    return [told[load.load_id] for load in local if load.load_id in told]


def refuse_failures(results: list[LoadResult], again: bool = False) -> None:
    """VerifyError when figures differ, ConvertError when a load failed otherwise; each problem on a line.

    `again` says that the loads were equal once, when they were applied.
    """
    failed = [each for each in results if each.status == "failed" or each.equal is False]
    if not failed:
        return
    lines = [f"  {each.source}/{each.stream} → {each.table} ({each.load_id}): {problem}"
             for each in failed for problem in each.problems]  # fmt: skip
    if not any(each.equal is False for each in failed):
        raise ConvertError("\n".join(["Loads failed:", *lines, "The others are in Delta. Running again is safe."]))
    if again:
        advice = "They were equal when they were applied: somebody changed these tables. Nothing was written now."
    else:
        advice = "No ledger row was written for these loads; their bookmarks stay."
    raise VerifyError("\n".join(["Figures differ:", *lines, advice]))
