"""Lineage of a run: source table → files, files → Delta table, stream by stream, below one job (docs/operations.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState, set_producer
from openlineage.client.facet_v2 import (
    DatasetFacet,
    JobFacet,
    RunFacet,
    column_lineage_dataset,
    datasource_dataset,
    error_message_run,
    input_statistics_input_dataset,
    job_type_job,
    lifecycle_state_change_dataset,
    output_statistics_output_dataset,
    parent_run,
    schema_dataset,
    storage_dataset,
)
from openlineage.client.uuid import generate_static_uuid

from lakehouse.telemetry import names
from lakehouse.telemetry.facts import RunFacts, RunLoad
from lakehouse.telemetry.names import Name
from singer_arrow.documents import Manifest
from singer_arrow.exits import Exit

PRODUCER = "urn:lighthouse-ingestion-pipeline"
JOB = "lighthouse"
AT_ONCE = 8  # requests
_DELTA = {  # the type in Delta of an Arrow type (docs/contracts.md, Types); the job's own table is lakehouse.job.types
    "bool": "boolean", "int16": "smallint", "int32": "int", "int64": "bigint", "float": "float", "double": "double",
    "date32[day]": "date", "timestamp[us]": "timestamp_ntz", "timestamp[us, tz=UTC]": "timestamp", "time64[us]": "string",
    "time64[ns]": "string", "string": "string", "binary": "binary",
}  # fmt: skip


def send(facts: RunFacts, environment: Mapping[str, str], host: str, stage: str) -> None:
    """Sends the events of a run: its beginning, each load's in their order, several loads at once, and its end.

    Raises whatever the client's transport raises for the first that it cannot send.
    """
    set_producer(PRODUCER)
    client = OpenLineageClient(config={"facets": {"source_code_location": {"disabled": True}}})
    events = _Events(facts, environment.get("OPENLINEAGE_NAMESPACE") or "default", host, stage)
    pool = ThreadPoolExecutor(AT_ONCE)

    def tell(each: RunLoad) -> None:
        for event in events.of(each):
            client.emit(event)

    try:
        client.emit(events.beginning())
        list(pool.map(tell, facts.loads))
        client.emit(events.end())
        client.close(1.0)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def delta_type(arrow: str) -> str:
    """The SQL type in Delta of an Arrow type as the manifest writes it."""
    found = re.fullmatch(r"decimal128\((\d+), (\d+)\)", arrow)
    return f"decimal({found[1]},{found[2]})" if found else _DELTA.get(arrow, arrow)


class _Events:
    """The events of one run. `host` is the workspace, `namespace` that of the jobs."""

    def __init__(self, facts: RunFacts, namespace: str, host: str, stage: str) -> None:
        self._facts, self._namespace, self._host, self._stage = facts, namespace, host, stage
        self._job = Job(namespace, JOB, _kind("PIPELINE"))

    def beginning(self) -> RunEvent:
        """Of the run."""
        facts = self._facts
        return RunEvent(eventTime=_text(facts.began), run=Run(facts.run_id), job=self._job, eventType=RunState.START)

    def of(self, each: RunLoad) -> Iterator[RunEvent]:
        """Both halves of a load's way, as far as this run went it."""
        if each.is_read:
            yield from self._extract(each)
        if each.converted is not None:
            yield from self._convert(each)

    def end(self) -> RunEvent:
        """Of the run."""
        facts = self._facts
        state = RunState.COMPLETE if facts.code == 0 else RunState.FAIL
        if facts.code in (Exit.INTERRUPTED, Exit.TERMINATED):
            state = RunState.ABORT
        words = "; ".join(facts.failures) or f"exit code {facts.code}"
        run = Run(facts.run_id, _error(words if facts.code else ""))
        return RunEvent(eventTime=_text(facts.ended), run=run, job=self._job, eventType=state)

    def _extract(self, each: RunLoad) -> Iterator[RunEvent]:
        m = each.load.manifest
        inputs = []
        if each.dataset is not None:
            fields = [_field(c.name, c.source_type or c.type, c.comment) for c in m.schema]
            read = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(rowCount=_source_rows(m))
            facets = _schema(fields) | _source(each.dataset.namespace)
            inputs = [InputDataset(each.dataset.namespace, each.dataset.name, {"inputStatistics": read}, facets=facets)]
        source = Name(each.dataset.namespace, each.dataset.name) if each.dataset else None
        written = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=m.rows, size=sum(file.bytes for file in m.files), fileCount=len(m.files)
        )
        facets = self._of_files(m) | (_columns(source, [(c.name, c.name) for c in m.schema]) if source else {})
        outputs = [OutputDataset(*self._files(m), {"outputStatistics": written}, facets=facets)]
        yield from self._both(each, "extract", m.started_at, m.ended_at, inputs, outputs)

    def _convert(self, each: RunLoad) -> Iterator[RunEvent]:
        assert each.converted is not None
        m, result = each.load.manifest, each.converted.result
        read = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
            rowCount=m.rows, size=sum(file.bytes for file in m.files), fileCount=len(m.files)
        )
        inputs = [InputDataset(*self._files(m), {"inputStatistics": read}, facets=self._of_files(m))]
        target = names.table(self._host, self._facts.target, m.table)
        fields = [_field(c.column, delta_type(c.type), c.comment) for c in m.schema]
        facets = _schema(fields) | _source(target.namespace) | _columns(self._files(m), [(c.column, c.name) for c in m.schema])
        facets["storage"] = storage_dataset.StorageDatasetFacet("delta", "parquet")
        if m.mode == "overwrite" and not each.problem:
            change = lifecycle_state_change_dataset.LifecycleStateChange.OVERWRITE
            facets["lifecycleStateChange"] = lifecycle_state_change_dataset.LifecycleStateChangeDatasetFacet(change)
        rows = 0 if each.problem else result.rows
        written = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows)
        outputs = [OutputDataset(*target, {"outputStatistics": written}, facets=facets)]
        times = _text(each.converted.began), _text(each.converted.ended)
        yield from self._both(each, "convert", *times, inputs, outputs, each.problem)

    def _both(
        self,
        each: RunLoad,
        step: str,
        began: str,
        ended: str,
        inputs: list[InputDataset],
        outputs: list[OutputDataset],
        problem: str = "",
    ) -> Iterator[RunEvent]:
        """The beginning and the end of one step of a load."""
        job = Job(self._namespace, f"{JOB}.{each.load.source}.{each.load.manifest.stream}.{step}", _kind("TASK"))
        at = datetime.fromisoformat(began)
        whole = self._facts.run_id
        run_id = str(generate_static_uuid(at, f"{whole} {each.load.load_id} {step}".encode()))
        up = parent_run.ParentRunFacet(parent_run.Run(whole), parent_run.Job(self._namespace, JOB))
        event = partial(RunEvent, job=job, inputs=inputs, outputs=outputs)
        yield event(eventTime=began, run=Run(run_id, {"parent": up}), eventType=RunState.START)
        state = RunState.FAIL if problem else RunState.COMPLETE
        yield event(eventTime=ended, run=Run(run_id, {"parent": up, **_error(problem)}), eventType=state)

    def _files(self, m: Manifest) -> Name:
        return names.files(self._host, self._stage, m.source, m.stream)

    def _of_files(self, m: Manifest) -> dict[str, DatasetFacet]:
        fields = [_field(c.name, c.type, c.comment) for c in m.schema]
        stored = storage_dataset.StorageDatasetFacet("file", "parquet")
        return {**_schema(fields), **_source(self._files(m).namespace), "storage": stored}


def _source_rows(m: Manifest) -> int:
    return m.rows if m.source_rows is None else m.source_rows


def _field(name: str, of_type: str, comment: str) -> schema_dataset.SchemaDatasetFacetFields:
    return schema_dataset.SchemaDatasetFacetFields(name, of_type, comment or None)


def _schema(fields: list[schema_dataset.SchemaDatasetFacetFields]) -> dict[str, DatasetFacet]:
    return {"schema": schema_dataset.SchemaDatasetFacet(fields)}


def _source(namespace: str) -> dict[str, DatasetFacet]:
    return {"dataSource": datasource_dataset.DatasourceDatasetFacet(namespace, namespace)}


def _columns(source: Name, pairs: Sequence[tuple[str, str]]) -> dict[str, DatasetFacet]:
    """Each column out of one column of the source, as it is."""
    as_it_is = [column_lineage_dataset.Transformation("DIRECT", "IDENTITY")]
    fields = {
        name: column_lineage_dataset.Fields([column_lineage_dataset.InputField(*source, of, as_it_is)]) for name, of in pairs
    }
    return {"columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet(fields)}


def _kind(of_job: str) -> dict[str, JobFacet]:
    return {"jobType": job_type_job.JobTypeJobFacet("BATCH", "LIGHTHOUSE", of_job)}


def _error(message: str) -> dict[str, RunFacet]:
    return {"errorMessage": error_message_run.ErrorMessageRunFacet(message, "PYTHON")} if message else {}


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
