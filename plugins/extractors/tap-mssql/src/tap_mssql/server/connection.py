"""Connections: the driver's connection string, and its refusals in words."""

from __future__ import annotations

import os
from typing import Any

import mssql_python

from tap_mssql.config.settings import Settings
from tap_mssql.errors import ConnectionRefused
from tap_mssql.server.certificate import holds_authority
from tap_mssql.server.libraries import load_libraries
from tap_mssql.server.retry import retrying

_AUTHENTICATION = {
    "service_principal": "ActiveDirectoryServicePrincipal",
    "managed_identity": "ActiveDirectoryMSI",
    "default": "ActiveDirectoryDefault",
}
# English: the messages that known_errors.py lists, and dates that read the same whatever the login's language is.
# Low: where this reader and a writer block each other, the reader gives way and tries again.
_SESSION = "SET LANGUAGE us_english; SET DEADLOCK_PRIORITY LOW;"


class Connection(mssql_python.Connection):
    """The driver's connection, under the application name of the settings.

    The driver sets the keyword APP itself and refuses it in a connection string; the name is replaced where the driver builds
    its final string.
    """

    def __init__(self, settings: Settings, **options: Any) -> None:
        self._application_name = settings.application_name
        super().__init__(connection_string(settings), **options)

    def _construct_connection_string(self, *given: Any, **options: Any) -> tuple[str, dict[str, str]]:
        text, pairs = super()._construct_connection_string(*given, **options)
        pairs["APP"] = self._application_name
        return text.replace("APP=MSSQL-Python", f"APP={_braced(self._application_name)}"), pairs


def connection_string(settings: Settings) -> str:
    """The driver's connection string (learn.microsoft.com, ODBC keywords); values in braces, so that none can add a keyword.

    A broken link is found by TCP keep-alive: the last of the nine probes that Linux sends, a second apart, ends `idle_timeout`.
    The driver's own reconnecting is off: it would go on outside the transaction that a read needs.
    """
    pairs = {
        "Server": f"tcp:{_server(settings)}",
        "Database": settings.database,
        **_login(settings),
        "Encrypt": settings.encrypt,
        "TrustServerCertificate": "yes" if settings.trust_server_certificate else "no",
        "ApplicationIntent": settings.application_intent,
        "MultiSubnetFailover": "yes" if settings.multi_subnet_failover else "no",
        "KeepAlive": str(max(1, settings.idle_timeout - 9)),
        "KeepAliveInterval": "1",
        "ConnectRetryCount": "0",
    }
    if settings.server_certificate and settings.encrypt == "strict" and not holds_authority(settings.server_certificate):
        pairs["ServerCertificate"] = str(settings.server_certificate)
    if settings.host_name_in_certificate:
        pairs["HostNameInCertificate"] = settings.host_name_in_certificate
    return ";".join(f"{key}={_braced(value)}" for key, value in pairs.items()) + ";"


def _server(settings: Settings) -> str:
    name, _, _ = settings.host.partition("\\")
    return settings.host if settings.by_browser else f"{name},{settings.port}"


def _login(settings: Settings) -> dict[str, str]:
    if settings.authentication == "sql":
        return {"UID": settings.user, "PWD": settings.password.reveal()}
    if settings.authentication == "kerberos":  # tickets are the Kerberos library's business: KRB5CCNAME, KRB5_CLIENT_KTNAME
        return {"Trusted_Connection": "yes"} | ({"ServerSPN": settings.server_spn} if settings.server_spn else {})
    if _token_provider_needed(settings):
        return {}
    pairs = {"Authentication": _AUTHENTICATION[settings.authentication]}
    if settings.authentication != "default" and settings.client_id:
        pairs["UID"] = settings.client_id
    if settings.authentication == "service_principal":
        pairs["PWD"] = settings.client_secret.reveal()
    return pairs


def _token_provider_needed(settings: Settings) -> bool:
    """The driver learns an application's tenant from the server and has no keyword for another one."""
    return settings.authentication == "service_principal" and bool(settings.tenant)


def _token_provider(settings: Settings) -> Any:
    if not _token_provider_needed(settings):
        return None
    from azure.identity import ClientSecretCredential

    return ClientSecretCredential(settings.tenant, settings.client_id, settings.client_secret.reveal())


def _braced(value: str) -> str:
    return "{" + value.replace("}", "}}") + "}"


def open_connection(settings: Settings) -> Connection:
    """One attempt at a connection, autocommit on, within `login_timeout` seconds. Raises what the driver raises."""
    load_libraries()
    mssql_python.pooling(enabled=False)  # a broken connection must not come back
    if settings.server_certificate:
        # The driver's OpenSSL trusts what this variable names; the driver itself has no keyword for an authority.
        os.environ["SSL_CERT_FILE"] = str(settings.server_certificate)
    connection = Connection(settings, autocommit=True, timeout=settings.login_timeout, token_provider=_token_provider(settings))
    connection.execute(_SESSION).close()
    if settings.query_timeout:
        connection.timeout = settings.query_timeout
    return connection


def connect(settings: Settings) -> Connection:
    """Opens a connection, autocommit on. Raises ConnectionRefused, saying what to correct.

    A server that does not answer is refused within `login_timeout` seconds; one that says that it is busy, or Azure's that is
    waking up, is waited for as `retry_seconds` allows.
    """
    for attempt in retrying(settings, f"SQL Server at {settings.where}", first=True, failure=ConnectionRefused):
        with attempt:
            return open_connection(settings)
    raise AssertionError("retrying returns or raises")
