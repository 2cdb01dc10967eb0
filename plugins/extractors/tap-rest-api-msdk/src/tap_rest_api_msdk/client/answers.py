"""What is asked and what is answered: plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

from msgspec import Struct, field

from tap_rest_api_msdk.errors import Unreadable

_UNQUOTED = "%/:=&?~#+!$,;'@()*[]"
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class Request(Struct, frozen=True):
    """A GET: `params` go into the address, or as JSON into the body. `behind`: the page may be behind the last one."""

    url: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    in_body: bool = False
    behind: bool = False

    @property
    def address(self) -> str:
        """The address with its query; lists are repeated parameters, None is left out."""
        given = {} if self.in_body else {name: value for name, value in self.params.items() if value is not None}
        query = urlencode(given, doseq=True, safe="", quote_via=quote)  # a blank is %20, which signatures of AWS need
        joint = "&" if "?" in self.url else "?"
        return quote(self.url + (joint + query if query else ""), safe=_UNQUOTED)


class Answer(Struct, frozen=True):
    """Status, headers by their names in lower case, and the unpacked body. `url` has no query and no credentials."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def json(self) -> bytes:
        """The body as UTF-8 without a byte order mark. Raises Unreadable where it is not text of the charset it names."""
        for mark, charset in _BOMS:
            if self.body.startswith(mark):
                return _utf8(self.body, charset)
        charset = _charset(self.headers.get("content-type", ""))
        return self.body if charset in ("", "utf-8", "utf8", "us-ascii") else _utf8(self.body, charset)

    @property
    def links(self) -> Mapping[str, str]:
        """The Link header's addresses by relation (RFC 8288)."""
        return dict(_links(self.headers.get("link", "")))


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what credentials are for."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)


_origin_of_base = cache(origin)  # there is one, or a few: it is asked for with each request


def is_same(url: str, base: str) -> bool:
    """Whether an address is of the same host as another, where credentials may go; never from https to http."""
    there, here = origin(url), _origin_of_base(base)
    return there == here or (there[0] == "https" and here[0] == "http" and (there[1], there[2], here[2]) == (here[1], 443, 80))


def joined(url: str, target: str) -> str:
    """Where a link or a redirect leads from an address. Raises ValueError, which may show it, for what is no address."""
    found = urljoin(url, target)
    origin(found)
    return found


def without_query(url: str) -> str:
    """The address as messages show it."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _charset(content_type: str) -> str:
    for part in content_type.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return ""


def _utf8(body: bytes, charset: str) -> bytes:
    try:
        return body.decode(charset).encode()
    except (LookupError, ValueError) as error:
        raise Unreadable(f"its text is not {charset}: {error}") from error


def _links(header: str) -> Iterator[tuple[str, str]]:
    rest = header.strip()
    while rest.startswith("<"):
        address, _, rest = rest[1:].partition(">")
        words, _, rest = _until_comma(rest)
        for word in words.split(";"):
            name, _, value = word.partition("=")
            if name.strip().lower() == "rel":
                yield from ((relation.lower(), address) for relation in value.strip().strip('"').split())
        rest = rest.strip()


def _until_comma(text: str) -> tuple[str, str, str]:
    """Text up to a comma outside quotes."""
    quoted = False
    for at, sign in enumerate(text):
        quoted ^= sign == '"'
        if sign == "," and not quoted:
            return text[:at], ",", text[at + 1 :]
    return text, "", ""
