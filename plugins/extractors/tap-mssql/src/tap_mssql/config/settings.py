"""The tap's settings: a superset of the published tap-mssql's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from singer_arrow import settings
from singer_arrow.bookmarks import OnNewColumn
from singer_arrow.documents import OnDelete
from singer_arrow.settings import Secret, no_secret
from tap_mssql.config import patterns, stream_options
from tap_mssql.config.queries import Query
from tap_mssql.config.stream_options import StreamOptions

PROGRAM = "tap-mssql"
_FLATTENING = ("enabled", "max_depth", "max_key_length", "separator")
BUILT_IN = frozenset(  # the SDK's own settings
    {"batch_config", "stream_maps", "stream_map_config", "faker_config", *(f"flattening_{name}" for name in _FLATTENING)}
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


class Settings(settings.Settings, kw_only=True, frozen=True):
    """Checked before any connection is opened. Times are in seconds, sizes in rows unless a name says otherwise."""

    ignored: ClassVar[frozenset[str]] = BUILT_IN
    fixed: ClassVar[Mapping[str, bool]] = {"use_date_datatype": True, "use_singer_decimal": True, "enable_tds_logging": False}

    host: Annotated[
        str, Meta(description="Name or address of the server; `name\\instance` for a named one.", examples=["db.example.com"])
    ]
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port; another one than 1433 wins over an instance's name.")] = 1433
    database: Annotated[str, Meta(description="Database to read.", examples=["AdventureWorks"])]
    authentication: Annotated[
        Literal["sql", "kerberos", "service_principal", "managed_identity", "default"],
        Meta(
            description="Who logs in: a SQL login, a Windows account by its Kerberos ticket, an Entra application, the machine's "
            "identity, or the first that Azure finds."
        ),
    ] = "sql"
    user: Annotated[str, Meta(description="SQL login (authentication: sql).", examples=["reader"])] = ""
    password: Annotated[Secret, Meta(description="Its password.")] = no_secret()
    client_id: Annotated[
        str, Meta(description="Entra application, or a user-assigned managed identity.", examples=["0a1b2c3d-…"])
    ] = ""
    client_secret: Annotated[Secret, Meta(description="The application's secret (authentication: service_principal).")] = (
        no_secret()
    )
    server_spn: Annotated[
        str,
        Meta(
            description="Service principal name of the server (authentication: kerberos); MSSQLSvc/host:port unless set.",
            examples=["MSSQLSvc/db.example.com:1433"],
        ),
    ] = ""
    tenant: Annotated[str, Meta(description="Entra tenant of the application; the server says it when unset.")] = ""
    encrypt: Annotated[Literal["yes", "strict", "no"], Meta(description="TLS: yes, strict (TDS 8) or no (login only).")] = "yes"
    trust_server_certificate: Annotated[
        bool, Meta(description="True accepts any certificate: use it only on a network that you trust.")
    ] = False
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
        int, Meta(ge=0, description="Seconds that one operation may wait in total for errors that pass by themselves.")
    ] = 300

    streams: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
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
        tuple[StreamOptions, ...],
        Meta(
            description="Options of the streams that a pattern names; where several match, later ones add to earlier ones.",
            examples=[[{"pattern": "Sales.*", "replication_key": "ModifiedDate"}]],
        ),
    ] = ()
    queries: Annotated[
        tuple[Query, ...],
        Meta(
            description="Streams that are a SELECT of one's own, read like a view.",
            examples=[[{"name": "Sales.OpenOrders", "sql": "SELECT … FROM … WHERE …", "key": ["SalesOrderID"]}]],
        ),
    ] = ()
    default_replication_method: Annotated[
        Literal["FULL_TABLE", "INCREMENTAL", "LOG_BASED", "auto"],
        Meta(
            description="Method of streams that name neither a method nor a replication key. LOG_BASED: what SQL Server's Change "
            "Tracking says. auto: LOG_BASED where it is on, INCREMENTAL by a rowversion, else FULL_TABLE."
        ),
    ] = "FULL_TABLE"
    deletes: Annotated[
        OnDelete,
        Meta(
            description="What becomes in Delta of rows that a LOG_BASED stream finds deleted: they go, or stay with the time "
            "in the column _deleted_at."
        ),
    ] = "apply"
    on_schema_drift: Annotated[
        Literal["fail", "evolve"],
        Meta(description="What to do when a table changes after discovery: fail, or read it again with its new columns."),
    ] = "fail"
    on_unreadable: Annotated[
        Literal["fail", "skip"],
        Meta(description="What to do with selected columns that cannot be read, for their type or for want of permission."),
    ] = "fail"
    on_new_column: Annotated[
        OnNewColumn,
        Meta(
            description="What an incremental stream does about a column it has not read before: read all rows once more, or "
            "leave it NULL in older rows (in YAML with quotes: 'null')."
        ),
    ] = "backfill"
    on_null_replication_key: Annotated[
        Literal["fail", "skip"],
        Meta(
            description="What an incremental stream without a key does about rows that have no value in the replication key, "
            "which no load could tell from those it has read: fail, or leave them out, counted in the notes."
        ),
    ] = "fail"
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
        Literal["auto", "always", "never"], Meta(description="SNAPSHOT isolation: auto uses it where the database allows it.")
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
    def dataset_namespace(self) -> str:
        """The server, as OpenLineage's naming specification has it."""
        return f"mssql://{self.host}" if self.by_browser else f"mssql://{self.host}:{self.port}"

    @property
    def by_browser(self) -> bool:
        """Whether the driver learns a named instance's port from SQL Server Browser."""
        return "\\" in self.host and self.port == 1433

    def options_of(self, schema: str, table: str) -> StreamOptions:
        """What `stream_options` says about a table: all patterns that match it, a later one over an earlier one."""
        return stream_options.merged(each for each in self.stream_options if patterns.matches(each.pattern, (schema, table)))

    @classmethod
    def prepared(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """An address in brackets is an address; `stream_options` may be an object with a key for each pattern."""
        changed = dict(config)
        if isinstance(host := changed.get("host"), str):
            changed["host"] = _host(host.strip()) or host
        if "stream_options" in changed:
            changed["stream_options"] = stream_options.as_list(changed["stream_options"])
        return changed

    @classmethod
    def contradictions(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """What types cannot tell: the host, what a login needs, how a certificate is checked, options split by Meltano."""
        if values.get("host") and not _host(values["host"]):
            yield "host", "must be a name or an address alone; the port is a setting of its own"
        names = [query.name.lower() for query in values.get("queries") or () if isinstance(query, Query)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            yield "queries", f"names {', '.join(twice)} twice"
        yield from _login(values)
        yield from _tls(values)


def parse(config: Mapping[str, Any]) -> Settings:
    """Checks a configuration. Raises SettingsRefused naming every wrong setting; unset ones take their default."""
    return Settings.parse(config, PROGRAM)


def _host(text: str) -> str:
    """The name or address alone; empty text for what holds anything else, such as a port."""
    name = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    return "" if any(c in name for c in ",;{}=[]\0") or name.count(":") == 1 else name


def _login(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What each way to log in needs, and what it has no use for."""
    mode = values.get("authentication")
    needed = {"sql": ("user", "password"), "service_principal": ("client_id", "client_secret")}.get(str(mode), ())
    for name in needed:
        if name in values and not values[name]:
            yield name, f"is missing; authentication: {mode} needs it"
    if mode == "kerberos" and values.get("user"):
        yield "user", "is not used by authentication: kerberos, which logs in whose ticket it is; remove it"
    if mode and mode != "kerberos" and values.get("server_spn"):
        yield "server_spn", f"is not used by authentication: {mode}; remove it, or set authentication to kerberos"
    if mode and mode != "sql" and values.get("password"):
        yield "password", f"is not used by authentication: {mode}; remove it, or set authentication to sql"
    if mode and mode != "service_principal" and values.get("client_secret"):
        yield "client_secret", f"is not used by authentication: {mode}; remove it, or set authentication to service_principal"


def _tls(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """How the server's certificate is to be checked."""
    certificate, trusts_all = values.get("server_certificate"), values.get("trust_server_certificate")
    if certificate and not certificate.is_file():
        yield "server_certificate", f"names {certificate}, and there is no such file"
    if certificate and trusts_all:
        yield "server_certificate", "and trust_server_certificate exclude each other; set one of them"
    if values.get("encrypt") == "strict" and trusts_all:
        yield "trust_server_certificate", "cannot be true with encrypt: strict, which always checks; set server_certificate"
