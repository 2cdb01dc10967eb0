"""`lakehouse verify`: are source, Parquet and Delta equal? The job measured; this shows it."""

from __future__ import annotations

from lakehouse.errors import ConvertError, VerifyError
from lakehouse.loads import StagedLoad
from lakehouse.terminal import show_table
from singer_arrow.documents import LoadResult, PublishedDocument

_NOT_COMMITTED = "No ledger row was written for these loads and their bookmarks stay; the other loads are in Delta"


def show_results(title: str, results: list[LoadResult]) -> None:
    """One line per load: stream, source rows, Parquet rows, Delta rows, equal."""
    rows = [(r.source, r.stream, r.mode, r.source_rows, r.rows, r.delta_rows, r.equal) for r in results]
    show_table(title, ("source", "stream", "mode", "source rows", "Parquet rows", "Delta rows", "equal"), rows, left=3)


def results_of(local: list[StagedLoad], known: PublishedDocument | None) -> list[LoadResult]:
    """What is published about the local loads, or, without any, about the newest load of every stream.

    Raises VerifyError when a local load is not in Delta.
    """
    if known is None:
        if local:
            raise VerifyError(f"{len(local)} loads are staged, but nothing is published: Delta holds none of them yet")
        return []
    results = {load.load_id: load for load in known.loads}
    if not local:
        return known.loads
    absent = [load for load in local if load.load_id not in results and load.load_id not in known.committed]
    if absent:
        names = ", ".join(f"{load.source}/{load.manifest.stream} ({load.load_id})" for load in absent[:5])
        raise VerifyError(f"{len(absent)} loads are not in Delta: {names}", safe="They are complete on this machine")
    return [results[load.load_id] for load in local if load.load_id in results]


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
        raise ConvertError(
            "\n".join([f"{len(failed)} loads failed:", *lines]), safe=_NOT_COMMITTED, action="correct this, and run convert again"
        )
    if again:
        raise VerifyError(
            "\n".join([f"figures of {len(failed)} loads differ, which were equal when they were applied:", *lines]),
            safe="Nothing was written now",
            action="find out who has changed these tables since; a full load of the stream restores one",
        )
    raise VerifyError(
        "\n".join([f"figures of {len(failed)} loads differ:", *lines]),
        safe=_NOT_COMMITTED,
        action="run again, which compares anew; if they differ again, remove their manifests here and on the stage, and extract",
    )
