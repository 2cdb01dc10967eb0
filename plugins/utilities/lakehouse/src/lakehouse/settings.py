"""Settings from the environment: one typed model, every problem told at once, before any connection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from lakehouse.errors import ConfigError

VARIABLES = {  # field: variable, example
    "host": ("DATABRICKS_HOST", "https://adb-1234567890123456.7.azuredatabricks.net"),
    "token": ("DATABRICKS_TOKEN", "dapi0123456789abcdef"),
    "stage": ("LAKEHOUSE_STAGE", "dbfs:/lighthouse/stage or /Volumes/main/lighthouse/stage"),
    "target": ("LAKEHOUSE_TARGET", "main.lighthouse, lighthouse, or dbfs:/lighthouse/delta"),
    "cluster_id": ("DATABRICKS_CLUSTER_ID", "1124-120000-abcdefgh"),
    "new_cluster": (
        "LAKEHOUSE_NEW_CLUSTER",
        '{"spark_version": "15.4.x-scala2.12", "node_type_id": "Standard_D4s_v5", "num_workers": 1}',
    ),
    "output": ("LAKEHOUSE_OUTPUT", "output/docker_elt"),
    "job_timeout": ("LAKEHOUSE_JOB_TIMEOUT", "7200"),
}


class Settings(BaseModel):
    """Where the workspace is, where files go, where tables go, and what the job runs on."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    host: str
    token: SecretStr
    stage: str = "dbfs:/lighthouse/stage"
    target: str = "lighthouse"
    cluster_id: str | None = None
    new_cluster: dict[str, Any] | None = None
    output: Path = Path("output/docker_elt")
    job_timeout: Annotated[int, Field(gt=0)] = 7200  # seconds

    @field_validator("host")
    @classmethod
    def _host(cls, value: str) -> str:
        text = value if "://" in value else f"https://{value}"
        url = urlsplit(text)
        if url.scheme not in ("http", "https") or not url.hostname or url.path.strip("/"):
            raise ValueError("must be the workspace's address, without a path")
        return f"{url.scheme}://{url.netloc}"

    @field_validator("stage")
    @classmethod
    def _stage(cls, value: str) -> str:
        text = value.rstrip("/").removeprefix("dbfs:") if value.startswith("dbfs:/Volumes/") else value.rstrip("/")
        parts = [part for part in text.split("/") if part]
        volume = text.startswith("/Volumes/") and len(parts) >= 4
        dbfs = text.startswith("dbfs:/") and len(parts) >= 2
        if not (volume or dbfs) or ".." in parts:
            raise ValueError("must be a folder on DBFS or in a Unity Catalog volume")
        return text

    @field_validator("target")
    @classmethod
    def _target(cls, value: str) -> str:
        text = value.rstrip("/")
        if "/" in text:
            if not (text.startswith("/") or ":/" in text) or "`" in text:
                raise ValueError("must be a schema, catalog.schema, or an absolute path")
        elif not all(part.replace("_", "a").isalnum() for part in text.split(".")) or text.count(".") > 1:
            raise ValueError("must be a schema, catalog.schema, or an absolute path")
        return text

    @field_validator("new_cluster", mode="before")
    @classmethod
    def _cluster(cls, value: object) -> object:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError as error:
                raise ValueError(f"is not JSON ({error})") from None
        if not isinstance(value, dict | None):
            raise ValueError("must be a JSON object")  # noqa: TRY004  (pydantic collects ValueErrors)
        return value

    @model_validator(mode="after")
    def _compute(self) -> Settings:
        if self.cluster_id and self.new_cluster:
            raise ValueError("DATABRICKS_CLUSTER_ID and LAKEHOUSE_NEW_CLUSTER are both set: the job runs on one; unset the other")
        if not self.cluster_id and not self.new_cluster and not self.on_volume:
            raise ValueError(
                "the job has nothing to run on: set DATABRICKS_CLUSTER_ID (such as 1124-120000-abcdefgh) or "
                "LAKEHOUSE_NEW_CLUSTER; serverless compute cannot run a file from DBFS, it needs a LAKEHOUSE_STAGE "
                "in a volume (such as /Volumes/main/lighthouse/stage)"
            )
        return self

    @property
    def on_volume(self) -> bool:
        """Whether the stage is in a Unity Catalog volume."""
        return self.stage.startswith("/Volumes/")


def load_settings(environment: Mapping[str, str]) -> Settings:
    """The settings; ConfigError lists every variable that is missing or wrong. Values never appear in the message."""
    given = {name: _unquoted(environment.get(variable, "")) for name, (variable, _) in VARIABLES.items()}
    try:
        return Settings.model_validate({name: value for name, value in given.items() if value})
    except ValidationError as error:
        raise ConfigError("\n".join(["The settings are not usable:", *(_problem(each) for each in error.errors())])) from None


def _unquoted(value: str) -> str:
    """`docker run --env-file` keeps quotes, dotenv strips them: both mean the same here."""
    text = value.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def _problem(error: Any) -> str:
    what = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return f"  {what}"
    variable, example = VARIABLES[str(error["loc"][0])]
    return f"  {variable}: {'is not set' if error['type'] == 'missing' else what}, for example {variable}={example}"
