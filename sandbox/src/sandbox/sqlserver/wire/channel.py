"""The bytes of one connection: packets of messages, inside TLS or not (MS-TDS 2.2.3, 3.3.5.1; TDS 7.4 and TDS 8)."""

from __future__ import annotations

import logging
import select
import socket
import ssl

import numpy as np
import numpy.typing as npt
from pysqlbridge.tds import (
    Encryption,
    Message,
    PacketType,
    Prelogin,
    TdsProtocolError,
    TlsTunnel,
    build_message,
    reassemble,
    server_response,
    wrap_handshake,
)
from pysqlbridge.tds.prelogin import Version

log = logging.getLogger(__name__)
_PACKETS = 256  # sent at once
_TLS_RECORD = 0x16  # the first byte of a TLS handshake
_VERSION = Version(16, 0, 4000)


class Cancelled(Exception):
    """The client sent ATTENTION while an answer was on its way."""


class Channel:
    """Messages in, an answer's bytes out: what is put into `out` is sent in packets by `flush`."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._context = context
        self._received = bytearray()
        self._tunnel: TlsTunnel | None = None
        self._encrypted = False
        self._packet_id = 1
        self.packet_size = 4_096
        self.spid = 0
        self.keeps_tls = False  # whether TLS goes on after the login
        self.out = bytearray()

    def message(self) -> Message | None:
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

    def flush(self, last: bool) -> None:
        """Send what is queued: whole packets, and the rest when it is the message's end."""
        body = self.packet_size - 8
        count = len(self.out) // body
        if last and count * body == len(self.out) and count:
            count -= 1
        whole = np.frombuffer(self.out, dtype=np.uint8, count=count * body).reshape(count, body)
        for start in range(0, count, _PACKETS):
            self._send(self._packets(whole[start : start + _PACKETS]))
        rest = bytes(memoryview(self.out)[count * body :])
        self.out = bytearray(rest)
        if last:
            self._send(self._header(1, len(rest)) + rest)
            self.out = bytearray()
            self._packet_id = 1

    def _packets(self, bodies: npt.NDArray[np.uint8]) -> bytes:
        """Full packets, none of them the message's last."""
        packets = np.empty((len(bodies), self.packet_size), dtype=np.uint8)
        packets[:, 8:] = bodies
        packets[:, :8] = np.frombuffer(self._header(0, self.packet_size - 8), dtype=np.uint8)
        packets[:, 6] = (self._packet_id + np.arange(len(bodies))) % 256
        self._packet_id += len(bodies)
        return packets.tobytes()

    def _header(self, status: int, length: int) -> bytes:
        """Of an answer's packet; status 1 marks the message's last."""
        numbers = (length + 8).to_bytes(2, "big") + self.spid.to_bytes(2, "big")
        return bytes([4, status]) + numbers + bytes([self._packet_id % 256, 0])

    def _send(self, data: bytes) -> None:
        self._sock.sendall(self._tunnel.wrap(data) if self._encrypted and self._tunnel is not None else data)

    def check_cancelled(self) -> None:
        """Look for an ATTENTION without waiting."""
        while select.select([self._sock], [], [], 0)[0]:
            if not self._receive():
                raise ConnectionResetError("client left")
            message = reassemble(bytes(self._received))
            if message is not None and message.type is PacketType.ATTENTION:
                del self._received[: message.consumed]
                raise Cancelled

    def await_attention(self) -> None:
        """Whoever spoke while a statement ran has sent ATTENTION, or some of it, or has left."""
        message = self.message()
        if message is None:
            raise ConnectionResetError("client left")
        if message.type is not PacketType.ATTENTION:
            raise TdsProtocolError(f"{message.type.name} while a statement runs")

    def login_is_over(self) -> None:
        """With encryption off the tunnel covers the login packet alone."""
        self._encrypted = self.keeps_tls

    def send_torn(self, whole: bool) -> None:
        """What is queued, without the end of its message and, unless `whole`, without its last byte."""
        self.flush(last=False)
        rest = self.out if whole else self.out[:-1]
        if rest:
            self._send(self._header(0, len(rest)) + rest)

    def handshake(self) -> bool:
        """PRELOGIN and TLS; False when the client leaves or speaks neither TDS 7.4 nor 8."""
        if not self._receive():
            return False
        if self._received[0] == _TLS_RECORD:
            return self._strict_handshake()
        message = self.message()
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
            message = self.message()
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
        self.keeps_tls = keep
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
        self._tunnel, self._encrypted, self.keeps_tls = tunnel, True, True
        self._received += tunnel.unwrap(b"")
        message = self.message()
        if message is None or message.type is not PacketType.PRELOGIN:
            return False
        answer = server_response(version=_VERSION, encryption=Encryption.ON, asked=Prelogin.parse(message.payload))
        self._send(b"".join(build_message(PacketType.TABULAR_RESULT, answer.build())))
        return True
