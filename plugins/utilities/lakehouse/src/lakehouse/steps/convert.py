"""`lakehouse convert` and `verify --again`: one Spark job over the loads on the stage, and what it published."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from lakehouse import job_file
from lakehouse.errors import ConvertError, WorkspaceError
from lakehouse.loads import Found, StagedLoad, read_staged, staged_loads
from lakehouse.published import figures, newest
from lakehouse.settings import Settings
from lakehouse.stages import open_stage
from lakehouse.stages.base import Stage
from lakehouse.steps.job_progress import JobProgress
from lakehouse.steps.sent_again import forget, sent_again
from lakehouse.steps.upload import is_for
from lakehouse.terminal import detail
from lakehouse.workspace.jobs import Jobs, Run
from lakehouse.workspace.rest import Workspace
from singer_arrow import lines, noted
from singer_arrow.documents import DONE, DeltaFigures, LoadResult, PublishedDocument

JOB_FOLDER = "_job"
QUIET_S = 15.0  # what a run of the pipeline waits before it says what it waits for
TOLD = ("load_id", "source", "stream", "table", "mode", "rows", "source_rows")


class Conversion(Struct, frozen=True):
    """Runs of the job over one stage and one target; `say` takes lines of progress."""

    stage: Stage
    jobs: Jobs
    target: str
    output: Path
    verify: str
    row_columns: Sequence[str]
    upkeep: Mapping[str, object]
    say: Callable[[str], None]

    @classmethod
    def of(cls, settings: Settings, say: Callable[[str], None]) -> Conversion:
        """As the settings say; nothing is connected to yet."""
        jobs = Jobs(Workspace(settings), settings)
        places = (open_stage(settings), jobs, settings.target, settings.output)
        return cls(*places, settings.verify, settings.row_columns, settings.upkeep, say)

    def apply(self, local: list[StagedLoad]) -> list[LoadResult]:
        """Applies every staged load that is not in the ledger, also those an earlier run left behind.

        Returns what became of each, and what is still refused; [] when there was nothing to do. Raises ConvertError when the job
        publishes nothing usable.
        """
        self.jobs.wait_for_others(self.say)
        known = newest(self.stage, self.target)
        staged, others = staged_loads(self.stage)
        again = sent_again(self.output)
        refused = [load for load in known.loads if load.status == "refused" and load.load_id in staged] if known else []
        settled = {*(known.committed if known else ()), *(load.load_id for load in refused if load.load_id not in again)}
        pending = {load_id: source for load_id, source in staged.items() if load_id not in settled}
        readable = self._readable(Found([], others)) + self._readable(read_staged(self.stage, pending, local))
        loads = [load for load in readable if is_for(load, self.target)]
        if not loads:
            return refused
        detail(f"{len(loads)} loads to convert, {len(staged) - len(pending)} are settled")
        began = time.time()
        results = self._run(loads, sorted(staged), check_only=False, again=again.keys())
        _note(loads, results, began)
        forget(self.output, [result.load_id for result in results])
        return [*results, *self._still(refused, {result.load_id for result in results})]

    def _still(self, refused: list[LoadResult], told: set[str]) -> list[LoadResult]:
        """Those of loads refused earlier that nothing has covered since."""
        known = newest(self.stage, self.target)
        now = {load.load_id for load in known.loads if load.status == "refused"} if known else set()
        return [load for load in refused if load.load_id in now - told]

    def check_again(self, local: list[StagedLoad]) -> tuple[list[LoadResult], list[LoadResult]]:
        """Recomputes the figures of the newest load of each stream in Delta, writing no data.

        Returns what was found, and the loads that cannot be compared, since their files are gone.
        """
        self.jobs.wait_for_others(self.say)
        known = newest(self.stage, self.target)
        if known is None:
            raise ConvertError(
                f"nothing was ever published on {self.stage.url} for {self.target}, so there is nothing to compare",
                safe="Nothing was changed",
                action="run convert first, or check LAKEHOUSE_STAGE and LAKEHOUSE_TARGET",
            )
        newest_loads, (staged, _) = latest_per_stream(known), staged_loads(self.stage)
        wanted = {load.load_id: load.source for load in newest_loads if load.load_id in staged}
        loads = self._readable(read_staged(self.stage, wanted, local))
        compared = {load.load_id for load in loads}
        results = self._run(loads, sorted(staged), check_only=True) if loads else []
        return results, [load for load in newest_loads if load.load_id not in compared]

    def _readable(self, found: Found) -> list[StagedLoad]:
        for each in found.passed_over:
            self.say(each.line)
        return found.loads

    def figures(self, tables: list[dict[str, object]]) -> DeltaFigures:
        """What tables hold in Delta, range by range; nothing is written. Raises ConvertError when the job tells nothing."""
        self.jobs.wait_for_others(self.say)
        run, order = self._submit({"tables": tables}, [], "--figures")
        document = figures(self.stage, order)
        if document is None:
            raise ConvertError(
                f"the job published no figures: {run.message}\n{run.page}\n{self._log_tail(run)}", safe="Nothing was changed"
            )
        return document

    def _run(self, loads: list[StagedLoad], staged: list[str], check_only: bool, again: Collection[str] = ()) -> list[LoadResult]:
        wanted = [told(load) | ({"again": True} if load.load_id in again else {}) for load in loads]
        how = {"verify": self.verify, "row_columns": list(self.row_columns), "upkeep": dict(self.upkeep)}
        run, order = self._submit(
            {**how, "staged": staged, "loads": wanted},
            [load.load_id for load in loads],
            *(["--check-only"] if check_only else []),
        )
        return self._results(run, loads, order)

    def _submit(self, asked: dict[str, object], loads: Sequence[str], *options: str) -> tuple[Run, str]:
        """A run of the job that has ended, and the name of its order; `loads` are those that it tells of meanwhile."""
        script_path = self._send_script()
        at = datetime.now(UTC).isoformat()  # each run has an order of its own, and finds what it published by that
        order = json.dumps({"target": self.target, "at": at, **asked}, indent=1).encode()
        digest = hashlib.sha256(order).hexdigest()
        order_path = f"{JOB_FOLDER}/{digest[:12]}.json"
        self.stage.write(order_path, order)
        parameters = ["--stage", self.stage.url, "--target", self.target, "--order", order_path, "--order-sha256", digest]
        with noted.span("job") as told:
            run = self.jobs.submit(f"{self.stage.url}/{script_path}", [*parameters, *options])
            told |= {"run_id": run.run_id, "page": run.page}
            try:
                progress = JobProgress(self.stage, self.target, digest[:12], loads)
                run = self.jobs.wait(run.run_id, self.say, QUIET_S if lines.step() else 0.0, progress)
            except KeyboardInterrupt:
                self.say(f"Interrupted. The run goes on by itself: {run.page}. Running again waits for it.")
                raise
            told |= {f"{name}_seconds": seconds for name, seconds in run.seconds.items()}
        return run, digest[:12]

    def _send_script(self) -> str:
        """The job's path on the stage, named by its content, sent when it is not there."""
        script = job_file.joined().encode()
        name = f"{hashlib.sha256(script).hexdigest()[:12]}.py"
        if self.stage.sizes(JOB_FOLDER).get(name) != len(script):
            self.stage.write(f"{JOB_FOLDER}/{name}", script)
        return f"{JOB_FOLDER}/{name}"

    def _results(self, run: Run, loads: list[StagedLoad], order: str) -> list[LoadResult]:
        """The document comes first, also of a failed run: it says which loads failed and why."""
        document = newest(self.stage, self.target, order) or (newest(self.stage, self.target) if run.succeeded else None)
        by_id = {result.load_id: result for result in document.loads} if document else {}
        results = [by_id[load.load_id] for load in loads if load.load_id in by_id]
        all_told = len(results) == len(loads)
        if run.succeeded and (all_told or (document and {load.load_id for load in loads} <= set(document.committed))):
            return results
        if all_told and any(result.status not in DONE for result in results):
            return results
        raise ConvertError(
            f"the job did not end well: {run.message}\n{run.page}\n{self._log_tail(run)}",
            safe="Loads with a ledger row are complete; the others are untouched or repeat safely",
        )

    def _log_tail(self, run: Run) -> str:
        try:
            return self.jobs.log_tail(run)
        except WorkspaceError as error:
            return f"(no log: {error})"


def _note(loads: Sequence[StagedLoad], results: Sequence[LoadResult], began: float) -> None:
    """What became of each load, with its manifest: a container that is gone may have left it."""
    manifests, times = {load.load_id: load.text.decode() for load in loads}, {"began": began, "ended": time.time()}
    for result in results if noted.is_wanted() else ():
        noted.note(noted.CONVERTED, result=msgspec.to_builtins(result), manifest=manifests[result.load_id], **times)


def told(load: StagedLoad) -> dict[str, object]:
    """What the job's order says of a load."""
    return {"manifest": load.path, "sha256": load.sha256, **{name: getattr(load.manifest, name) for name in TOLD}}


def latest_per_stream(known: PublishedDocument) -> list[LoadResult]:
    """The newest load of each stream that is in the ledger, also where its files are gone from the stage."""
    committed = set(known.committed)
    found: dict[tuple[str, str], LoadResult] = {}
    for load in sorted(known.loads, key=lambda load: load.load_id):
        if load.status in ("applied", "already") or (load.load_id in committed and load.status != "refused"):
            found[load.source, load.stream] = load
    return list(found.values())
