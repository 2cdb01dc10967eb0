"""What MIT's Kerberos library refuses, in the words that the driver hands on behind `SSPI Provider:`, and what to do about it.

Texts: the error tables of MIT krb5 1.20 (lib/krb5/error_tables), English whatever the locale is.
"""

from __future__ import annotations

import re

from msgspec import Struct

KERBEROS = re.compile(r"SSPI Provider")
_GUIDE = "docs/how-to-log-in-with-kerberos.md"


class KerberosError(Struct, frozen=True):
    """`passes`: another try may go well, where the server was read from before."""

    pattern: re.Pattern[str]
    what: str
    advice: str
    passes: bool = False


def _error(pattern: str, what: str, advice: str, passes: bool = False) -> KerberosError:
    return KerberosError(re.compile(pattern, re.I), what, advice, passes)


_ANY = _error("", "Kerberos refused the login", f"read Kerberos' message; {_GUIDE} says what a login needs")
_ERRORS = (  # the first that matches: most have one sentence in common, that there are no credentials
    _error(
        r"Cannot (contact any|find|resolve network address for) KDC",
        "no Kerberos server (KDC) answers",
        "check the realm and its kdc in krb5.conf (KRB5_CONFIG), and that port 88 is open from here",
        passes=True,
    ),
    _error(
        r"Server \S+ not found in Kerberos database",
        "the domain knows no such service principal name",
        "set TAP_MSSQL_HOST to the full name that the server is registered by, or TAP_MSSQL_SERVER_SPN to the name that "
        "`setspn -L` shows for the account it runs as",
    ),
    _error(
        r"Client \S+ not found in Kerberos database",
        "the domain does not know the keytab's account",
        "make the keytab anew, with the account's name and realm as the domain has them",
    ),
    _error(
        r"Preauthentication failed|Password incorrect|Password has expired|Key version",
        "the domain refuses the keytab's key",
        "the account's password has changed or expired: make the keytab anew",
    ),
    _error(r"have been revoked", "the account is disabled or locked", "ask the domain's administrator to enable it"),
    _error(
        r"Ticket expired|Credentials cache .*expired|Ticket has expired",
        "the Kerberos ticket has expired",
        "type kinit again; or set KRB5_CLIENT_KTNAME to a keytab, from which new tickets come by themselves",
    ),
    _error(r"Clock skew too great", "this machine's clock and the domain's differ", "set both clocks by NTP"),
    _error(
        r"Failed to store credentials",
        "the new ticket could not be stored",
        "set KRB5CCNAME to MEMORY:, or to a file that can be written here",
    ),
    _error(
        r"default realm|Kerberos configuration file|Included profile",
        "Kerberos is not configured here",
        "set KRB5_CONFIG to a krb5.conf that names the default realm and its kdc; a container has none of its own",
    ),
    _error(
        r"No Kerberos credentials available|No credentials were supplied",
        "there is no Kerberos ticket",
        "set KRB5_CLIENT_KTNAME to a keytab of the account that logs in, readable here; or KRB5CCNAME to the file that kinit "
        "has written",
    ),
)


def kerberos_error(text: str) -> KerberosError | None:
    """What the text of a driver's error says about Kerberos; None where it is not about that."""
    if not KERBEROS.search(text):
        return None
    return next((error for error in _ERRORS if error.pattern.search(text)), _ANY)
