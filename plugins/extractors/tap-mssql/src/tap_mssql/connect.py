"""Connections: the driver's connection string, and its refusals in words."""

from __future__ import annotations

import os
import re
from typing import Any

import mssql_python

from tap_mssql.errors import ConnectionRefused, TapError
from tap_mssql.settings import Settings

Connection = mssql_python.Connection


def connection_string(settings: Settings) -> str:
    """The driver's connection string (learn.microsoft.com, ODBC keywords); values in braces, so that none can add a keyword."""
    server = settings.host if "\\" in settings.host else f"{settings.host},{settings.port}"
    pairs = {
        "Server": f"tcp:{server}",
        "Database": settings.database,
        "UID": settings.user,
        "PWD": settings.password.get_secret_value(),
        "Encrypt": settings.encrypt,
        "TrustServerCertificate": "yes" if settings.trust_server_certificate else "no",
        "ApplicationIntent": settings.application_intent,
        "MultiSubnetFailover": "yes" if settings.multi_subnet_failover else "no",
    }
    if settings.server_certificate and settings.encrypt == "strict":
        pairs["ServerCertificate"] = str(settings.server_certificate)
    if settings.host_name_in_certificate:
        pairs["HostNameInCertificate"] = settings.host_name_in_certificate
    return ";".join(f"{key}={_braced(value)}" for key, value in pairs.items()) + ";"


def _braced(value: str) -> str:
    return "{" + value.replace("}", "}}") + "}"


def connect(settings: Settings) -> Connection:
    """Opens a connection, autocommit on. Raises ConnectionRefused within `login_timeout` seconds, saying what to mend."""
    if settings.server_certificate:
        # The driver takes ServerCertificate with Encrypt=strict only; else its OpenSSL trusts what this variable names.
        os.environ["SSL_CERT_FILE"] = str(settings.server_certificate)
    try:
        connection = mssql_python.connect(connection_string(settings), autocommit=True, timeout=settings.login_timeout)
    except (mssql_python.Error, RuntimeError) as error:
        raise refusal(settings, error) from None
    if settings.query_timeout:
        connection.timeout = settings.query_timeout
    return connection


_REASONS: tuple[tuple[str, str], ...] = (
    (
        r"Failed to load the driver|libltdl|libodbc",
        "the driver needs system libraries: apt-get install libltdl7 libkrb5-3 libgssapi-krb5-2",
    ),
    (r"Login failed for user", "the login was refused: check TAP_MSSQL_USER and TAP_MSSQL_PASSWORD"),
    (r"Cannot open database", "the database does not exist or this login may not open it: check TAP_MSSQL_DATABASE"),
    (
        r"certificate|SSL Provider|TLS|self.signed",
        "the server's certificate is not trusted: set TAP_MSSQL_SERVER_CERTIFICATE to its PEM file "
        "(or, only where nobody can listen, TAP_MSSQL_TRUST_SERVER_CERTIFICATE to true)",
    ),
    (
        r"TCP Provider|timeout|refused|No such host|not known|network|server is not found",
        "the server does not answer: check TAP_MSSQL_HOST and TAP_MSSQL_PORT",
    ),
)


def refusal(settings: Settings, error: Exception) -> TapError:
    """The driver's error as ConnectionRefused: where, why, what to do; never the connection string."""
    text = driver_text(error)
    advice = next((words for pattern, words in _REASONS if re.search(pattern, text, re.IGNORECASE)), "see the driver's words")
    where = f"{settings.host},{settings.port}, database {settings.database!r}"
    return ConnectionRefused(f"SQL Server at {where}: {advice}. The driver says: {text}. Nothing was read.")


def driver_text(error: Any) -> str:
    """The driver's own words on one line, without its bracketed product names."""
    text = str(getattr(error, "ddbc_error", "") or error)
    return re.sub(r"\s+", " ", re.sub(r"\[(Microsoft|ODBC Driver|SQL Server)[^\]]*\]", "", text)).strip(" .")
