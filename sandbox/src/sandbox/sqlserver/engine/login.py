"""The login: whether to accept it, and what an accepted client is told."""

from __future__ import annotations

import hmac
import socket
from dataclasses import dataclass

from pysqlbridge.tds import EnvChangeType, Login7, Message, PacketType, env_change, info, login_ack
from pysqlbridge.tds.login import deobfuscate_password

from sandbox.sqlserver.engine.faults import Cut
from sandbox.sqlserver.engine.store import Store
from sandbox.sqlserver.errors import SqlError, login_failed, no_database
from sandbox.sqlserver.system.server import NAME, Client
from sandbox.sqlserver.types.temporal import now_datetime
from sandbox.sqlserver.wire import tokens
from sandbox.sqlserver.wire.channel import Channel

_TYPE_FLAGS, _READ_ONLY = 26, 0x20  # the byte in LOGIN7, and its bit for ApplicationIntent=ReadOnly


@dataclass(frozen=True)
class Credentials:
    """The one login the server knows."""

    user: str
    password: str

    def admit(self, user: str, password: str) -> bool:
        """Whether they are right, in the same time for any wrong password."""
        same = hmac.compare_digest(password.encode(), self.password.encode())
        return user.lower() == self.user.lower() and same


def read_login(channel: Channel) -> Message | None:
    """The next message, which must be LOGIN7; None when the client has left."""
    message = channel.message()
    if message is None or message.type is not PacketType.LOGIN7:
        return None
    channel.login_is_over()
    return message


def refusal(login: Login7, store: Store, credentials: Credentials) -> SqlError | None:
    """Why the login is refused, or None. Raises Cut where a fault cuts the connection."""
    fault = store.faults.login()
    if fault is not None and fault.close and fault.error is None:
        raise Cut
    if fault is not None and fault.error is not None:
        return fault.error
    if login.uses_integrated_auth or not credentials.admit(login.user_name, deobfuscate_password(login.password)):
        return login_failed(login.user_name)
    if login.database and login.database.lower() not in (store.database.lower(), "master"):
        return no_database(login.database)
    return None


def client_of(login: Login7, message: Message, sock: socket.socket, store: Store, encrypted: bool) -> Client:
    """The client as it introduces itself; its session id comes later."""
    address, port = sock.getpeername()[:2]
    intent = "ReadOnly" if message.payload[_TYPE_FLAGS] & _READ_ONLY else "ReadWrite"
    return Client(
        spid=0,
        login=login.user_name,
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
