"""The answer to a request: the outcomes of its statements as tokens."""

from __future__ import annotations

from pysqlbridge.tds import EnvChangeType, TransactionRequestType, env_change, info, parse_transaction_request

from sandbox.sqlserver.engine.outcomes import Affected, DatabaseChanged, Outcome, Rows, TransactionChanged
from sandbox.sqlserver.engine.session import Session
from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.system.server import NAME
from sandbox.sqlserver.types.stored_values import Parameter
from sandbox.sqlserver.wire import tokens
from sandbox.sqlserver.wire.channel import Channel
from sandbox.sqlserver.wire.rows import encode_rows
from sandbox.sqlserver.wire.rpc import ProcedureCall

_SEND_BYTES = 262_144  # queued bytes from which they are sent amid a result


class Answers:
    """Runs a session's requests and queues their tokens on its channel."""

    def __init__(self, session: Session, channel: Channel) -> None:
        self._session = session
        self._channel = channel
        self._descriptor = 0  # of the transaction, as the client knows it

    def batch(self, sql: str, parameters: dict[str, Parameter], token: int = tokens.DONE) -> None:
        """A batch's tokens; its last DONE says that no more come, inside a procedure its own token follows."""
        inside = token != tokens.DONE
        held: bytes | None = None
        for outcome in self._session.run(sql, parameters):
            if held is not None and not isinstance(outcome, (TransactionChanged, DatabaseChanged)):
                self._channel.out += held
            done = self._outcome(outcome, token)
            held = done if done is not None else held
        if held is None:
            held = tokens.done(token, 0)
        if inside:
            self._channel.out += held
        else:
            status = int.from_bytes(held[1:3], "little") & ~tokens.MORE
            self._channel.out += held[:1] + status.to_bytes(2, "little") + held[3:]

    def _outcome(self, outcome: Outcome, token: int) -> bytes | None:
        """Queue a statement's tokens; its DONE is returned, because only the next one tells whether more follow."""
        if isinstance(outcome, TransactionChanged):
            self.transaction_changed(outcome.what)
            return None
        if isinstance(outcome, DatabaseChanged):
            self._channel.out += env_change(EnvChangeType.DATABASE, outcome.name, self._session.store.database)
            self._channel.out += info(5701, f"Changed database context to '{outcome.name}'.", state=2, server=NAME)
            return None
        if isinstance(outcome, Affected):
            if outcome.count is not None:
                self._session.rowcount = outcome.count
            return tokens.done(token, tokens.MORE, outcome.count, outcome.word)
        count = self._rows(outcome)
        self._session.rowcount = count
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
                if len(self._channel.out) > _SEND_BYTES:
                    self._channel.flush(last=False)
                    self._channel.check_cancelled()
        finally:
            batches.close()
        return count

    def call(self, call: ProcedureCall, more: bool) -> None:
        """One procedure call of an RPC request; `more` follow."""
        prepared = self._session.prepared
        handle: bytes = b""
        if call.procedure == "sp_executesql":
            self.batch(str(call.value(0)), call.named(str(call.value(1) or ""), 2), tokens.DONE_IN_PROCEDURE)
        elif call.procedure in ("sp_prepexec", "sp_prepare"):
            number = len(prepared) + 1
            declared, sql = str(call.value(1) or ""), str(call.value(2))
            prepared[number] = (declared, sql)
            handle = tokens.return_handle(number)
            if call.procedure == "sp_prepexec":
                self.batch(sql, call.named(declared, 3), tokens.DONE_IN_PROCEDURE)
        elif call.procedure == "sp_execute":
            found = prepared.get(int(call.value(0)))
            if found is None:
                raise SqlError(8179, f"Could not find prepared statement with handle {call.value(0)}.")
            declared, sql = found
            self.batch(sql, call.named(declared, 1), tokens.DONE_IN_PROCEDURE)
        elif call.procedure == "sp_unprepare":
            prepared[int(call.value(0))] = ("", "")  # its number is not given out again
        else:
            raise NotSupported(f"procedure {call.procedure}")
        self._channel.out += tokens.return_status() + handle
        self._channel.out += tokens.done(tokens.DONE_PROCEDURE, tokens.MORE if more else 0)

    def transaction_request(self, payload: bytes) -> None:
        """A request of the transaction manager: begin, commit or roll back."""
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
            self.transaction_changed(outcome.what)
        self._channel.out += tokens.done(tokens.DONE, 0)

    def transaction_changed(self, what: str) -> None:
        """Queue the ENVCHANGE by which a client knows its transaction."""
        if what == "begin":
            self._descriptor += 1
            self._channel.out += env_change(EnvChangeType.BEGIN_TRAN, self._descriptor.to_bytes(8, "little"), b"")
            return
        kind = EnvChangeType.COMMIT_TRAN if what == "commit" else EnvChangeType.ROLLBACK_TRAN
        self._channel.out += env_change(kind, b"", self._descriptor.to_bytes(8, "little"))
