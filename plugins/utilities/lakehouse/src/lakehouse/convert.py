"""`lakehouse convert` and `verify --again`: one Spark job over the loads on the stage, and what it published."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from pathlib import Path

from lakehouse.errors import ConvertError, WorkspaceError
from lakehouse.jobs import Jobs, Run, identity_of
from lakehouse.manifest import Staged, parse
from lakehouse.published import newest
from lakehouse.settings import Settings
from lakehouse.stage import Stage
from singer_arrow.documents import LoadResult, PublishedDocument

Say = Callable[[str], None]


def convert(stage: Stage, settings: Settings, local: list[Staged], say: Say) -> list[LoadResult]:
    """Applies every staged load that is not in the ledger, also those a former run left behind.

    Returns what became of each; [] when there was nothing to do. Raises ConvertError when the job tells nothing.
    """
    jobs = Jobs(stage.workspace, settings)
    jobs.wait_for_others(say)
    known = newest(stage, settings.target)
    committed = set(known.committed) if known else set()
    staged = staged_loads(stage)
    pending = {load_id: source for load_id, source in staged.items() if load_id not in committed}
    if not pending:
        return []
    say(f"{len(pending)} loads to convert, {len(staged) - len(pending)} are in Delta")
    loads = _manifests(stage, pending, local)
    return _run(stage, settings, jobs, loads, sorted(staged), say, check_only=False)


def check_again(stage: Stage, settings: Settings, local: list[Staged], say: Say) -> list[LoadResult]:
    """Recomputes the figures of the newest load of each stream in Delta, writing no data."""
    jobs = Jobs(stage.workspace, settings)
    jobs.wait_for_others(say)
    known = newest(stage, settings.target)
    if known is None:
        raise ConvertError(f"Nothing was ever published on {stage.url} for {settings.target}: run lakehouse convert first.")
    in_ledger = {load.load_id: load.source for load in latest_per_stream(known)}
    loads = _manifests(stage, in_ledger, local)
    return _run(stage, settings, jobs, loads, sorted(staged_loads(stage)), say, check_only=True)


def latest_per_stream(known: PublishedDocument) -> list[LoadResult]:
    """The newest load of each stream that is in the ledger."""
    committed = set(known.committed)
    found: dict[tuple[str, str], LoadResult] = {}
    for load in sorted(known.loads, key=lambda load: load.load_id):
        if load.load_id in committed:
            found[load.source, load.stream] = load
    return list(found.values())


def staged_loads(stage: Stage) -> dict[str, str]:
    """Load id and source of every manifest on the stage."""
    sources = [name for name in stage.folders() if not name.startswith(("_", "."))]
    return {
        name.removesuffix(".json"): source
        for source in sources
        for name in stage.sizes(f"{source}/_manifests")
        if name.endswith(".json") and not name.startswith(".")
    }


def _manifests(stage: Stage, wanted: dict[str, str], local: list[Staged]) -> list[Staged]:
    """The manifests as they are on the stage; what is here need not be fetched, the job checks its hash."""
    here = {load.load_id: load for load in local}
    loads = []
    for load_id, source in sorted(wanted.items()):
        path = f"{source}/_manifests/{load_id}.json"
        loads.append(here.get(load_id) or parse(source, f"{stage.url}/{path}", stage.read(path)))
    return loads


def _run(
    stage: Stage, settings: Settings, jobs: Jobs, loads: list[Staged], staged: list[str], say: Say, check_only: bool
) -> list[LoadResult]:
    script = Path(__file__).with_name("job.py").read_bytes()
    script_path = f"_job/{hashlib.sha256(script).hexdigest()[:12]}.py"
    wanted = [{"manifest": load.path, "sha256": load.sha256} for load in loads]
    order = json.dumps({"target": settings.target, "staged": staged, "loads": wanted}, indent=1).encode()
    digest = hashlib.sha256(order).hexdigest()
    order_path = f"_job/{digest[:12]}.json"
    if len(script) != stage.sizes("_job").get(script_path.removeprefix("_job/")):
        stage.write(script_path, script)
    stage.write(order_path, order)
    parameters = ["--stage", stage.url, "--target", settings.target, "--order", order_path, "--order-sha256", digest]
    identity = identity_of(script_path, settings.target, wanted)
    if check_only:
        parameters, identity = [*parameters, "--check-only"], uuid.uuid4().hex
    run = jobs.submit(f"{stage.url}/{script_path}", parameters, identity)
    try:
        run = jobs.wait(run.run_id, say)
    except KeyboardInterrupt:
        say(f"Interrupted. The run goes on by itself: {run.page}. Running again waits for it.")
        raise
    return _results(stage, settings, jobs, run, loads, digest[:12])


def _results(stage: Stage, settings: Settings, jobs: Jobs, run: Run, loads: list[Staged], order: str) -> list[LoadResult]:
    """The document comes first, also of a failed run: it says which loads failed and why."""
    document = newest(stage, settings.target, order) or (newest(stage, settings.target) if run.succeeded else None)
    told = {load.load_id: load for load in document.loads} if document else {}
    results = [told[load.load_id] for load in loads if load.load_id in told]
    all_told = len(results) == len(loads)
    if run.succeeded and (all_told or (document and {load.load_id for load in loads} <= set(document.committed))):
        return results
    if all_told and any(result.status == "failed" for result in results):
        return results
    raise ConvertError(
        f"The job did not end well: {run.message}\n{run.page}\n{_tail(jobs, run)}\n"
        "Loads with a ledger row are complete; the others are untouched or repeat safely. Run convert again."
    )


def _tail(jobs: Jobs, run: Run) -> str:
    try:
        return jobs.log_tail(run)
    except WorkspaceError as error:
        return f"(no log: {error})"
