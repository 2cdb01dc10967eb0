"""What a server's TLS offers, asked for without a login: protocol, certificate, and whether it is trusted.

MS-TDS, 2.2.6.5 PRELOGIN: up to TDS 7.4 the handshake's records travel in packets of type 0x12; TDS 8 (Encrypt=strict) is
plain TLS.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from tap_mssql.server.certificate import holds_authority

PRELOGIN, END_OF_MESSAGE = 0x12, 0x01
HEADER = struct.Struct(">BBHHBB")  # type, status, length with these 8 bytes, spid, packet number, window
# Option 0 is a version, option 1 is encryption with the value 1: on; 0xFF ends the list.
OPTIONS = struct.pack(">BHHBHHB6sB", 0, 11, 6, 1, 17, 1, 0xFF, bytes(6), 1)
NOT_SUPPORTED = 2


class Offer(Struct, frozen=True):
    """`untrusted` says why the certificate is not trusted, empty where it is. `protocol` is empty where the server has no TLS."""

    protocol: str = ""
    untrusted: str = ""


def ask(host: str, port: int, *, strict: bool, authority: Path | None, name: str, timeout: float) -> Offer:
    """Shakes hands; `authority` is the PEM file to trust, `name` what the certificate must be made for. Raises OSError."""
    context = ssl.create_default_context(cafile=authority)
    if strict and authority and not holds_authority(authority):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the server's own certificate, whoever signed it
    context.check_hostname = not _is_address(name)
    try:
        return Offer(_protocol(context, host, port, strict, name, timeout))
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message
    except _OtherName as error:
        why = str(error)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return Offer(_protocol(context, host, port, strict, name, timeout), why)


def _protocol(context: ssl.SSLContext, host: str, port: int, strict: bool, name: str, timeout: float) -> str:
    with socket.create_connection((host, port), timeout) as sock:
        if strict:
            context.set_alpn_protocols(["tds/8.0"])
            with context.wrap_socket(sock, server_hostname=name) as wrapped:
                return _accepted(wrapped, context, name)
        sock.sendall(_packet(OPTIONS))
        if _encryption(_payload(sock)) == NOT_SUPPORTED:
            return ""
        return _wrapped(context, sock, name)


def _wrapped(context: ssl.SSLContext, sock: socket.socket, name: str) -> str:
    received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(received, to_send, server_hostname=name)
    while _needs_more(tls.do_handshake):
        if to_send.pending:
            sock.sendall(_packet(to_send.read()))
        received.write(_payload(sock))
    return _accepted(tls, context, name)


class _OtherName(Exception):
    """The certificate is not for the address."""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _accepted(tls: ssl.SSLObject | ssl.SSLSocket, context: ssl.SSLContext, name: str) -> str:
    """The protocol. Raises _OtherName for an address that the certificate does not name, where Python has not looked."""
    if context.verify_mode == ssl.CERT_REQUIRED and not context.check_hostname and not is_named(tls.getpeercert() or {}, name):
        raise _OtherName(f"it does not name {name} among its DNS names, and the driver does not look at its IP addresses")
    return tls.version() or ""


def is_named(certificate: Mapping[str, Any], address: str) -> bool:
    """Whether the driver takes a certificate for an address: one of its DNS names, or, without any alternative name, its CN.

    An entry of the kind IP address does not count (measured with msodbcsql 18, Encrypt=yes and strict). `certificate` as
    ssl.SSLSocket.getpeercert gives it.
    """
    others = certificate.get("subjectAltName", ())
    common = [value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"]
    return address in ([value for kind, value in others if kind == "DNS"] if others else common)


def _needs_more(handshake: Callable[[], None]) -> bool:
    try:
        handshake()
    except ssl.SSLWantReadError:
        return True
    return False


def _packet(payload: bytes) -> bytes:
    return HEADER.pack(PRELOGIN, END_OF_MESSAGE, HEADER.size + len(payload), 0, 0, 0) + payload


def _payload(sock: socket.socket) -> bytes:
    length: int = HEADER.unpack(_exactly(sock, HEADER.size))[2]
    return _exactly(sock, max(0, length - HEADER.size))


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise ConnectionResetError("the server ended the connection: it may not be a SQL Server")
        data += more
    return data


def _encryption(answer: bytes) -> int:
    """The encryption option's value in a PRELOGIN answer; as not supported where it has none."""
    at = 0
    while at + 5 <= len(answer) and answer[at] != 0xFF:
        option, offset, _ = struct.unpack_from(">BHH", answer, at)
        if option == 1 and offset < len(answer):
            return int(answer[offset])
        at += 5
    return NOT_SUPPORTED
