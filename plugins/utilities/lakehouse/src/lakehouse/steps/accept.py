"""`lakehouse accept`: three tiny loads, one of each mode, all the way into a schema of their own; all is removed afterwards."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from lakehouse import job_file
from lakehouse.errors import ConvertError, LakehouseError
from lakehouse.loads import StagedLoad, read_local
from lakehouse.settings import Settings
from lakehouse.stages import open_stage
from lakehouse.steps.convert import Conversion
from lakehouse.steps.examine import Examination
from lakehouse.steps.trial_loads import MODES, write_trial_loads
from lakehouse.steps.upload import upload
from lakehouse.workspace.jobs import Jobs
from lakehouse.workspace.rest import Workspace
from singer_arrow.documents import DONE, LoadResult
from singer_arrow.findings import Finding

FOLDER = "_accept"
SCRIPT = "drop.py"
TABLES = (*(f"accept_{mode}" for mode in MODES), "_loads", "_lease")


class Acceptance:
    """One trial. Its files lie in a folder of its own on the stage, its tables in a schema, or folder, of their own."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self.id = os.urandom(4).hex()
        self._whole, self._say = settings, say
        self._settings = msgspec.structs.replace(
            settings, stage=f"{settings.stage}/{FOLDER}/{self.id}", target=f"{settings.target}_accept_{self.id}"
        )

    def findings(self) -> Iterator[Finding]:
        """What `doctor` finds, then a line for each step and each load; at the end what was removed."""
        workspace = Workspace(self._whole)
        failed = False
        for each in Examination(self._whole, workspace, open_stage(self._whole), Jobs(workspace, self._whole)).findings():
            failed |= each.status == "failed"
            yield each
        if failed:
            return
        made = False
        try:
            with tempfile.TemporaryDirectory(prefix="lighthouse-accept-") as folder:
                write_trial_loads(Path(folder), self.id, self._settings.target)
                loads = read_local(Path(folder)).loads
                mine = msgspec.structs.replace(self._settings, output=Path(folder))
                sent = self._upload(mine, loads)
                yield sent
                if sent.status == "ok":
                    made = True
                    yield from self._convert(mine, loads)
        finally:
            removed = list(self._remove(made))
        yield from removed

    def _upload(self, settings: Settings, loads: list[StagedLoad]) -> Finding:
        try:
            sent = upload(open_stage(settings), settings.output, loads, settings.target, self._say)
        except LakehouseError as error:
            return Finding("upload", "failed", error.what, error.action)
        return Finding("upload", "ok", f"{sent.files} files, {sent.bytes:,} bytes to {settings.stage}")

    def _convert(self, settings: Settings, loads: list[StagedLoad]) -> Iterator[Finding]:
        """The job over all loads, and what it says of each: counted and measured at the source, in Parquet and in Delta."""
        try:
            results = Conversion.of(settings, self._say).apply(loads)
        except LakehouseError as error:
            yield Finding("convert", "failed", error.what, error.action)
            return
        yield Finding("convert", "ok", f"the job ran, and published what became of {len(results)} loads")
        by_mode = {result.mode: result for result in results}
        yield from (_of_load(mode, by_mode.get(mode), loads[0]) for mode in MODES)

    def _remove(self, made: bool) -> Iterator[Finding]:
        """The tables, then the files; what cannot be removed is named."""
        if made:
            try:
                self._drop_tables()
                yield Finding("tables", "ok", f"{self._settings.target} is removed")
            except LakehouseError as error:
                action = f"remove {self._settings.target} by hand: it holds {', '.join(TABLES)}"
                yield Finding("tables", "failed", f"not removed: {error.what}", action)
        try:
            open_stage(self._whole).remove([f"{FOLDER}/{self.id}/"])
            with suppress(LakehouseError):
                if not list(open_stage(self._whole).entries(FOLDER)):
                    open_stage(self._whole).remove([f"{FOLDER}/"])
            yield Finding("files", "ok", f"{self._settings.stage} is removed")
        except LakehouseError as error:
            yield Finding("files", "failed", f"not removed: {error.what}", f"remove {self._settings.stage} by hand")

    def _drop_tables(self) -> None:
        """By path: the folder. By name: a run of its own drops the tables one by one, then the schema, which must be empty."""
        target = self._settings.target
        if "/" in target:
            if not target.startswith(("dbfs:/", "/Volumes/")):
                raise ConvertError(f"{target} is neither on DBFS nor in a volume")
            parent, _, name = target.rpartition("/")
            open_stage(msgspec.structs.replace(self._whole, stage=parent)).remove([f"{name}/"])
            return
        stage = open_stage(self._settings)
        stage.write(SCRIPT, job_file.DROPPER.read_bytes())
        jobs = Jobs(Workspace(self._settings), self._settings)
        run = jobs.wait(jobs.submit(f"{stage.url}/{SCRIPT}", [target, *TABLES]).run_id, self._say)
        if not run.succeeded:
            raise ConvertError(f"{run.message}\n{run.page}")


def _of_load(mode: str, result: LoadResult | None, load: StagedLoad) -> Finding:
    if result is None:
        return Finding(mode, "failed", "the job says nothing of it", "look at the page of the run, told above")
    if result.status in DONE and result.equal:
        types = len(load.manifest.schema)
        text = f"{result.rows} rows of {types} columns, one of each type: equal at the source, in Parquet and in Delta"
        return Finding(mode, "ok", text)
    return Finding(mode, "failed", "; ".join(result.problems) or f"it is {result.status}", result.action)
