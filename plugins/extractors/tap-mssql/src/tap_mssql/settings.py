"""The tap's settings: a superset of the published tap-mssql's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from tap_mssql.errors import SettingsRefused

_BUILT_IN = ("batch_config", "stream_maps", "stream_map_config", "faker_config", "flattening_enabled", "flattening_max_depth")


class Settings(BaseModel):
    """Checked before any connection is opened. Times are in seconds, sizes in rows."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(description="Name or address of the server; `name\\instance` for a named one.", examples=["db.example.com"])
    port: int = Field(1433, ge=1, le=65535, description="TCP port.")
    user: str = Field(description="SQL login.", examples=["reader"])
    password: SecretStr = Field(description="Its password.", examples=["…"])
    database: str = Field(description="Database to read.", examples=["AdventureWorks"])
    encrypt: Literal["yes", "strict", "no"] = Field("yes", description="TLS: yes, strict (TDS 8) or no (login only).")
    trust_server_certificate: bool = Field(False, description="True accepts any certificate: only where nobody can listen.")
    server_certificate: Path | None = Field(None, description="PEM file of the authority to trust, or of the server itself.")
    host_name_in_certificate: str = Field("", description="Name to expect in the certificate when it is not `host`.")
    application_name: str = Field("tap-mssql", description="What sys.dm_exec_sessions shows.")
    application_intent: Literal["ReadOnly", "ReadWrite"] = Field(
        "ReadOnly", description="ReadOnly lets a listener route to a replica."
    )
    multi_subnet_failover: bool = Field(False, description="Tries all addresses of an availability group listener at once.")
    login_timeout: int = Field(10, ge=1, description="Seconds for one connection attempt.")
    query_timeout: int = Field(0, ge=0, description="Seconds for one statement to answer; 0 waits as long as it takes.")
    filter_dbs: str = Field("", description="Schemas to discover, separated by commas; all unless set (published name).")
    default_replication_method: Literal["FULL_TABLE", "INCREMENTAL"] = Field(
        "FULL_TABLE", description="Of streams that name none."
    )
    cursor_array_size: int = Field(65_536, ge=1, description="Rows the driver fetches at a time.")
    snapshot: Literal["auto", "always", "never"] = Field(
        "auto", description="SNAPSHOT isolation: where the database allows it, or not."
    )
    part_rows: int = Field(1_000_000, ge=1, description="Most rows in one part.")
    use_date_datatype: Literal[True] = Field(True, description="Dates are dates, always (published name).")
    use_singer_decimal: Literal[True] = Field(True, description="Decimals in RECORDs are exact text, always (published name).")
    characterset: str = Field("utf8", description="Accepted for the published tap's sake; the driver speaks UTF-16.")
    tds_version: str = Field("7.4", description="Accepted for the published tap's sake; the driver negotiates.")
    enable_tds_logging: Literal[False] = Field(False, description="Refused when true: such a log would hold data.")
    conn_properties: Literal[""] = Field("", description="Refused when set: statements of a pymssql connection.")

    @model_validator(mode="after")
    def _one_way_to_trust(self) -> Settings:
        if self.server_certificate and not self.server_certificate.is_file():
            raise ValueError(f"server_certificate: there is no file {self.server_certificate}")
        if self.server_certificate and self.trust_server_certificate:
            raise ValueError("server_certificate and trust_server_certificate: set one of the two")
        return self


def parse(config: dict[str, Any]) -> Settings:
    """Checks a configuration. Raises SettingsRefused naming every wrong setting; unset ones take their default."""
    given = {k: v for k, v in config.items() if k not in _BUILT_IN and v not in (None, "")}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, p['loc'])) or 'settings'}: {p['msg']}" for p in error.errors(include_input=False)]
        raise SettingsRefused("tap-mssql's configuration has problems; nothing was connected to:\n" + "\n".join(lines)) from None


def json_schema() -> dict[str, Any]:
    """The settings as JSON Schema, for `--about`."""
    return Settings.model_json_schema()
