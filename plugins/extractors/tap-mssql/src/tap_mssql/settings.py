"""The tap's settings: a superset of the published tap-mssql's."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, WithJsonSchema

from tap_mssql import selection
from tap_mssql.errors import SettingsRefused
from tap_mssql.options import StreamOptions, merged

_BUILT_IN = (
    "batch_config",
    "stream_maps",
    "stream_map_config",
    "faker_config",
    "flattening_enabled",
    "flattening_max_depth",
    "flattening_max_key_length",
    "flattening_separator",
)
AZURE = (
    ".database.windows.net",
    ".database.chinacloudapi.cn",
    ".database.usgovcloudapi.net",
    ".database.cloudapi.de",
    ".database.azure.com",
    ".sql.azuresynapse.net",
    ".database.fabric.microsoft.com",
    ".datawarehouse.fabric.microsoft.com",
)


def _from_json(value: Any) -> Any:
    """Meltano hands lists and objects from an environment variable over as JSON text."""
    if isinstance(value, str) and value.strip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"is not JSON: {error}") from None
    return value


def _yes_no(value: Any) -> Any:
    """YAML reads a bare yes or no as a boolean."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _globs(value: Any) -> Any:
    value = _from_json(value)
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Globs = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(_globs),
    WithJsonSchema({"type": ["array", "string"], "items": {"type": "string"}}),
]
Options = Annotated[
    dict[str, StreamOptions],
    BeforeValidator(_from_json),
    WithJsonSchema({"type": ["object", "string"], "additionalProperties": StreamOptions.model_json_schema()}),
]


class Settings(BaseModel):
    """Checked before any connection is opened. Times are in seconds, sizes in rows unless a name says otherwise."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(description="Name or address of the server; `name\\instance` for a named one.", examples=["db.example.com"])
    port: int = Field(1433, ge=1, le=65535, description="TCP port; another one than 1433 wins over an instance's name.")
    database: str = Field(description="Database to read.", examples=["AdventureWorks"])
    authentication: Literal["sql", "service_principal", "managed_identity", "default"] = Field(
        "sql", description="Who logs in: a SQL login, an Entra application, the machine's identity, or whatever Azure finds."
    )
    user: str = Field("", description="SQL login (authentication: sql).", examples=["reader"])
    password: SecretStr = Field(SecretStr(""), description="Its password.")
    client_id: str = Field("", description="Entra application, or a user-assigned managed identity.", examples=["0a1b2c3d-…"])
    client_secret: SecretStr = Field(SecretStr(""), description="The application's secret (authentication: service_principal).")
    tenant: str = Field("", description="Entra tenant of the application; the server says it when unset.")
    encrypt: Annotated[Literal["yes", "strict", "no"], BeforeValidator(_yes_no)] = Field(
        "yes", description="TLS: yes, strict (TDS 8) or no (login only)."
    )
    trust_server_certificate: bool = Field(False, description="True accepts any certificate: only where nobody can listen.")
    server_certificate: Path | None = Field(
        None, description="PEM file of the authority to trust, or of the server itself.", examples=["/etc/ssl/company-ca.pem"]
    )
    host_name_in_certificate: str = Field("", description="Name to expect in the certificate when it is not `host`.")
    application_name: str = Field("tap-mssql", max_length=128, description="What sys.dm_exec_sessions shows.")
    application_intent: Literal["ReadOnly", "ReadWrite"] = Field(
        "ReadOnly", description="ReadOnly lets a listener route to a replica."
    )
    multi_subnet_failover: bool = Field(False, description="Tries all addresses of an availability group listener at once.")

    login_timeout: int = Field(10, ge=1, le=600, description="Seconds for one connection attempt.")
    query_timeout: int = Field(0, ge=0, description="Seconds for one statement to answer; 0 waits as long as it takes.")
    idle_timeout: int = Field(60, ge=5, description="Seconds without a byte after which a connection counts as broken.")
    retry_seconds: int = Field(300, ge=0, description="Seconds that one operation may wait in all for what passes by itself.")

    streams: Globs = Field(
        (),
        description="Patterns of schema.table, the last that matches wins; all unless set.",
        examples=[["Sales.*", "!*.Archive*"]],
    )
    filter_dbs: str = Field("", description="Schemas to discover, separated by commas; all unless set (published name).")
    include_synonyms: bool = Field(False, description="Synonyms of tables and views are streams too.")
    stream_options: Options = Field(
        default_factory=dict,
        description="Pattern of schema.table: its replication_method, replication_key, key, lookback, start_value, end_value.",
        examples=[{"Sales.*": {"replication_key": "ModifiedDate"}}],
    )
    default_replication_method: Literal["FULL_TABLE", "INCREMENTAL"] = Field(
        "FULL_TABLE", description="Of streams that name none."
    )
    on_schema_drift: Literal["fail", "evolve"] = Field("fail", description="A table that changed since it was discovered.")
    on_unreadable: Literal["fail", "skip"] = Field("fail", description="Columns of unreadable type or without permission.")
    keep_100ns: bool = Field(False, description="Adds the exact text beside datetime2(7) and datetimeoffset(7).")
    keep_offset: bool = Field(False, description="Adds the offset as text beside datetimeoffset.")

    max_parallel: int = Field(4, ge=1, le=64, description="Connections that read at once.")
    memory_mib: int = Field(96, ge=16, description="MiB that all readers together may hold.")
    max_query_seconds: float = Field(10, gt=0, description="Seconds a query is meant to take; ranges are cut to it.")
    max_rows_per_second: int = Field(0, ge=0, description="Rows per second read from the server at most; 0 has no limit.")
    range_rows: int = Field(1_000_000, ge=1, description="Most rows in one range of keys.")
    part_rows: int = Field(1_000_000, ge=1, description="Most rows in one part.")
    cursor_array_size: int = Field(65_536, ge=1, description="Rows the driver fetches at a time.")
    snapshot: Literal["auto", "always", "never"] = Field(
        "auto", description="SNAPSHOT isolation: where the database allows it, or not."
    )
    resume_hours: float = Field(24, ge=0, description="Hours for which ranges read by a broken run are used again; 0 never.")
    progress_seconds: float = Field(5, gt=0, description="Seconds between two lines of progress.")

    use_date_datatype: Literal[True] = Field(True, description="Dates are dates, always (published name).")
    use_singer_decimal: Literal[True] = Field(True, description="Decimals in RECORDs are exact text, always (published name).")
    characterset: str = Field("utf8", description="Accepted for the published tap's sake; the driver speaks UTF-16.")
    tds_version: str = Field("7.4", description="Accepted for the published tap's sake; the driver negotiates.")
    enable_tds_logging: Literal[False] = Field(False, description="Refused when true: such a log would hold data.")
    conn_properties: Literal[""] = Field("", description="Refused when set: statements of a pymssql connection.")

    @property
    def azure(self) -> bool:
        """Whether the host is one of Azure's, where a database may be asleep and wakes up by a login."""
        return self.host.lower().rstrip(".").endswith(AZURE)

    @property
    def where(self) -> str:
        """The server and database in words, for messages; no secret in it."""
        return f"{self.host},{self.port}, database {self.database!r}"

    def options_of(self, schema: str, table: str) -> StreamOptions:
        """What `stream_options` says about a table: all patterns that match it, a later one over an earlier one."""
        return merged(selection.matching(self.stream_options, (schema, table)))


def parse(config: dict[str, Any]) -> Settings:
    """Checks a configuration. Raises SettingsRefused naming every wrong setting; unset ones take their default."""
    given = {k: v for k, v in config.items() if k not in _BUILT_IN and v is not None and v != ""}
    problems: list[str] = []
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        problems = [_problem(dict(p)) for p in error.errors(include_input=False, include_url=False)]
    problems += _together(given)
    if settings is None or problems:
        raise SettingsRefused("tap-mssql's configuration has problems; nothing was connected to:\n" + "\n".join(problems))
    return settings


def _problem(found: dict[str, Any]) -> str:
    path = [str(step) for step in found["loc"]]
    if found["type"] == "extra_forbidden":
        known = list(Settings.model_fields) if len(path) == 1 else list(StreamOptions.model_fields)
        near = difflib.get_close_matches(path[-1], known, 1)
        return f"  {'.'.join(path)}: no such setting" + (f"; did you mean {near[0]}?" if near else "")
    if found["type"] == "missing":
        return f"  {path[0]}: is needed{_example(path[0])}"
    return f"  {'.'.join(path)}: {found['msg'].removeprefix('Value error, ')}{_example(path[0])}"


def _example(name: str) -> str:
    field = Settings.model_fields.get(name)
    if field is None or name in ("enable_tds_logging", "conn_properties"):
        return ""
    example = field.examples[0] if field.examples else field.default
    text = json.dumps(example, ensure_ascii=False) if isinstance(example, bool | list | dict) else str(example)
    return f" (for example {name}: {text})"


def _together(given: dict[str, Any]) -> list[str]:
    """Problems of settings that depend on each other, or that a type can't tell."""
    problems = []

    def needs(name: str, why: str) -> None:
        if not given.get(name):
            problems.append(f"  {name}: is needed by authentication: {why} (for example TAP_MSSQL_{name.upper()} in .env)")

    mode = given.get("authentication", "sql")
    if mode == "sql":
        needs("user", mode)
        needs("password", mode)
    elif given.get("password"):
        problems.append(
            f"  password: not used by authentication: {mode}; leave user and password away (or use authentication: sql)"
        )
    if mode == "service_principal":
        needs("client_id", mode)
        needs("client_secret", mode)
    elif given.get("client_secret"):
        problems.append("  client_secret: only with authentication: service_principal")
    host = str(given.get("host", ""))
    if any(c in host for c in ",;{}=\0") or host.count(":") == 1:
        problems.append("  host: only the name or address; the port is a setting of its own (for example port: 1433)")
    certificate = given.get("server_certificate")
    if certificate and not Path(str(certificate)).is_file():
        problems.append(f"  server_certificate: there is no file {certificate}")
    if certificate and str(given.get("trust_server_certificate", "")).lower() in ("true", "1", "yes", "on", "t", "y"):
        problems.append("  server_certificate and trust_server_certificate: set one of the two")
    return problems


def json_schema() -> dict[str, Any]:
    """The settings as JSON Schema, for `--about`."""
    return Settings.model_json_schema()
