"""Settings from the environment: each is named as its variable, and every problem is reported at once, before any connection."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from lakehouse import authentication
from lakehouse.authentication import AuthType
from singer_arrow import settings
from singer_arrow.settings import Secret, no_secret

PROGRAM = "lakehouse"
WEEK = 168  # hours: the least that Delta lets VACUUM keep unless its check is switched off
_NAME = re.compile(r"[^`./\s\\]+")  # of a catalog or schema; the job writes it between backticks
_VARIABLES = authentication.VARIABLES | {
    "cluster_id": "DATABRICKS_CLUSTER_ID",
    "new_cluster": "LAKEHOUSE_NEW_CLUSTER",
    "stage": "LAKEHOUSE_STAGE",
    "target": "LAKEHOUSE_TARGET",
    "job_timeout": "LAKEHOUSE_JOB_TIMEOUT",
    "run_lease_seconds": "LAKEHOUSE_RUN_LEASE_SECONDS",
    "output": "LAKEHOUSE_OUTPUT",
    "cli": "LAKEHOUSE_CLI",
    "keep_loads": "LAKEHOUSE_KEEP_LOADS",
    "verify": "LAKEHOUSE_VERIFY",
    "row_columns": "LAKEHOUSE_ROW_COLUMNS",
    "cluster_by_key": "LAKEHOUSE_CLUSTER_BY_KEY",
    "optimize_every": "LAKEHOUSE_OPTIMIZE_EVERY",
    "vacuum_hours": "LAKEHOUSE_VACUUM_HOURS",
    "on_failure": "ON_FAILURE",
    "keep_reports": "LAKEHOUSE_KEEP_REPORTS",
    "send_reports": "LAKEHOUSE_SEND_REPORTS",
    "alert_webhook": "ALERT_WEBHOOK",
    "log_format": "LOG_FORMAT",
    "log_level": "LOG_LEVEL",
}


class Settings(settings.Settings, kw_only=True, frozen=True, rename=_VARIABLES):
    """Where the workspace is, where files and tables go, and what the job runs on. Times are in seconds."""

    host: Annotated[
        str,
        Meta(
            description="URL of the workspace; https:// unless it says otherwise.",
            examples=["https://adb-1234567890123456.7.azuredatabricks.net"],
        ),
    ] = ""
    token: Annotated[Secret, Meta(description="Personal access token.", examples=["dapi0123456789abcdef"])] = no_secret()
    client_id: Annotated[
        str,
        Meta(description="Service principal: its application ID, for OAuth.", examples=["4c2b0d8e-6a6c-4a3e-9a55-0f4c4f0c5a11"]),
    ] = ""
    client_secret: Annotated[
        Secret, Meta(description="OAuth secret of the service principal.", examples=["dose0123456789abcdef"])
    ] = no_secret()
    profile: Annotated[
        str, Meta(description="Profile of the configuration file: host and identity come from it.", examples=["lighthouse"])
    ] = ""
    config_file: Annotated[
        Path | None, Meta(description="Configuration file of the profile; `~/.databrickscfg`.", examples=["/run/databrickscfg"])
    ] = None
    auth_type: Annotated[
        AuthType,
        Meta(
            description="Which identity to use, where several are set or one that databricks-sdk finds by itself is meant.",
            examples=["oauth-m2m"],
        ),
    ] = ""
    azure_client_id: Annotated[
        str,
        Meta(description="Entra application that is a user of the workspace.", examples=["0c7b3f0e-6a6c-4a3e-9a55-0f4c4f0c5a11"]),
    ] = ""
    azure_client_secret: Annotated[
        Secret, Meta(description="Secret of the Entra application.", examples=["an application's secret"])
    ] = no_secret()
    azure_tenant_id: Annotated[
        str,
        Meta(description="Tenant of the Entra application; the workspace's.", examples=["9a550f4c-6a6c-4a3e-9a55-0f4c4f0c5a11"]),
    ] = ""
    azure_resource_id: Annotated[
        str,
        Meta(
            description="Azure resource ID of the workspace, in place of its host.",
            examples=["/subscriptions/…/resourceGroups/…/providers/Microsoft.Databricks/workspaces/lighthouse"],
        ),
    ] = ""
    google_service_account: Annotated[
        str,
        Meta(description="Google service account to act as.", examples=["lighthouse@project.iam.gserviceaccount.com"]),
    ] = ""
    google_credentials: Annotated[
        Secret,
        Meta(description="Key of a Google service account: a file's path, or its JSON.", examples=["/run/secrets/google.json"]),
    ] = no_secret()
    cluster_id: Annotated[
        str,
        Meta(
            description="Existing cluster for the conversion job; without one, serverless where the stage is in a volume, else "
            "a job cluster of one small machine, which databricks-sdk chooses.",
            examples=["1124-120000-abcdefgh"],
        ),
    ] = ""
    new_cluster: Annotated[
        dict[str, Any] | None,
        Meta(
            description="JSON of a job cluster to use instead.",
            examples=[{"spark_version": "15.4.x-scala2.12", "node_type_id": "Standard_D4s_v5", "num_workers": 1}],
        ),
    ] = None
    stage: Annotated[
        str,
        Meta(
            description="Where files are staged in the workspace: a folder on DBFS or in a Unity Catalog volume.",
            examples=["/Volumes/main/lighthouse/stage"],
        ),
    ] = "dbfs:/lighthouse/stage"
    target: Annotated[
        str,
        Meta(description="Where the Delta tables are: a schema, `catalog.schema`, or a path.", examples=["main.lighthouse"]),
    ] = "lighthouse"
    job_timeout: Annotated[int, Meta(gt=0, description="Seconds to wait for the conversion job.")] = 7200
    run_lease_seconds: Annotated[
        float,
        Meta(
            gt=0,
            description="Seconds without a sign of life after which a run on another machine counts as dead: so long a run waits "
            "where one was killed there.",
        ),
    ] = 45
    output: Annotated[Path, Meta(description="Folder of the staged files on this machine.")] = msgspec.field(
        default_factory=lambda: Path("output/docker_elt")
    )
    cli: Annotated[
        str,
        Meta(
            description="Databricks CLI for a stage on DBFS, 0.18 or later: a path, or a name on PATH. "
            "`databricks` beside this Python, else on PATH.",
            examples=["/usr/local/bin/databricks"],
        ),
    ] = ""
    keep_loads: Annotated[
        int,
        Meta(ge=0, description="Loads in Delta of each stream whose files stay, here and on the stage: the newest; 0 for none."),
    ] = 3
    verify: Annotated[
        Literal["full", "write"],
        Meta(
            description="How the job proves what it wrote: `full` reads every value back; `write` counts the rows and NULLs of "
            "full loads while they are written, and compares Delta's own count, where the engine tells them (semantics.md, N30)."
        ),
    ] = "full"
    row_columns: Annotated[
        tuple[Literal["_load_id", "_loaded_at", "_source"], ...],
        Meta(
            description="Columns that the job adds to every row: the load it came with, the moment it was written (UTC), "
            "and its source. Rows written before have NULL there.",
            examples=[["_loaded_at", "_source"]],
        ),
    ] = ()
    cluster_by_key: Annotated[
        bool,
        Meta(description="Makes new tables of streams with a key with liquid clustering by it, which OPTIMIZE keeps up."),
    ] = False
    optimize_every: Annotated[
        int,
        Meta(
            ge=0,
            description="Commits of a table after which the job runs OPTIMIZE on it; 0 for never. Tables with predictive "
            "optimization need none.",
        ),
    ] = 0
    vacuum_hours: Annotated[
        int,
        Meta(
            ge=0,
            description="Hours of history, 168 or more, that VACUUM keeps, which then runs behind each OPTIMIZE; 0 for never.",
            examples=[720],
        ),
    ] = 0
    on_failure: Annotated[
        Literal["deliver", "stop"],
        Meta(
            description="What `entrypoint.sh` does when a source, a stream or a load fails: `deliver` takes everything else to "
            "Delta and then ends with the code of what failed first; `stop` ends there."
        ),
    ] = "deliver"
    keep_reports: Annotated[
        int,
        Meta(ge=0, description="Reports of runs that stay in `output/reports`, as HTML and JSON: the newest; 0 writes none."),
    ] = 30
    send_reports: Annotated[
        bool, Meta(description="Sends each report to the stage as well, into `_reports`, where as many stay as here.")
    ] = False
    alert_webhook: Annotated[
        Secret,
        Meta(
            description="URL that a run tells, by a POST of JSON, that it failed, and that it is well again "
            "(docs/operations.md). Chat programs take it as it is.",
            examples=["https://hooks.example.com/services/…"],
        ),
    ] = no_secret()
    log_format: Annotated[
        Literal["text", "json"],
        Meta(
            description="What the lines of a run are: `text` for people, or `json`: one object a line, of all steps and plugins "
            "(docs/contracts.md, Lines of a run)."
        ),
    ] = "text"
    log_level: Annotated[
        Literal["info", "debug"],
        Meta(
            description="`debug` also shows what is not needed where all goes well, what Meltano does, and every stream's result."
        ),
    ] = "info"

    @property
    def upkeep(self) -> dict[str, object]:
        """What the job does for the tables besides writing them."""
        return {name: getattr(self, name) for name in ("cluster_by_key", "optimize_every", "vacuum_hours")}

    @classmethod
    def contradictions(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """What types cannot tell: addresses, places, and that the job has one thing to run on."""
        yield from authentication.problems(values)
        if values.get("host") and not _host(values["host"]):
            yield _VARIABLES["host"], "must be the address of the workspace, without a path"
        if "stage" in values and not _stage(values["stage"]):
            yield (
                _VARIABLES["stage"],
                "must be a folder on DBFS (dbfs:/folder/…) or in a volume (/Volumes/catalog/schema/volume/…)",
            )
        if "target" in values and not _target(values["target"]):
            yield _VARIABLES["target"], "must be a schema, catalog.schema, or an absolute path"
        webhook = values.get("alert_webhook")
        if webhook and not _host_of(webhook.reveal()):
            yield _VARIABLES["alert_webhook"], "must be a URL that begins with https:// or http://"
        yield from _compute(values)
        hours = values.get("vacuum_hours") or 0
        if 0 < hours < WEEK:
            yield _VARIABLES["vacuum_hours"], f"must be 0, or {WEEK} and more: who reads the table now may need what is removed"
        elif hours and not values.get("optimize_every"):
            yield (
                _VARIABLES["vacuum_hours"],
                "has no effect: VACUUM runs behind OPTIMIZE, and LAKEHOUSE_OPTIMIZE_EVERY is not set",
            )

    @property
    def identity(self) -> str:
        """The authentication type that these settings mean, `profile` for one of the configuration file."""
        return authentication.chosen(msgspec.structs.asdict(self))

    @property
    def on_volume(self) -> bool:
        """Whether the stage is in a Unity Catalog volume."""
        return self.stage.startswith("/Volumes/")


def load_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in an environment. Raises SettingsRefused with every variable that is missing or wrong."""
    found = Settings.parse({name: environment.get(name) for name in _VARIABLES.values()}, PROGRAM)
    return msgspec.structs.replace(
        found, host=_host(found.host) if found.host else "", stage=_stage(found.stage), target=_target(found.target)
    )


def _compute(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    cluster, new_cluster = values.get("cluster_id"), values.get("new_cluster")
    if cluster and new_cluster:
        yield (
            _VARIABLES["new_cluster"],
            "and DATABRICKS_CLUSTER_ID are both set, and the job runs on one of them; unset the other",
        )


def _host_of(url: str) -> str | None:
    """The host of an HTTP URL; None for what is none."""
    parts = urlsplit(url)
    return parts.hostname if parts.scheme in ("http", "https") else None


def _host(text: str) -> str:
    """Scheme, name and port; empty text for what is no address of a workspace."""
    url = urlsplit(text if "://" in text else f"https://{text}")
    valid = url.scheme in ("http", "https") and url.hostname and not url.path.strip("/") and not url.username
    return f"{url.scheme}://{url.netloc}" if valid else ""


def _stage(text: str) -> str:
    """The folder without a slash at its end; empty text for what is no folder of a workspace."""
    text = text.removeprefix("dbfs:").rstrip("/") if text.startswith("dbfs:/Volumes/") else text.rstrip("/")
    parts = [part for part in text.split("/") if part]
    on_volume = text.startswith("/Volumes/") and len(parts) >= 4
    on_dbfs = text.startswith("dbfs:/") and len(parts) >= 2
    return text if (on_volume or on_dbfs) and ".." not in parts else ""


def _target(text: str) -> str:
    """The place of the tables without a slash at its end; empty text for what is no such place."""
    text = text.rstrip("/")
    if "/" in text:
        return text if (text.startswith("/") or ":/" in text) and "`" not in text else ""
    names = text.split(".")
    return text if len(names) <= 2 and all(_NAME.fullmatch(name) for name in names) else ""
