"""One client connection: its login, then requests until it leaves."""

from __future__ import annotations

import hmac
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import duckdb
from pysqlbridge.tds import (
    EnvChangeType,
    Login7,
    Message,
    PacketStatus,
    PacketType,
    TdsProtocolError,
    TransactionRequestType,
    env_change,
    info,
    login_ack,
    parse_sql_batch,
    parse_transaction_request,
)
from pysqlbridge.tds.login import deobfuscate_password

from sandbox.sqlserver.engine.faults import Cut
from sandbox.sqlserver.engine.session import Affected, Database, Outcome, Rows, Session, Transaction
from sandbox.sqlserver.engine.store import Store
from sandbox.sqlserver.errors import NotSupported, SqlError, login_failed, no_database
from sandbox.sqlserver.sql.functions.server import Client, moment
from sandbox.sqlserver.sql.queries import Parameter
from sandbox.sqlserver.wire import rpc as calls
from sandbox.sqlserver.wire import tokens
from sandbox.sqlserver.wire.channel import Cancelled, Channel
from sandbox.sqlserver.wire.rows import encode_rows

log = logging.getLogger(__name__)
SERVER = "SANDBOX"


@dataclass(frozen=True)
class Credentials:
    """The one login the server knows."""

    user: str
    password: str

    def admit(self, user: str, password: str) -> bool:
        """Whether they are right; takes the same time for any wrong password."""
        same = hmac.compare_digest(password.encode(), self.password.encode())
        return user.lower() == self.user.lower() and same


class Connection:
    """Blocking, one thread per connection."""

    def __init__(self, sock: socket.socket, store: Store, context: ssl.SSLContext, credentials: Credentials) -> None:
        self._sock = sock
        self._channel = Channel(sock, context)
        self._store = store
        self._credentials = credentials
        self._descriptor = 0
        self._session: Session | None = None

    def serve(self) -> None:
        """Until the client leaves or breaks the protocol."""
        try:
            if self._channel.handshake() and self._login():
                while (message := self._channel.message()) is not None:
                    self._answer(message)
        except (TdsProtocolError, OSError, ssl.SSLError) as problem:
            log.debug("connection %s ended: %s", self._channel.spid, problem)
        finally:
            if self._session is not None:
                self._store.leave(self._channel.spid)
                self._session.close()
            self._sock.close()

    # login

    def _login(self) -> bool:
        message = self._channel.message()
        if message is None or message.type is not PacketType.LOGIN7:
            return False
        self._channel.login_is_over()
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
            self._channel.out += _error(refused) + tokens.done(tokens.DONE, tokens.ERROR)
            self._channel.flush(last=True)
            return False
        address, port = self._sock.getpeername()[:2]
        self._client = Client(
            0,
            login.user_name,
            login.app_name,
            login.host_name,
            self._store.database,
            self._channel.keeps_tls,
            "ReadOnly" if message.payload[26] & 0x20 else "ReadWrite",
            address,
            port,
            since=moment(),
        )
        self._channel.spid = self._store.enter(self._client, self._kill)
        told = {"login": login.user_name, "app": login.app_name, "host": login.host_name}
        self._session = Session(self._store, self._channel.spid, told, self._client)
        database = login.database or self._store.database
        size = min(max(login.packet_size or 4_096, 512), 32_767)
        self._channel.out += b"".join(
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
        self._channel.flush(last=True)
        self._channel.packet_size = size
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
                self._channel.await_attention()
            self._channel.out += tokens.done(tokens.DONE, tokens.ATTENTION)
        except SqlError as problem:
            token = tokens.DONE_PROCEDURE if message.type is PacketType.RPC else tokens.DONE
            self._channel.out += _error(problem)
            if problem.aborts and self._session.trancount:
                list(self._session.end("rollback"))
                self._channel.out += self._changed("rollback")
            self._channel.out += tokens.done(token, tokens.ERROR)
            if problem.fatal:
                self._channel.flush(last=True)
                raise Cut from None
        except Cut as cut:
            self._channel.send_torn(whole=cut.between_rows)
            raise
        except (TdsProtocolError, OSError):
            raise
        except Exception as problem:
            log.exception("a request failed")
            self._channel.out += _error(SqlError(50_000, f"sandbox: {type(problem).__name__}: {problem}"))
            self._channel.out += tokens.done(tokens.DONE, tokens.ERROR)
        self._channel.flush(last=True)

    def _batch(self, sql: str, parameters: dict[str, Parameter], token: int) -> None:
        """A batch's tokens; its last DONE says that no more come, inside a procedure its own token follows."""
        assert self._session is not None
        inside = token != tokens.DONE
        outcomes: Iterator[Outcome] = self._session.run(sql, parameters)
        held: bytes | None = None
        for outcome in outcomes:
            if held is not None and not isinstance(outcome, (Transaction, Database)):
                self._channel.out += held
            held_next = self._outcome(outcome, token)
            held = held_next if held_next is not None else held
        if held is None:
            held = tokens.done(token, 0)
        if inside:
            self._channel.out += held
        else:
            status = int.from_bytes(held[1:3], "little") & ~tokens.MORE
            self._channel.out += held[:1] + status.to_bytes(2, "little") + held[3:]

    def _outcome(self, outcome: Outcome, token: int) -> bytes | None:
        """Queue a statement's tokens; its DONE is returned, because only the next one tells whether more follow."""
        assert self._session is not None
        if isinstance(outcome, Transaction):
            self._channel.out += self._changed(outcome.what)
            return None
        if isinstance(outcome, Database):
            self._channel.out += env_change(EnvChangeType.DATABASE, outcome.name, self._store.database)
            self._channel.out += info(5701, f"Changed database context to '{outcome.name}'.", state=2, server=SERVER)
            return None
        if isinstance(outcome, Affected):
            if outcome.count is not None:
                self._session.facts["rowcount"] = outcome.count
            return tokens.done(token, tokens.MORE, outcome.count, outcome.word)
        count = self._rows(outcome)
        self._session.facts["rowcount"] = count
        return tokens.done(token, tokens.MORE, count)

    def _rows(self, rows: Rows) -> int:
        self._channel.out += tokens.col_metadata(rows.columns)
        kinds = [kind for _, kind in rows.columns]
        count = 0
        batches = (batch for batch in rows.batches)
        try:
            for batch in batches:
                self._channel.out += encode_rows(batch, kinds)
                count += batch.num_rows
                if len(self._channel.out) > 262_144:
                    self._channel.flush(last=False)
                    self._channel.check_cancelled()
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
        self._channel.out += tokens.return_status() + handle
        self._channel.out += tokens.done(tokens.DONE_PROCEDURE, tokens.MORE if more else 0)

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
            self._channel.out += self._changed(outcome.what)
        self._channel.out += tokens.done(tokens.DONE, 0)

    def _changed(self, what: str) -> bytes:
        """The ENVCHANGE by which a client knows its transaction."""
        if what == "begin":
            self._descriptor += 1
            return bytes(env_change(EnvChangeType.BEGIN_TRAN, self._descriptor.to_bytes(8, "little"), b""))
        kind = EnvChangeType.COMMIT_TRAN if what == "commit" else EnvChangeType.ROLLBACK_TRAN
        return bytes(env_change(kind, b"", self._descriptor.to_bytes(8, "little")))


def _error(problem: SqlError) -> bytes:
    return tokens.error(problem.number, problem.severity, problem.state, str(problem)[:4_000], SERVER)
