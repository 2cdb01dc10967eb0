"""The login: whether to accept it, and what an accepted client is told."""

from __future__ import annotations

import hmac
import logging
import socket
from dataclasses import dataclass

from pysqlbridge.tds import EnvChangeType, Login7, Message, PacketType, env_change, info, login_ack, sspi_token
from pysqlbridge.tds.login import INTEGRATED_SECURITY, deobfuscate_password

from sandbox.sqlserver.engine.faults import Cut
from sandbox.sqlserver.engine.store import Store
from sandbox.sqlserver.errors import login_failed, no_database, untrusted_domain
from sandbox.sqlserver.system.server import NAME, Client
from sandbox.sqlserver.types.temporal import now_datetime
from sandbox.sqlserver.wire import tokens
from sandbox.sqlserver.wire.channel import Channel
from sandbox.sqlserver.wire.gssapi import Acceptor, NotTrusted

log = logging.getLogger(__name__)
_TYPE_FLAGS, _READ_ONLY = 26, 0x20  # the byte in LOGIN7, and its bit for ApplicationIntent=ReadOnly


@dataclass(frozen=True)
class Credentials:
    """The one SQL login the server knows and, with a keytab, the one Windows login (`DOMAIN\\name`)."""

    user: str
    password: str
    windows_login: str = ""
    acceptor: Acceptor | None = None

    def admit(self, user: str, password: str) -> bool:
        """Whether they are right, in the same time for any wrong password."""
        same = hmac.compare_digest(password.encode(), self.password.encode())
        return user.lower() == self.user.lower() and same


def windows_name(principal: str) -> str:
    """`DOMAIN\\name` of name@REALM: a domain's short name is its first label, unless Active Directory was told another."""
    name, _, realm = principal.rpartition("@")
    return f"{realm.partition('.')[0].upper()}\\{name}"


def read_login(channel: Channel) -> Message | None:
    """The next message, which must be LOGIN7; None when the client has left."""
    message = channel.message()
    if message is None or message.type is not PacketType.LOGIN7:
        return None
    channel.login_is_over()
    return message


def is_integrated(login: Login7) -> bool:
    """Whether the client logs in by tickets, not by a password."""
    return bool(login.option_flags2 & INTEGRATED_SECURITY)


def admitted(login: Login7, channel: Channel, store: Store, credentials: Credentials) -> str:
    """Who has logged in. Raises SqlError for who is refused, and Cut where a fault cuts the connection."""
    fault = store.faults.login()
    if fault is not None and fault.close and fault.error is None:
        raise Cut
    if fault is not None and fault.error is not None:
        raise fault.error
    name = str(login.user_name)
    if is_integrated(login):
        name = _integrated(login, channel, credentials)
    elif not credentials.admit(name, deobfuscate_password(login.password)):
        raise login_failed(name)
    if login.database and login.database.lower() not in (store.database.lower(), "master"):
        raise no_database(login.database)
    return name


def _integrated(login: Login7, channel: Channel, credentials: Credentials) -> str:
    """The Windows login that the client's tickets prove (MS-TDS 2.2.7.22). Raises SqlError."""
    if credentials.acceptor is None:
        raise untrusted_domain()
    try:
        principal, answer = credentials.acceptor.accept(login.sspi)
    except NotTrusted as problem:
        log.warning("an integrated login was refused: %s", problem)
        raise untrusted_domain() from None
    name = windows_name(principal)
    if name.lower() != credentials.windows_login.lower():
        raise login_failed(name)
    if answer:  # a message of its own: so the driver reads it, and goes on reading without a word
        channel.out += sspi_token(answer)
        channel.flush(last=True)
    return name


def client_of(name: str, login: Login7, message: Message, sock: socket.socket, store: Store, encrypted: bool) -> Client:
    """The client as it introduces itself; its session id comes later."""
    address, port = sock.getpeername()[:2]
    intent = "ReadOnly" if message.payload[_TYPE_FLAGS] & _READ_ONLY else "ReadWrite"
    return Client(
        spid=0,
        login=name,
        auth_scheme="KERBEROS" if is_integrated(login) else "SQL",
        app=login.app_name,
        host=login.host_name,
        database=store.database,
        encrypted=encrypted,
        intent=intent,
        address=address,
        port=port,
        since=now_datetime(),
    )


def greeting(database: str, packet_size: int) -> bytes:
    """The tokens of a login that was accepted."""
    return b"".join(
        [
            env_change(EnvChangeType.DATABASE, database, "master"),
            info(5701, f"Changed database context to '{database}'.", state=2, server=NAME),
            env_change(EnvChangeType.SQL_COLLATION, tokens.COLLATION, b""),
            env_change(EnvChangeType.LANGUAGE, "us_english"),
            info(5703, "Changed language setting to us_english.", server=NAME),
            login_ack(version=(16, 0, 4000)),
            env_change(EnvChangeType.PACKET_SIZE, str(packet_size), "4096"),
            tokens.done(tokens.DONE, 0),
        ]
    )
