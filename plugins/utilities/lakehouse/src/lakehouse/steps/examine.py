"""What upload and convert need of the workspace, tried one by one: everything that does not depend on what failed."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from urllib.request import getproxies_environment

from msgspec import Struct

from lakehouse.errors import LakehouseError, WorkspaceError
from lakehouse.settings import Settings
from lakehouse.stages.base import Stage
from lakehouse.stages.dbfs import cli_environment, executable
from lakehouse.steps.run_lease import holder_of
from lakehouse.steps.states import look
from lakehouse.workspace.jobs import Jobs
from lakehouse.workspace.rest import Workspace
from lakehouse.workspace.small_cluster import small_cluster
from singer_arrow.findings import Finding

FOLDER = "_doctor"
CLI_SECONDS = 30


class Examination(Struct, frozen=True):
    """One look at a workspace. A file is written to the stage and removed again; nothing else changes."""

    settings: Settings
    workspace: Workspace
    stage: Stage
    jobs: Jobs

    def findings(self) -> Iterator[Finding]:
        """Login first: without it nothing else can be known."""
        proxies = getproxies_environment()
        if proxies:
            yield Finding("proxy", "ok", ", ".join(sorted(_without_login(url) for url in proxies.values())))
        login = self._of("login", self._login)
        yield login
        if login.status == "failed":
            return
        yield self._of("stage", self._stage)
        if not self.settings.on_volume:
            yield self._of("CLI", self._cli)
        yield self._of("compute", self._compute)
        yield self._of("target", self._target)
        yield self._of("loads", self._loads)
        yield self._of("runs", self._runs)

    def _of(self, name: str, check: Callable[[], Finding]) -> Finding:
        try:
            return check()
        except LakehouseError as error:
            return Finding(name, "failed", error.what, error.action)

    def _login(self) -> Finding:
        me = self.workspace.get("/2.0/preview/scim/v2/Me")
        return Finding("login", "ok", f"{self.workspace.identity.host} as {me.get('userName') or me.get('displayName')}")

    def _stage(self) -> Finding:
        """Written, listed, read and removed: what upload and prune do."""
        name, data = f"{uuid.uuid4()}.txt", b"written by `entrypoint.sh doctor`, which removes it"
        path = f"{FOLDER}/{name}"
        self.stage.write(path, data)
        is_there = self.stage.sizes(FOLDER).get(name) == len(data) and self.stage.read(path) == data
        self.stage.remove([f"{FOLDER}/"])
        if not is_there:
            return Finding("stage", "failed", f"{self.stage.url}: what was written is not what is read", "look at the storage")
        return Finding("stage", "ok", f"{self.stage.url}: written, read, removed")

    def _cli(self) -> Finding:
        program = executable(self.settings.cli)
        environment = cli_environment(self.workspace.identity.host, "", self.settings.output / "none", os.environ)
        try:
            done = subprocess.run([program, "--version"], env=environment, capture_output=True, text=True, timeout=CLI_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            return Finding("CLI", "failed", f"{program}: {error}", "set LAKEHOUSE_CLI to a Databricks CLI, 0.18 or later")
        told = (done.stdout or done.stderr).strip().splitlines()
        if done.returncode or not told:
            return Finding("CLI", "failed", f"{program} ended with {done.returncode}", "set LAKEHOUSE_CLI to another one")
        return Finding("CLI", "ok", f"{told[0]} ({program})")

    def _compute(self) -> Finding:
        settings = self.settings
        if settings.cluster_id:
            told = self.workspace.get("/2.1/clusters/get", cluster_id=settings.cluster_id)
            name, runtime, state = (told.get(key) or "?" for key in ("cluster_name", "spark_version", "state"))
            if state in ("ERROR", "UNKNOWN"):
                text = f"cluster {name} is {state}: {told.get('state_message') or 'no reason is given'}"
                return Finding("compute", "failed", text, "look at the cluster's page")
            return Finding("compute", "ok", f"cluster {name}, {runtime}, {str(state).lower()}")
        if settings.new_cluster:
            return Finding(
                "compute", "ok", f"a job cluster as LAKEHOUSE_NEW_CLUSTER says: {settings.new_cluster['spark_version']}"
            )
        if settings.on_volume:
            return Finding("compute", "ok", "serverless; whether it is allowed for jobs shows when one is submitted")
        chosen = small_cluster(self.workspace.identity)
        return Finding("compute", "ok", f"a job cluster of one {chosen['node_type_id']}, {chosen['spark_version']}")

    def _target(self) -> Finding:
        target = self.settings.target
        if "/" in target or "." not in target:
            return Finding("target", "ok", f"{target}; only the job can look at it")
        try:
            self.workspace.get(f"/2.1/unity-catalog/schemas/{target}")
        except WorkspaceError as error:
            if not error.is_missing:
                raise
            self.workspace.get(f"/2.1/unity-catalog/catalogs/{target.partition('.')[0]}")
            return Finding("target", "ok", f"{target} is not there yet: the job makes it")
        return Finding("target", "ok", f"{target} is there")

    def _loads(self) -> Finding:
        found = look(self.stage, self.settings.output, self.settings.target).loads
        waiting = sum(each.state == "pending" for each in found)
        stuck = [each for each in found if each.settle and each.state != "pending"]
        if stuck:
            text = f"{len(stuck)} are not in Delta: {', '.join(each.load_id for each in stuck[:3])}"
            return Finding("loads", "warning", text, "entrypoint.sh loads says what settles each of them")
        return Finding("loads", "ok", f"{waiting} wait for the next run" if waiting else "none is left over")

    def _runs(self) -> Finding:
        holder = holder_of(self.stage, self.settings.target)
        if holder:
            return Finding(
                "runs", "warning", f"{holder} holds this target", "wait until it has ended; one that was killed gives way"
            )
        active = list(self.jobs.active())
        if active:
            return Finding("runs", "warning", f"a run of this pipeline is active: {active[0].page}", "wait until it has ended")
        return Finding("runs", "ok", "no run of this pipeline is active")


def _without_login(url: str) -> str:
    return url.rpartition("@")[2] if "@" in url else url
