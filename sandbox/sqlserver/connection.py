"""One client connection: PRELOGIN, TLS, login, then requests until it leaves."""

from __future__ import annotations

import hmac
import logging
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
from pysqlbridge.tds import (
    Encryption,
    EnvChangeType,
    Login7,
    Message,
    PacketStatus,
    PacketType,
    Prelogin,
    TdsProtocolError,
    TlsTunnel,
    TransactionRequestType,
    build_message,
    env_change,
    info,
    login_ack,
    parse_sql_batch,
    parse_transaction_request,
    reassemble,
    server_response,
    wrap_handshake,
)
from pysqlbridge.tds.login import deobfuscate_password
from pysqlbridge.tds.prelogin import Version

from sandbox.sqlserver import calls, tokens
from sandbox.sqlserver.encode import encode_rows
from sandbox.sqlserver.errors import NotSupported, SqlError, login_failed, no_database
from sandbox.sqlserver.facts import Client, moment
from sandbox.sqlserver.faults import Cut
from sandbox.sqlserver.queries import Parameter
from sandbox.sqlserver.session import Affected, Database, Outcome, Rows, Session, Transaction
from sandbox.sqlserver.store import Store

log = logging.getLogger(__name__)
SERVER = "SANDBOX"
_PACKETS = 256  # sent at once
_TLS_RECORD = 0x16  # the first byte of a TLS handshake
_VERSION = Version(16, 0, 4000)


@dataclass(frozen=True)
class Credentials:
    """The one login the server knows."""

    user: str
    password: str

    def admit(self, user: str, password: str) -> bool:
        """Whether they are right; takes the same time for any wrong password."""
        same = hmac.compare_digest(password.encode(), self.password.encode())
        return user.lower() == self.user.lower() and same


class Cancelled(Exception):
    """The client sent ATTENTION while an answer was on its way."""


class Connection:
    """Blocking, one thread per connection."""

    def __init__(self, sock: socket.socket, store: Store, context: ssl.SSLContext, credentials: Credentials) -> None:
        self._sock = sock
        self._store = store
        self._context = context
        self._credentials = credentials
        self._received = bytearray()
        self._tunnel: TlsTunnel | None = None
        self._encrypted = False
        self._packet_size = 4_096
        self._packet_id = 1
        self._spid = 0
        self._descriptor = 0
        self._session: Session | None = None
        self._out = bytearray()

    def serve(self) -> None:
        """Until the client leaves or breaks the protocol."""
        try:
            if self._handshake() and self._login():
                while (message := self._message()) is not None:
                    self._answer(message)
        except (TdsProtocolError, OSError, ssl.SSLError) as problem:
            log.debug("connection %s ended: %s", self._spid, problem)
        finally:
            if self._session is not None:
                self._store.leave(self._spid)
                self._session.close()
            self._sock.close()

    # bytes

    def _message(self) -> Message | None:
        """The next whole message; None when the client has left."""
        while True:
            message = reassemble(bytes(self._received)) if self._received else None
            if message is not None:
                del self._received[: message.consumed]
                return message
            if not self._receive():
                return None

    def _receive(self) -> bool:
        data = self._sock.recv(65_536)
        if data:
            clear = self._tunnel is not None and self._encrypted and self._tunnel.handshake_complete
            self._received += self._tunnel.unwrap(data) if clear and self._tunnel is not None else data
        return bool(data)

    def _flush(self, last: bool) -> None:
        """Send what is queued: whole packets, and the rest when it is the message's end."""
        body = self._packet_size - 8
        count = len(self._out) // body
        if last and count * body == len(self._out) and count:
            count -= 1
        whole = np.frombuffer(self._out, dtype=np.uint8, count=count * body).reshape(count, body)
        for start in range(0, count, _PACKETS):
            self._send(self._packets(whole[start : start + _PACKETS]))
        rest = bytes(memoryview(self._out)[count * body :])
        self._out = bytearray(rest)
        if last:
            self._send(self._header(1, len(rest)) + rest)
            self._out = bytearray()
            self._packet_id = 1

    def _packets(self, bodies: npt.NDArray[np.uint8]) -> bytes:
        """Full packets, none of them the message's last."""
        packets = np.empty((len(bodies), self._packet_size), dtype=np.uint8)
        packets[:, 8:] = bodies
        packets[:, :8] = np.frombuffer(self._header(0, self._packet_size - 8), dtype=np.uint8)
        packets[:, 6] = (self._packet_id + np.arange(len(bodies))) % 256
        self._packet_id += len(bodies)
        return packets.tobytes()

    def _header(self, status: int, length: int) -> bytes:
        """Of an answer's packet; status 1 marks the message's last."""
        numbers = (length + 8).to_bytes(2, "big") + self._spid.to_bytes(2, "big")
        return bytes([4, status]) + numbers + bytes([self._packet_id % 256, 0])

    def _send(self, data: bytes) -> None:
        self._sock.sendall(self._tunnel.wrap(data) if self._encrypted and self._tunnel is not None else data)

    def _check_cancelled(self) -> None:
        """Look for an ATTENTION without waiting."""
        while select.select([self._sock], [], [], 0)[0]:
            if not self._receive():
                raise ConnectionResetError("client left")
            message = reassemble(bytes(self._received))
            if message is not None and message.type is PacketType.ATTENTION:
                del self._received[: message.consumed]
                raise Cancelled

    def _await_attention(self) -> None:
        """Whoever spoke while a statement ran has sent ATTENTION, or some of it, or has left."""
        message = self._message()
        if message is None:
            raise ConnectionResetError("client left")
        if message.type is not PacketType.ATTENTION:
            raise TdsProtocolError(f"{message.type.name} while a statement runs")

    # login

    def _handshake(self) -> bool:
        if not self._receive():
            return False
        if self._received[0] == _TLS_RECORD:
            return self._strict_handshake()
        message = self._message()
        if message is None or message.type is not PacketType.PRELOGIN:
            return False
        asked = Prelogin.parse(message.payload)
        keep = asked.encryption in (Encryption.ON, Encryption.REQUIRED)
        if asked.encryption is Encryption.NOT_SUPPORTED:
            # like a server with Force Encryption off, but the login is always inside TLS here
            return False
        answer = server_response(version=_VERSION, encryption=Encryption.ON if keep else Encryption.OFF, asked=asked)
        self._sock.sendall(b"".join(build_message(PacketType.TABULAR_RESULT, answer.build())))
        tunnel = TlsTunnel(self._context)
        while not tunnel.handshake_complete:
            message = self._message()
            if message is None:
                return False
            try:
                records = tunnel.advance_handshake(message.payload)
            except Exception as problem:
                log.debug("TLS handshake: %s", problem)
                return False
            if records:
                self._sock.sendall(b"".join(wrap_handshake(records)))
        self._tunnel = tunnel
        self._encrypted = True
        if self._received:
            early = bytes(self._received)
            self._received = bytearray(tunnel.unwrap(early))
        # with encryption off the tunnel covers the login packet alone
        self._keep = keep
        return True

    def _strict_handshake(self) -> bool:
        """TDS 8: TLS around everything, from the first byte (MS-TDS 3.3.5.1); the client's PRELOGIN comes inside."""
        tunnel = TlsTunnel(self._context)
        while True:
            data = bytes(self._received)
            self._received.clear()
            try:
                records = tunnel.advance_handshake(data)
            except Exception as problem:
                log.debug("TLS handshake: %s", problem)
                return False
            if records:
                self._sock.sendall(records)
            if tunnel.handshake_complete:
                break
            if not self._receive():
                return False
        self._tunnel, self._encrypted, self._keep = tunnel, True, True
        self._received += tunnel.unwrap(b"")
        message = self._message()
        if message is None or message.type is not PacketType.PRELOGIN:
            return False
        answer = server_response(version=_VERSION, encryption=Encryption.ON, asked=Prelogin.parse(message.payload))
        self._send(b"".join(build_message(PacketType.TABULAR_RESULT, answer.build())))
        return True

    def _login(self) -> bool:
        message = self._message()
        if message is None or message.type is not PacketType.LOGIN7:
            return False
        self._encrypted = self._keep
        login = Login7.parse(message.payload)
        refused: SqlError | None = None
        fault = self._store.faults.login()
        if fault is not None and fault.close and fault.error is None:
            raise Cut
        if fault is not None and fault.error is not None:
            refused = fault.error
        elif login.uses_integrated_auth or not self._credentials.admit(login.user_name, deobfuscate_password(login.password)):
            refused = login_failed(login.user_name)
        elif login.database and login.database.lower() not in (self._store.database.lower(), "master"):
            refused = no_database(login.database)
        if refused is not None:
            self._out += _error(refused) + tokens.done(tokens.DONE, tokens.ERROR)
            self._flush(last=True)
            return False
        address, port = self._sock.getpeername()[:2]
        self._client = Client(
            0,
            login.user_name,
            login.app_name,
            login.host_name,
            self._store.database,
            self._keep,
            "ReadOnly" if message.payload[26] & 0x20 else "ReadWrite",
            address,
            port,
            since=moment(),
        )
        self._spid = self._store.enter(self._client, self._kill)
        told = {"login": login.user_name, "app": login.app_name, "host": login.host_name}
        self._session = Session(self._store, self._spid, told, self._client)
        database = login.database or self._store.database
        size = min(max(login.packet_size or 4_096, 512), 32_767)
        self._out += b"".join(
            [
                env_change(EnvChangeType.DATABASE, database, "master"),
                info(5701, f"Changed database context to '{database}'.", state=2, server=SERVER),
                env_change(EnvChangeType.SQL_COLLATION, tokens.COLLATION, b""),
                env_change(EnvChangeType.LANGUAGE, "us_english"),
                info(5703, "Changed language setting to us_english.", server=SERVER),
                login_ack(version=(16, 0, 4000)),
                env_change(EnvChangeType.PACKET_SIZE, str(size), "4096"),
                tokens.done(tokens.DONE, 0),
            ]
        )
        self._flush(last=True)
        self._packet_size = size
        return True

    def _kill(self) -> None:
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        if self._session is not None:
            self._session.interrupt()

    # requests

    def _answer(self, message: Message) -> None:
        assert self._session is not None
        if message.status & (PacketStatus.RESET_CONNECTION | PacketStatus.RESET_CONNECTION_SKIP_TRAN):
            self._session.reset()
        self._session.cancelled.clear()
        try:
            if message.type is PacketType.SQL_BATCH:
                with self._store.watch.over(self._sock, self._session.interrupt):
                    self._batch(parse_sql_batch(message.payload), {}, tokens.DONE)
            elif message.type is PacketType.RPC:
                requests = calls.parse(message.payload)
                with self._store.watch.over(self._sock, self._session.interrupt):
                    for number, request in enumerate(requests):
                        self._call(request, more=number + 1 < len(requests))
            elif message.type is PacketType.TRANSACTION_MANAGER:
                self._transaction(message.payload)
            elif message.type is PacketType.ATTENTION:
                raise Cancelled
            else:
                raise NotSupported(f"the packet {message.type.name}")
        except (Cancelled, duckdb.InterruptException) as problem:
            if not isinstance(problem, Cancelled):
                self._await_attention()
            self._out += tokens.done(tokens.DONE, tokens.ATTENTION)
        except SqlError as problem:
            token = tokens.DONE_PROCEDURE if message.type is PacketType.RPC else tokens.DONE
            self._out += _error(problem)
            if problem.aborts and self._session.trancount:
                list(self._session.end("rollback"))
                self._out += self._changed("rollback")
            self._out += tokens.done(token, tokens.ERROR)
            if problem.fatal:
                self._flush(last=True)
                raise Cut from None
        except Cut as cut:
            self._flush(last=False)
            rest = self._out if cut.between_rows else self._out[:-1]
            if rest:
                self._send(self._header(0, len(rest)) + rest)
            raise
        except (TdsProtocolError, OSError):
            raise
        except Exception as problem:
            log.exception("a request failed")
            self._out += _error(SqlError(50_000, f"sandbox: {type(problem).__name__}: {problem}"))
            self._out += tokens.done(tokens.DONE, tokens.ERROR)
        self._flush(last=True)

    def _batch(self, sql: str, parameters: dict[str, Parameter], token: int) -> None:
        """A batch's tokens; its last DONE says that no more come, inside a procedure its own token follows."""
        assert self._session is not None
        inside = token != tokens.DONE
        outcomes: Iterator[Outcome] = self._session.run(sql, parameters)
        held: bytes | None = None
        for outcome in outcomes:
            if held is not None and not isinstance(outcome, (Transaction, Database)):
                self._out += held
            held_next = self._outcome(outcome, token)
            held = held_next if held_next is not None else held
        if held is None:
            held = tokens.done(token, 0)
        if inside:
            self._out += held
        else:
            status = int.from_bytes(held[1:3], "little") & ~tokens.MORE
            self._out += held[:1] + status.to_bytes(2, "little") + held[3:]

    def _outcome(self, outcome: Outcome, token: int) -> bytes | None:
        """Queue a statement's tokens; its DONE is returned, because only the next one tells whether more follow."""
        assert self._session is not None
        if isinstance(outcome, Transaction):
            self._out += self._changed(outcome.what)
            return None
        if isinstance(outcome, Database):
            self._out += env_change(EnvChangeType.DATABASE, outcome.name, self._store.database)
            self._out += info(5701, f"Changed database context to '{outcome.name}'.", state=2, server=SERVER)
            return None
        if isinstance(outcome, Affected):
            if outcome.count is not None:
                self._session.facts["rowcount"] = outcome.count
            return tokens.done(token, tokens.MORE, outcome.count, outcome.word)
        count = self._rows(outcome)
        self._session.facts["rowcount"] = count
        return tokens.done(token, tokens.MORE, count)

    def _rows(self, rows: Rows) -> int:
        self._out += tokens.col_metadata(rows.columns)
        kinds = [kind for _, kind in rows.columns]
        count = 0
        batches = (batch for batch in rows.batches)
        try:
            for batch in batches:
                self._out += encode_rows(batch, kinds)
                count += batch.num_rows
                if len(self._out) > 262_144:
                    self._flush(last=False)
                    self._check_cancelled()
        finally:
            batches.close()
        return count

    def _call(self, call: calls.Call, more: bool) -> None:
        assert self._session is not None
        session = self._session
        handle: bytes = b""
        if call.procedure == "sp_executesql":
            self._batch(str(call.value(0)), call.named(str(call.value(1) or ""), 2), tokens.DONE_IN_PROCEDURE)
        elif call.procedure in ("sp_prepexec", "sp_prepare"):
            number = len(session.prepared) + 1
            declared, sql = str(call.value(1) or ""), str(call.value(2))
            session.prepared[number] = declared + "\0" + sql
            handle = tokens.return_handle(number)
            if call.procedure == "sp_prepexec":
                self._batch(sql, call.named(declared, 3), tokens.DONE_IN_PROCEDURE)
        elif call.procedure == "sp_execute":
            found = session.prepared.get(int(call.value(0)))
            if found is None:
                raise SqlError(8179, f"Could not find prepared statement with handle {call.value(0)}.")
            declared, _, sql = found.partition("\0")
            self._batch(sql, call.named(declared, 1), tokens.DONE_IN_PROCEDURE)
        elif call.procedure == "sp_unprepare":
            session.prepared[int(call.value(0))] = "\0"
        else:
            raise NotSupported(f"procedure {call.procedure}")
        self._out += tokens.return_status() + handle
        self._out += tokens.done(tokens.DONE_PROCEDURE, tokens.MORE if more else 0)

    def _transaction(self, payload: bytes) -> None:
        assert self._session is not None
        request = parse_transaction_request(payload)
        if request.kind is TransactionRequestType.BEGIN_XACT:
            outcomes = self._session.begin()
        elif request.kind is TransactionRequestType.COMMIT_XACT:
            outcomes = self._session.end("commit")
        elif request.kind is TransactionRequestType.ROLLBACK_XACT:
            outcomes = self._session.end("rollback")
        else:
            raise NotSupported(f"the transaction request {request.kind.name}")
        for outcome in outcomes:
            assert isinstance(outcome, Transaction)
            self._out += self._changed(outcome.what)
        self._out += tokens.done(tokens.DONE, 0)

    def _changed(self, what: str) -> bytes:
        """The ENVCHANGE by which a client knows its transaction."""
        if what == "begin":
            self._descriptor += 1
            return bytes(env_change(EnvChangeType.BEGIN_TRAN, self._descriptor.to_bytes(8, "little"), b""))
        kind = EnvChangeType.COMMIT_TRAN if what == "commit" else EnvChangeType.ROLLBACK_TRAN
        return bytes(env_change(kind, b"", self._descriptor.to_bytes(8, "little")))


def _error(problem: SqlError) -> bytes:
    return tokens.error(problem.number, problem.severity, problem.state, str(problem)[:4_000], SERVER)
