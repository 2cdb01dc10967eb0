"""What a server can do to an answer on its way: each turns a good reply into one that arrives otherwise."""

from __future__ import annotations

import gzip
import struct
import zlib
from functools import cache

from api_kit.server import Reply, Wire

HTML = b"<html><body>Sign in to continue</body></html>"


def cut(reply: Reply) -> Reply:
    """The connection ends in the body."""
    return reply.but(raw=lambda wire: wire.send(reply.head() + reply.body[: len(reply.body) // 2]))


def reset(reply: Reply) -> Reply:
    """The connection is reset in the body."""

    def send(wire: Wire) -> None:
        wire.send(reply.head() + reply.body[: len(reply.body) // 2])
        wire.reset()

    return reply.but(raw=send)


def closed(reply: Reply) -> Reply:
    """The connection ends without an answer."""
    return reply.but(raw=lambda wire: None)


def truncated(reply: Reply) -> Reply:
    """JSON that breaks off, under a Content-Length that is right for it."""
    return reply.but(reply.body[: len(reply.body) // 2])


def _chunks(body: bytes) -> bytes:
    size = max(len(body) // 3, 1)
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


def chunked(reply: Reply) -> Reply:
    """In chunks; nothing is wrong with it."""
    head = reply.head(Content_Length="", Transfer_Encoding="chunked", Connection="close")
    return reply.but(raw=lambda wire: wire.send(head + _chunks(reply.body) + b"0\r\n\r\n"))


def chunks_cut(reply: Reply) -> Reply:
    """In chunks, and the last one never comes."""
    head = reply.head(Content_Length="", Transfer_Encoding="chunked")
    return reply.but(raw=lambda wire: wire.send(head + _chunks(reply.body)))


def without_length(reply: Reply) -> Reply:
    """As in HTTP/1.0: the body ends with the connection. Nothing is wrong with it."""
    return reply.but(raw=lambda wire: wire.send(reply.head(Content_Length="", Connection="close") + reply.body))


def gzipped(reply: Reply) -> Reply:
    """Nothing is wrong with it."""
    return reply.but(gzip.compress(reply.body), headers={**reply.headers, "Content-Encoding": "gzip"})


def gzip_cut(reply: Reply) -> Reply:
    """gzip that breaks off, under a Content-Length that is right for it."""
    packed = gzipped(reply)
    return packed.but(packed.body[: len(packed.body) // 2])


def not_gzip(reply: Reply) -> Reply:
    """Plain JSON that calls itself gzip."""
    return reply.but(headers={**reply.headers, "Content-Encoding": "gzip"})


@cache
def _bomb(mb: int) -> bytes:
    """A JSON answer of one record with a text of so many MB, as one gzip stream of some thousandth of it."""
    before, after = b'{"total":1,"data":[{"id":1,"name":"', b'","price":1,"at":"2026-01-01T00:00:00"}]}'
    pressed, blank = zlib.compressobj(9, zlib.DEFLATED, -15), b" " * (1 << 20)
    first = pressed.compress(before) + pressed.flush(zlib.Z_FULL_FLUSH)
    block = pressed.compress(blank) + pressed.flush(zlib.Z_FULL_FLUSH)  # stands alone, so it can come again
    last = pressed.compress(after) + pressed.flush(zlib.Z_FINISH)
    check = zlib.crc32(before)
    for _ in range(mb):
        check = zlib.crc32(blank, check)
    length = len(before) + len(after) + (mb << 20)
    tail = struct.pack("<II", zlib.crc32(after, check), length & 0xFFFFFFFF)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + first + block * mb + last + tail


def gzip_bomb(reply: Reply) -> Reply:
    """300 MB in 300 kB."""
    return reply.but(_bomb(300), headers={**reply.headers, "Content-Encoding": "gzip"})


def drip(reply: Reply) -> Reply:
    """A byte of the body each half second: it never takes long until the next one comes."""

    def send(wire: Wire) -> None:
        wire.send(reply.head())
        for at in range(len(reply.body)):
            wire.send(reply.body[at : at + 1])
            wire.hang(0.5)

    return reply.but(raw=send)


def blanks_without_length(reply: Reply) -> Reply:
    """The whole body at once, then a blank three times a second, and only the end of the connection would end it."""

    def send(wire: Wire) -> None:
        wire.send(reply.head(Content_Length="", Connection="close") + reply.body)
        while wire.hang(0.3):
            wire.send(b" ")

    return reply.but(raw=send)


def drip_of_headers(reply: Reply) -> Reply:
    """The same with the headers."""

    def send(wire: Wire) -> None:
        head = reply.head()
        for at in range(len(head)):
            wire.send(head[at : at + 1])
            wire.hang(0.5)

    return reply.but(raw=send)


def silence(reply: Reply) -> Reply:
    """No answer, and the connection stays."""
    return reply.but(raw=lambda wire: wire.hang())


def silence_behind_headers(reply: Reply) -> Reply:
    """Headers, and then nothing."""

    def send(wire: Wire) -> None:
        wire.send(reply.head())
        wire.hang()

    return reply.but(raw=send)


def endless(reply: Reply) -> Reply:
    """An array that never ends, as fast as it is read."""
    head = reply.head(Content_Length="", Connection="close")

    def send(wire: Wire) -> None:
        wire.send(head + b'{"total":1,"data":[{"id":1')
        while True:
            wire.send(b',"id":1' * (1 << 15))

    return reply.but(raw=send)


def endless_chunks(reply: Reply) -> Reply:
    """The same in chunks of white space, which JSON allows anywhere."""
    head = reply.head(Content_Length="", Transfer_Encoding="chunked")

    def send(wire: Wire) -> None:
        wire.send(head)
        while True:
            wire.send(b"10000\r\n" + b" " * (1 << 16) + b"\r\n")

    return reply.but(raw=send)


def endless_headers(reply: Reply) -> Reply:
    """Headers without an end."""

    def send(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            wire.send(b"X-More: and more\r\n" * 1000)

    return reply.but(raw=send)


def no_http(reply: Reply) -> Reply:
    """Another protocol answers."""
    return reply.but(raw=lambda wire: wire.send(b"SSH-2.0-OpenSSH_9.2p1\r\n"))


def too_long_a_length(reply: Reply) -> Reply:
    """A Content-Length above the body, and the connection stays open."""

    def send(wire: Wire) -> None:
        wire.send(reply.head(Content_Length=str(len(reply.body) + 10)) + reply.body)
        wire.hang()

    return reply.but(raw=send)


def html(reply: Reply) -> Reply:
    """A page for people, with status 200."""
    return reply.but(HTML, status=200, headers={"Content-Type": "text/html"}, raw=None)


def with_bom(reply: Reply) -> Reply:
    """A UTF-8 byte order mark before the JSON."""
    return reply.but(b"\xef\xbb\xbf" + reply.body)


def utf_16(reply: Reply) -> Reply:
    """UTF-16 with its byte order mark, and told so."""
    body = reply.body.decode().encode("utf-16")
    return reply.but(body, headers={**reply.headers, "Content-Type": "application/json; charset=utf-16"})


def latin_1(reply: Reply) -> Reply:
    """Bytes that are no UTF-8."""
    return reply.but(reply.body.decode().encode("latin-1"))


def no_content(reply: Reply) -> Reply:
    """204."""
    return reply.but(b"", status=204)


def null(reply: Reply) -> Reply:
    return reply.but(b"null")


def nothing(reply: Reply) -> Reply:
    """200 and no byte of a body."""
    return reply.but(b"")
