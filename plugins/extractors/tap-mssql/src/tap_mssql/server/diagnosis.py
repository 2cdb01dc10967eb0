"""What a driver's error means: whether it passes by itself, and what to do about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from tap_mssql.server.known_errors import KnownError

# Text, which `re` compiles when it is first searched for: a good run searches for none.
_SQLSTATE = r"(?m)^SQLSTATE:(\w{5}):"
_BRACKETED = r"\[(Microsoft|ODBC Driver|SQL Server)[^\]]*\]"
_LIBRARIES = r"(?i)Failed to load the driver|libltdl|libodbc|lib\w+\.so"
_TLS = r"(?i)certificate|SSL Provider|\bTLS\b|self.signed|\bSSL\b"
_OTHER_NAME = r"(?i)subject name does not match host name"
_NO_INSTANCE = r"(?i)Error Locating Server/Instance"
_NO_NAME = r"(?i)0x2AF9|0x2AFA|No such host|Name or service not known"
_NO_ANSWER = r"(?i)TCP Provider|Login timeout|refused|server is not found|network"
_LINK = (
    r"(?i)Communication link failure|08S01|08003|08007|Connection not open|Connection failure during transaction|TCP Provider"
    r"|connection is broken|connection (is|was|has been|already) closed|closed connection|Connection handle not allocated"
    r"|Physical connection is not usable|forcibly closed|Error code 0x(2745|2746|274C|274D|68|6E|6F|E9|102)\b"
)
_TIMED_OUT = r"(?i)Timeout expired|timeout period|HYT0[01]"
_ENTRA = r"(?i)Entra ID|Azure AD|AADSTS|azure-identity|Credential"


class Fault(Struct, frozen=True):
    """A diagnosed error. `number` is SQL Server's, where its message is known; `pause` the least seconds to wait before a try."""

    transient: bool
    what: str
    advice: str
    number: int | None = None
    pause: float = 0


_UNKNOWN = Fault(False, "the server refused the statement", "read the server's message; if it says nothing to you, report this")


def diagnose(error: BaseException, *, azure: bool = False, first: bool = False) -> Fault:
    """Diagnoses an error of the driver (an mssql_python.Error, or a RuntimeError of its native part).

    `azure`: the host is one of Azure's, where "cannot open database" means that it wakes up. `first`: nothing was ever read from
    this server, so what does not answer is taken for wrongly configured instead of being waited for.
    """
    from tap_mssql.server.kerberos_errors import kerberos_error  # both compile many patterns, which a good run never needs
    from tap_mssql.server.known_errors import KNOWN_ERRORS

    text = f"{getattr(error, 'driver_error', '')} {driver_text(error)} {_state(error)}"
    if known := next((k for k in KNOWN_ERRORS if k.pattern.search(text)), None):
        return _known(known, azure)
    if kerberos := kerberos_error(text):
        return Fault(kerberos.passes and not first, kerberos.what, kerberos.advice)
    if first:
        return _unreachable(text)
    if re.search(_TIMED_OUT, text):
        return Fault(True, "the server did not answer in time", "run again, or raise query_timeout")
    if re.search(_LINK, text):
        return Fault(True, "the connection broke", "run again; check the network if it keeps breaking")
    if re.search(r"Serialization failure|40001", text):
        return Fault(True, "the server gave up the transaction", "run again; it passes by itself")
    return _unreachable(text) if re.search(_TLS, text) or re.search(_ENTRA, text) else _UNKNOWN


def _known(known: KnownError, azure: bool) -> Fault:
    if known.azure and azure:
        return Fault(True, "the database is not available yet; Azure may be waking it up", known.advice, known.number, pause=1)
    return Fault(known.transient, known.what, known.advice, known.number, known.pause)


def _unreachable(text: str) -> Fault:
    if re.search(_LIBRARIES, text):
        return Fault(
            False,
            "the driver needs system libraries",
            "scripts/setup pipeline puts them into the project's folder; in an image: apt-get install libltdl7 libkrb5-3 "
            "libgssapi-krb5-2",
        )
    if re.search(_ENTRA, text):
        return Fault(False, "Entra issued no token", "check authentication, client_id, client_secret and tenant")
    if re.search(_OTHER_NAME, text):
        return Fault(
            False,
            "the server's certificate was issued for another name",
            "set TAP_MSSQL_HOST_NAME_IN_CERTIFICATE to the name in it, or TAP_MSSQL_HOST to that name",
        )
    if re.search(_TLS, text):
        return Fault(
            False,
            "the server's certificate is not trusted",
            "set TAP_MSSQL_SERVER_CERTIFICATE to the PEM file of its authority (or, only on a network that you trust, "
            "TAP_MSSQL_TRUST_SERVER_CERTIFICATE to true)",
        )
    if re.search(_NO_INSTANCE, text):
        advice = "check the instance's name in TAP_MSSQL_HOST and that UDP 1434 is open, or set TAP_MSSQL_PORT instead"
        return Fault(False, "SQL Server Browser knows no such instance", advice)
    if re.search(_NO_NAME, text):
        return Fault(False, "there is no such host", "check TAP_MSSQL_HOST")
    if re.search(_NO_ANSWER, text) or re.search(_LINK, text) or re.search(_TIMED_OUT, text):
        return Fault(False, "the server does not answer", "check TAP_MSSQL_HOST and TAP_MSSQL_PORT")
    return _UNKNOWN


def _state(error: BaseException) -> str:
    found = re.search(_SQLSTATE, str(error))
    return found[1] if found else ""


def driver_text(error: Any) -> str:
    """The driver's own words on one line, without its bracketed product names."""
    text = str(getattr(error, "ddbc_error", "") or error)
    return re.sub(r"\s+", " ", re.sub(_BRACKETED, "", re.sub(_SQLSTATE, "", text))).strip(" .")
