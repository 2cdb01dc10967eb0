"""One client connection: its login, then requests until it leaves."""

from __future__ import annotations

import logging
import socket
import ssl
from contextlib import suppress

import duckdb
from pysqlbridge.tds import Login7, Message, PacketStatus, PacketType, TdsProtocolError, parse_sql_batch

from sandbox.sqlserver.engine.answers import Answers
from sandbox.sqlserver.engine.faults import Cut
from sandbox.sqlserver.engine.login import Credentials, admitted, client_of, greeting, read_login
from sandbox.sqlserver.engine.session import Session
from sandbox.sqlserver.engine.store import Store
from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.system.server import NAME
from sandbox.sqlserver.wire import tokens
from sandbox.sqlserver.wire.channel import Cancelled, Channel
from sandbox.sqlserver.wire.rpc import parse_calls

log = logging.getLogger(__name__)


class Connection:
    """Blocking, one thread per connection."""

    def __init__(self, sock: socket.socket, store: Store, context: ssl.SSLContext, credentials: Credentials) -> None:
        self._sock = sock
        self._channel = Channel(sock, context)
        self._store = store
        self._credentials = credentials
        self._session: Session | None = None

    def serve(self) -> None:
        """Serves the client until it leaves or breaks the protocol."""
        try:
            session = self._log_in() if self._channel.handshake() else None
            if session is not None:
                answers = Answers(session, self._channel)
                while (message := self._channel.message()) is not None:
                    self._answer(message, session, answers)
        except (TdsProtocolError, OSError, ssl.SSLError) as problem:
            log.debug("connection %s ended: %s", self._channel.spid, problem)
        finally:
            if self._session is not None:
                self._store.sessions.leave(self._channel.spid)
                self._session.close()
            self._sock.close()

    def _log_in(self) -> Session | None:
        """None when the client has left or is refused."""
        message = read_login(self._channel)
        if message is None:
            return None
        login = Login7.parse(message.payload)
        try:
            name = admitted(login, self._channel, self._store, self._credentials)
        except SqlError as refused:
            self._channel.out += tokens.sql_error(refused, NAME) + tokens.done(tokens.DONE, tokens.ERROR)
            self._channel.flush(last=True)
            return None
        client = client_of(name, login, message, self._sock, self._store, self._channel.keeps_tls)
        self._channel.spid = self._store.sessions.enter(client, self._kill)
        self._session = Session(self._store, client)
        packet_size = min(max(login.packet_size or 4_096, 512), 32_767)
        self._channel.out += greeting(login.database or self._store.database, packet_size)
        self._channel.flush(last=True)
        self._channel.packet_size = packet_size
        return self._session

    def _kill(self) -> None:
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        if self._session is not None:
            self._session.interrupt()

    def _answer(self, message: Message, session: Session, answers: Answers) -> None:
        """Raises Cut, TdsProtocolError or OSError where the connection is over; sends every other error to the client."""
        if message.status & (PacketStatus.RESET_CONNECTION | PacketStatus.RESET_CONNECTION_SKIP_TRAN):
            session.reset()
        session.cancelled.clear()
        try:
            self._run(message, session, answers)
        except (Cancelled, duckdb.InterruptException) as problem:
            if not isinstance(problem, Cancelled):
                self._channel.await_attention()
            self._channel.out += tokens.done(tokens.DONE, tokens.ATTENTION)
        except SqlError as problem:
            self._send_error(problem, tokens.DONE_PROCEDURE if message.type is PacketType.RPC else tokens.DONE, session, answers)
        except Cut as cut:
            self._channel.send_torn(whole=cut.between_rows)
            raise
        except (TdsProtocolError, OSError):
            raise
        except Exception as problem:
            log.exception("a request failed")
            self._channel.out += tokens.sql_error(SqlError(50_000, f"sandbox: {type(problem).__name__}: {problem}"), NAME)
            self._channel.out += tokens.done(tokens.DONE, tokens.ERROR)
        self._channel.flush(last=True)

    def _run(self, message: Message, session: Session, answers: Answers) -> None:
        if message.type is PacketType.SQL_BATCH:
            with self._store.attention.watching(self._sock, session.interrupt):
                answers.batch(parse_sql_batch(message.payload), {})
        elif message.type is PacketType.RPC:
            calls = parse_calls(message.payload)
            with self._store.attention.watching(self._sock, session.interrupt):
                for number, call in enumerate(calls, start=1):
                    answers.call(call, more=number < len(calls))
        elif message.type is PacketType.TRANSACTION_MANAGER:
            answers.transaction_request(message.payload)
        elif message.type is PacketType.ATTENTION:
            raise Cancelled
        else:
            raise NotSupported(f"the packet {message.type.name}")

    def _send_error(self, problem: SqlError, token: int, session: Session, answers: Answers) -> None:
        """Queues an error, and rolls back where it ends the transaction. Raises Cut after one that ends the connection."""
        self._channel.out += tokens.sql_error(problem, NAME)
        if problem.aborts and session.transaction.count:
            list(session.end("rollback"))
            answers.transaction_changed("rollback")
        self._channel.out += tokens.done(token, tokens.ERROR)
        if problem.fatal:
            self._channel.flush(last=True)
            raise Cut from None
