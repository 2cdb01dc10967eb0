"""The tap's settings: a superset of the published tap-mssql's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from singer_arrow.settings import Problem, Secret, checked, metas
from singer_arrow.settings import json_schema as json_schema_of
from tap_mssql import options, selection
from tap_mssql.errors import SettingsRefused
from tap_mssql.options import StreamOptions

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


_NORMAL: dict[str, Callable[[Any], Any]] = {"encrypt": _yes_no, "streams": _globs, "stream_options": _from_json}
_ALWAYS = {"use_date_datatype": True, "use_singer_decimal": True, "enable_tds_logging": False}
Globs = Annotated[
    tuple[Annotated[str, Meta(min_length=1)], ...],
    Meta(extra_json_schema={"type": ["array", "string"], "items": {"type": "string"}}),
]
Options = Annotated[
    dict[str, StreamOptions],
    Meta(extra_json_schema={"type": ["object", "string"], "additionalProperties": json_schema_of(StreamOptions)}),
]


class Settings(msgspec.Struct, kw_only=True, frozen=True):
    """Checked before any connection is opened. Times are in seconds, sizes in rows unless a name says otherwise."""

    host: Annotated[
        str, Meta(description="Name or address of the server; `name\\instance` for a named one.", examples=["db.example.com"])
    ]
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port; another one than 1433 wins over an instance's name.")] = 1433
    database: Annotated[str, Meta(description="Database to read.", examples=["AdventureWorks"])]
    authentication: Annotated[
        Literal["sql", "service_principal", "managed_identity", "default"],
        Meta(description="Who logs in: a SQL login, an Entra application, the machine's identity, or whatever Azure finds."),
    ] = "sql"
    user: Annotated[str, Meta(description="SQL login (authentication: sql).", examples=["reader"])] = ""
    password: Annotated[Secret, Meta(description="Its password.")] = msgspec.field(default_factory=Secret)
    client_id: Annotated[
        str, Meta(description="Entra application, or a user-assigned managed identity.", examples=["0a1b2c3d-…"])
    ] = ""
    client_secret: Annotated[Secret, Meta(description="The application's secret (authentication: service_principal).")] = (
        msgspec.field(default_factory=Secret)
    )
    tenant: Annotated[str, Meta(description="Entra tenant of the application; the server says it when unset.")] = ""
    encrypt: Annotated[Literal["yes", "strict", "no"], Meta(description="TLS: yes, strict (TDS 8) or no (login only).")] = "yes"
    trust_server_certificate: Annotated[bool, Meta(description="True accepts any certificate: only where nobody can listen.")] = (
        False
    )
    server_certificate: Annotated[
        Path | None,
        Meta(
            description="PEM file of the authority to trust, or of a self-signed server; with `strict` of any server itself.",
            examples=["/etc/ssl/company-ca.pem"],
        ),
    ] = None
    host_name_in_certificate: Annotated[str, Meta(description="Name that the certificate may have instead of `host`.")] = ""
    application_name: Annotated[str, Meta(max_length=128, description="What sys.dm_exec_sessions shows.")] = "tap-mssql"
    application_intent: Annotated[
        Literal["ReadOnly", "ReadWrite"], Meta(description="ReadOnly lets a listener route to a replica.")
    ] = "ReadOnly"
    multi_subnet_failover: Annotated[bool, Meta(description="Tries all addresses of an availability group listener at once.")] = (
        False
    )

    login_timeout: Annotated[int, Meta(ge=1, le=600, description="Seconds for one connection attempt.")] = 10
    query_timeout: Annotated[int, Meta(ge=0, description="Seconds for one statement to answer; 0 waits as long as it takes.")] = 0
    idle_timeout: Annotated[int, Meta(ge=5, description="Seconds without a byte after which a connection counts as broken.")] = 60
    retry_seconds: Annotated[
        int, Meta(ge=0, description="Seconds that one operation may wait in all for what passes by itself.")
    ] = 300

    streams: Annotated[
        Globs,
        Meta(
            description="Patterns of schema.table, the last that matches wins; all unless set.",
            examples=[["Sales.*", "!*.Archive*"]],
        ),
    ] = ()
    filter_dbs: Annotated[str, Meta(description="Schemas to discover, separated by commas; all unless set (published name).")] = (
        ""
    )
    include_synonyms: Annotated[bool, Meta(description="Synonyms of tables and views are streams too.")] = False
    stream_options: Annotated[
        Options,
        Meta(
            description="Pattern of schema.table: its replication_method, replication_key, key, lookback, start_value, "
            "end_value.",
            examples=[{"Sales.*": {"replication_key": "ModifiedDate"}}],
        ),
    ] = msgspec.field(default_factory=dict)
    default_replication_method: Annotated[
        Literal["FULL_TABLE", "INCREMENTAL"], Meta(description="Of streams that name none.")
    ] = "FULL_TABLE"
    on_schema_drift: Annotated[Literal["fail", "evolve"], Meta(description="A table that changed since it was discovered.")] = (
        "fail"
    )
    on_unreadable: Annotated[Literal["fail", "skip"], Meta(description="Columns of unreadable type or without permission.")] = (
        "fail"
    )
    keep_100ns: Annotated[bool, Meta(description="Adds the exact text beside datetime2(7) and datetimeoffset(7).")] = False
    keep_offset: Annotated[bool, Meta(description="Adds the offset as text beside datetimeoffset.")] = False

    max_parallel: Annotated[int, Meta(ge=1, le=64, description="Connections that read at once.")] = 4
    memory_mib: Annotated[int, Meta(ge=16, description="MiB that all readers together may hold.")] = 96
    max_query_seconds: Annotated[float, Meta(gt=0, description="Seconds a query is meant to take; ranges are cut to it.")] = 10
    max_rows_per_second: Annotated[
        int, Meta(ge=0, description="Rows per second read from the server at most; 0 has no limit.")
    ] = 0
    range_rows: Annotated[int, Meta(ge=1, description="Most rows in one range of keys.")] = 1_000_000
    part_rows: Annotated[int, Meta(ge=1, description="Most rows in one part.")] = 1_000_000
    cursor_array_size: Annotated[int, Meta(ge=1, description="Rows the driver fetches at a time.")] = 65_536
    snapshot: Annotated[
        Literal["auto", "always", "never"], Meta(description="SNAPSHOT isolation: where the database allows it, or not.")
    ] = "auto"
    resume_hours: Annotated[
        float, Meta(ge=0, description="Hours for which ranges read by a broken run are used again; 0 never.")
    ] = 24
    progress_seconds: Annotated[float, Meta(gt=0, description="Seconds between two lines of progress.")] = 5

    use_date_datatype: Annotated[bool, Meta(description="Dates are dates, always (published name).")] = True
    use_singer_decimal: Annotated[bool, Meta(description="Decimals in RECORDs are exact text, always (published name).")] = True
    characterset: Annotated[str, Meta(description="Accepted for the published tap's sake; the driver speaks UTF-16.")] = "utf8"
    tds_version: Annotated[str, Meta(description="Accepted for the published tap's sake; the driver negotiates.")] = "7.4"
    enable_tds_logging: Annotated[bool, Meta(description="Refused when true: such a log would hold data.")] = False
    conn_properties: Annotated[Literal[""], Meta(description="Refused when set: statements of a pymssql connection.")] = ""

    @property
    def azure(self) -> bool:
        """Whether the host is one of Azure's, where a database may be asleep and wakes up by a login."""
        return self.host.lower().rstrip(".").endswith(AZURE)

    @property
    def where(self) -> str:
        """The server and database in words, for messages; no secret in it."""
        port = "" if self.by_browser else f",{self.port}"
        return f"{self.host}{port}, database {self.database!r}"

    @property
    def by_browser(self) -> bool:
        """Whether the driver learns a named instance's port from SQL Server Browser."""
        return "\\" in self.host and self.port == 1433

    def options_of(self, schema: str, table: str) -> StreamOptions:
        """What `stream_options` says about a table: all patterns that match it, a later one over an earlier one."""
        return options.merged(selection.matching(self.stream_options, (schema, table)))


def parse(config: dict[str, Any]) -> Settings:
    """Checks a configuration. Raises SettingsRefused naming every wrong setting; unset ones take their default."""
    given = {k: v for k, v in config.items() if k not in _BUILT_IN and v is not None and v != ""}
    problems: list[Problem] = []
    for name, normal in _NORMAL.items():
        if name in given:
            try:
                given[name] = normal(given[name])
            except ValueError as error:
                problems.append((name, str(error)))
                del given[name]
    if isinstance(given.get("stream_options"), Mapping):
        given["stream_options"], wrong = options.checked_each(given["stream_options"])
        problems += [(f"stream_options.{name}", what) for name, what in wrong]
    settings, wrong = checked(Settings, given, _ALWAYS)
    problems = [*wrong, *problems, *_together(given)]
    if settings is None or problems:
        lines = [f"  {name}: {what}{_example(name.partition('.')[0])}" for name, what in problems]
        raise SettingsRefused("tap-mssql's configuration has problems; nothing was connected to:\n" + "\n".join(lines))
    return settings


def _example(name: str) -> str:
    field = next((field for field in msgspec.structs.fields(Settings) if field.name == name), None)
    if field is None or name in _ALWAYS:
        return ""
    examples = metas(Settings)[name].examples
    if not examples and field.default in (msgspec.NODEFAULT, None, ""):
        return ""
    example = examples[0] if examples else field.default
    text = json.dumps(example, ensure_ascii=False) if isinstance(example, bool | list | dict) else str(example)
    return f" (for example {name}: {text})"


def _together(given: dict[str, Any]) -> list[Problem]:
    """Problems of settings that depend on each other, or that a type can't tell."""
    problems: list[Problem] = []

    def needs(name: str, why: str) -> None:
        if not given.get(name):
            problems.append((name, f"is needed by authentication: {why} (for example TAP_MSSQL_{name.upper()} in .env)"))

    mode = given.get("authentication", "sql")
    if mode == "sql":
        needs("user", mode)
        needs("password", mode)
    elif given.get("password"):
        problems.append(
            ("password", f"not used by authentication: {mode}; leave user and password away (or use authentication: sql)")
        )
    if mode == "service_principal":
        needs("client_id", mode)
        needs("client_secret", mode)
    elif given.get("client_secret"):
        problems.append(("client_secret", "only with authentication: service_principal"))
    host = str(given.get("host", ""))
    if any(c in host for c in ",;{}=\0") or host.count(":") == 1:
        problems.append(("host", "only the name or address; the port is a setting of its own (for example port: 1433)"))
    certificate = given.get("server_certificate")
    if certificate and not Path(str(certificate)).is_file():
        problems.append(("server_certificate", f"there is no file {certificate}"))
    trusts_all = str(given.get("trust_server_certificate", "")).lower() in ("true", "1")
    if certificate and trusts_all:
        problems.append(("server_certificate", "and trust_server_certificate exclude each other: set one of the two"))
    if given.get("encrypt") == "strict" and trusts_all:
        problems.append(("trust_server_certificate", "not with encrypt: strict, which always checks; set server_certificate"))
    return problems


def json_schema() -> dict[str, Any]:
    """The settings as JSON Schema, for `--about`."""
    return json_schema_of(Settings)
