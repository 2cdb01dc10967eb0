"""One request over the network: an answer within its time and size, or why there is none. Nothing is tried again here."""

from __future__ import annotations

import os
import ssl
import threading
import time
import zlib
from collections.abc import Mapping
from functools import cache
from http.client import HTTPException
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from tap_rest_api_msdk.client import deadlines
from tap_rest_api_msdk.client.answers import Answer, without_query
from tap_rest_api_msdk.errors import NoAnswer, TooLarge, Unreadable

_CONNECT_SECONDS = 10.0
_CHUNK = 1 << 20
_WHOLE = 16 << 20  # bytes of an answer that are read in one go, where it says how many they are
_moment = threading.local()  # of this thread's request: when its answer is due, in monotonic seconds, and its socket


class _InTime:
    """A connection whose answer's head is due: a server that sends it byte by byte would otherwise never time out."""

    sock: Any

    def getresponse(self) -> Any:
        _moment.sock = self.sock
        with deadlines.Until(getattr(_moment, "due", None), self.sock):
            return super().getresponse()  # type: ignore[misc]


class _Http(_InTime, HTTPConnection):
    pass


class _Https(_InTime, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class Transport:
    """Connections to any host, kept for the next request. `timeout`: seconds of a whole answer; `size`: its bytes, unpacked."""

    def __init__(self, timeout: float, size: int, parallel: int, ca_file: str = "", proxy: str = "") -> None:
        self._timeout, self._size, self._parallel = timeout, size, parallel
        self._ca_file, self._proxy = ca_file, proxy
        self._managers: dict[tuple[str, bool], urllib3.PoolManager] = {}
        self._pools: dict[tuple[str, str], HTTPConnectionPool] = {}  # of hosts without a proxy
        self._lock = threading.Lock()

    def send(self, url: str, headers: Mapping[str, str], body: bytes | None, method: str = "GET") -> Answer:
        """The answer, whatever its status. Raises NoAnswer, TooLarge, or Unreadable where it was cut or cannot be unpacked."""
        _moment.due = due = time.monotonic() + self._timeout
        timeout = urllib3.Timeout(connect=min(_CONNECT_SECONDS, self._timeout), read=self._timeout)
        try:
            pool, target = self._pool(url)
            answer = pool.urlopen(
                method, target, body=body, headers=dict(headers), timeout=timeout, retries=False, redirect=False,
                assert_same_host=False, preload_content=False, decode_content=False,
            )  # fmt: skip
            try:
                with deadlines.Until(due, _moment.sock):
                    content = self._content(answer, due)
                answer.release_conn()
            except BaseException:
                answer.close()
                raise
        except urllib3.exceptions.SSLError as error:
            refused = _caused_by(error, ssl.SSLCertVerificationError)
            raise NoAnswer(f"TLS failed: {_words(error)}", is_final=refused is not None) from error
        except urllib3.exceptions.ProxyError as error:
            raise NoAnswer(f"the proxy {self._proxy_name(url)} gives no connection: {_words(error)}") from error
        except (urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
            if time.monotonic() >= due or _caused_by(error, TimeoutError):
                raise NoAnswer(f"no whole answer within {self._timeout:g} s (request_timeout_seconds)") from error
            raise NoAnswer(f"no connection, or one that broke: {_words(error)}") from error
        named = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, answer.reason or "", named, content, without_query(url))

    def _content(self, answer: Any, due: float) -> bytes:
        packed = answer.headers.get("Content-Encoding", "").strip().lower()
        unpack = _Unpacked(packed, self._size) if packed not in ("", "identity") else None
        parts: list[bytes] = []
        size, chunk_size = 0, min(answer.length_remaining or _CHUNK, self._size + 1, _WHOLE)
        while chunk := answer.read(chunk_size):
            part = unpack.feed(chunk) if unpack else chunk
            size += len(part)
            if size > self._size:
                raise TooLarge(f"an answer is larger than {self._size // 10**6} MB (max_response_mb)")
            parts.append(part)
        if time.monotonic() >= due:  # an answer without a length ends where the connection was cut
            raise NoAnswer(f"no whole answer within {self._timeout:g} s (request_timeout_seconds)")
        if unpack:
            unpack.ended()
        return b"".join(parts)

    def _pool(self, url: str) -> tuple[Any, str]:
        """What sends a request to an address, and what it is to ask for there."""
        parts = urlsplit(url)
        if "@" in parts.netloc or parts.path.startswith("//") or "/." in parts.path or self._proxy_for(url):
            return self._manager(url), url  # which takes these apart
        pool = self._pools.get((parts.scheme, parts.netloc))
        if pool is None:
            pool = self._manager(url).connection_from_url(url)
            self._pools[parts.scheme, parts.netloc] = pool
        return pool, (parts.path or "/") + ("?" + parts.query if parts.query else "")

    def _manager(self, url: str) -> urllib3.PoolManager:
        proxy = self._proxy_for(url)
        is_secure = "https" in (urlsplit(url).scheme, urlsplit(proxy).scheme)
        with self._lock:
            if (proxy, is_secure) not in self._managers:
                self._managers[proxy, is_secure] = self._made(proxy, is_secure)
            return self._managers[proxy, is_secure]

    def _proxy_for(self, url: str) -> str:
        parts = urlsplit(url)
        return self._proxy or _proxy_of(parts.scheme, parts.hostname or "")

    def _proxy_name(self, url: str) -> str:
        return urlsplit(self._proxy_for(url)).netloc.rpartition("@")[2]

    def _made(self, proxy: str, is_secure: bool) -> urllib3.PoolManager:
        given: dict[str, Any] = {"maxsize": self._parallel + 1}
        if is_secure:  # reading the system's certificates is a tenth of a start
            given["ssl_context"] = context(self._ca_file)
        if proxy:
            parts = urlsplit(proxy)
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
            address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
            manager: urllib3.PoolManager = urllib3.ProxyManager(
                address, proxy_headers=urllib3.make_headers(proxy_basic_auth=login) if login else None, **given
            )
        else:
            manager = urllib3.PoolManager(**given)
        manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
        return manager


def context(ca_file: str) -> ssl.SSLContext:
    """Which certificates are trusted: those of a file, else of SSL_CERT_FILE or the system, else those that certifi brings."""
    made = ssl.create_default_context(cafile=ca_file or None)
    paths = ssl.get_default_verify_paths()
    if not ca_file and not (os.environ.get("SSL_CERT_FILE") or paths.cafile or paths.capath):
        import certifi

        made.load_verify_locations(certifi.where())
    return made


class _Unpacked:
    """gzip or deflate, unpacked piece by piece: never more than `size` bytes at once."""

    def __init__(self, packed: str, size: int) -> None:
        if packed not in ("gzip", "x-gzip", "deflate"):
            raise Unreadable(f"it is packed as {packed[:40]!r}, which was not asked for")
        self._is_gzip, self._size = packed != "deflate", size
        self._one: Any = None

    def feed(self, chunk: bytes) -> bytes:
        found = b""
        while chunk:
            if self._one is None or (self._one.eof and self._is_gzip):
                self._one = zlib.decompressobj(47 if self._is_gzip or chunk[0] & 15 == 8 else -15)
            try:
                found += self._one.decompress(chunk, self._size + 1 - len(found))
            except zlib.error as error:
                raise Unreadable(f"it cannot be unpacked: {error}") from error
            if self._one.unconsumed_tail or len(found) > self._size:
                break  # it is too large
            chunk = self._one.unused_data if self._one.eof else b""
        return found

    def ended(self) -> None:
        if self._one is not None and not self._one.eof:
            raise Unreadable("it ends before what is packed in it")


@cache
def _proxy_of(scheme: str, host: str) -> str:
    """The proxy that the environment names for a host; empty for none."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return ""
    import urllib.request  # only here: few need it, and it takes its time

    if urllib.request.proxy_bypass(host):
        return ""
    found = urllib.request.getproxies_environment().get(scheme, "")
    return found if "://" in found or not found else f"http://{found}"


def _caused_by(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    while error is not None:
        if isinstance(error, kind):
            return error
        inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
        error = error.__cause__ or error.__context__ or inner
    return None


def _words(error: BaseException) -> str:
    """The innermost cause's own words, which never hold query parameters."""
    cause = error
    while True:
        inner = cause.__cause__ or cause.__context__
        inner = inner or next((each for each in cause.args if isinstance(each, BaseException)), None)
        if inner is None:
            break
        cause = inner
    return getattr(cause, "verify_message", None) or getattr(cause, "strerror", None) or type(cause).__name__
