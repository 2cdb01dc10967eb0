"""Every way of paging that the tap's settings name, spoken honestly; each with the settings that describe it.

What each published style means: the README and source of tap-rest-api-msdk 1.4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from api_kit.server import Reply, Request, Serve
from api_kit.table import Row, Table

Answer = Callable[["Honest", Request], Reply]
PAGE = 10


@dataclass(frozen=True)
class Style:
    """How pages are asked for and found: `settings` for the tap, `answer` for the server."""

    settings: Mapping[str, Any]
    answer: Answer
    has_end: bool  # the server says which page is the last one

    def serve(self, table: Table, cap: int = 10**6, total: bool = True) -> Serve:
        honest = Honest(table, cap, total)
        return lambda request: self.answer(honest, request)


@dataclass
class Honest:
    """A table as pages of at most `cap` rows, with the table's size in each unless `total` is off."""

    table: Table
    cap: int = 10**6
    total: bool = True

    def slice(self, start: int, size: int) -> list[Row]:
        return self.table.rows[start : start + min(size, self.cap)]

    def page(self, start: int, found: list[Row], headers: Mapping[str, str] | None = None, **members: Any) -> Reply:
        total = {"total": len(self.table.rows)} if self.total else {}
        return Reply({"data": found, **total, **members}, headers=headers or {}, start=start, stop=start + len(found))

    def next(self, start: int, found: list[Row]) -> int | None:
        """Where the next page begins; None on the last one."""
        behind = start + len(found)
        return behind if behind < len(self.table.rows) else None


def _number(request: Request, name: str, default: int) -> int:
    return int(request.parameters.get(name, default))


def by_offset(honest: Honest, request: Request) -> Reply:
    start, size = _number(request, "offset", 0), _number(request, "limit", 25)
    return honest.page(start, honest.slice(start, size), offset=start, limit=size)


def by_number(honest: Honest, request: Request) -> Reply:
    size = min(_number(request, "size", PAGE), honest.cap)
    start = (_number(request, "page", 1) - 1) * size
    found = honest.slice(start, size)
    return honest.page(start, found, hasMore=honest.next(start, found) is not None)


def _by_token(honest: Honest, request: Request, name: str = "page") -> tuple[int, list[Row], str | None]:
    """Tokens such as `from-30`, which mean nothing to a client."""
    start = int(request.parameters.get(name, "from-0").removeprefix("from-"))
    found = honest.slice(start, PAGE)
    behind = honest.next(start, found)
    return start, found, None if behind is None else f"from-{behind}"


def by_token(honest: Honest, request: Request) -> Reply:
    start, found, token = _by_token(honest, request)
    return honest.page(start, found, next_page=token)


def by_token_elsewhere(honest: Honest, request: Request) -> Reply:
    start, found, token = _by_token(honest, request, "after")
    return honest.page(start, found, paging={"cursors": {"after": token}})


def by_header(honest: Honest, request: Request) -> Reply:
    start, found, token = _by_token(honest, request)
    return honest.page(start, found, {"X-Next-Page": token} if token else {})


def address(request: Request) -> str:
    """The API's own address, as the client knows it."""
    return f"http://{request.headers['host']}{request.path}"


def by_link(honest: Honest, request: Request) -> Reply:
    """RFC 8288, as GitHub's: page numbers in the links, and other relations beside `next`."""
    size = _number(request, "per_page", PAGE)
    number = _number(request, "page", 1)
    start = (number - 1) * size
    found = honest.slice(start, size)
    links = [f'<{address(request)}?per_page={size}&page=1>; rel="first"']
    if honest.next(start, found) is not None:
        links.insert(0, f'<{address(request)}?note=a,b;c&per_page={size}&page={number + 1}>; rel="next"')
    return honest.page(start, found, {"Link": ", ".join(links)})


def by_link_of_a_list(honest: Honest, request: Request) -> Reply:
    """The same with a bare list for a body, as GitHub's."""
    linked = by_link(honest, request)
    return linked.but(linked.content["data"])


def by_link_in_the_body(honest: Honest, request: Request) -> Reply:
    start, found, token = _by_token(honest, request, "cursor")
    following = {"next": f"{address(request)}?cursor={token}&_count={PAGE}"} if token else {}
    return honest.page(start, found, links={"self": address(request), **following})


def by_offset_in_other_words(honest: Honest, request: Request) -> Reply:
    """Parameters and total under names of its own."""
    start, size = _number(request, "from", 0), _number(request, "count", 25)
    found = honest.slice(start, size)
    total = {"all": len(honest.table.rows)} if honest.total else {}
    return Reply({"data": found, "paging": {"offset": start, "limit": size, **total}}, start=start, stop=start + len(found))


def whole(honest: Honest, request: Request) -> Reply:
    return honest.page(0, honest.slice(0, 10**6))


def _settings(request: str, response: str, **more: Any) -> dict[str, Any]:
    return {"pagination_request_style": request, "pagination_response_style": response, **more}


OFFSET = {"pagination_page_size": PAGE, "pagination_initial_offset": 0}

STYLES: Mapping[str, Style] = {
    "default": Style(_settings("default", "default"), by_token, True),
    "jsonpath": Style(
        _settings(
            "jsonpath_paginator",
            "page",
            next_page_token_path="$.paging.cursors.after",
            pagination_next_page_param="after",
        ),
        by_token_elsewhere,
        True,
    ),
    "header_link": Style(_settings("header_link_paginator", "header_link", pagination_page_size=PAGE), by_link, True),
    "restapi_header_link": Style(
        _settings("restapi_header_link_paginator", "header_link", pagination_page_size=PAGE, records_path="$[*]"),
        by_link_of_a_list,
        True,
    ),
    "hateoas": Style(
        _settings("hateoas_paginator", "hateoas_body", next_page_token_path="$.links.next"), by_link_in_the_body, True
    ),
    "page_number": Style(
        _settings("page_number_paginator", "page", next_page_token_path="$.hasMore", pagination_initial_offset=1),
        by_number,
        True,
    ),
    "offset": Style(_settings("offset_paginator", "offset", **OFFSET), by_offset, False),
    "style1": Style(_settings("style1", "style1", **OFFSET), by_offset, False),
    "simple_offset": Style(
        _settings("simple_offset_paginator", "offset", offset_records_jsonpath="$.data", **OFFSET), by_offset, False
    ),
    "simple_header": Style(_settings("simple_header_paginator", "default"), by_header, True),
    "single_page": Style(_settings("single_page_paginator", "default"), whole, True),
}
IN_OTHER_WORDS = Style(
    _settings(
        "offset_paginator",
        "offset",
        **OFFSET,
        pagination_next_page_param="from",
        pagination_limit_per_page_param="count",
        next_page_token_path="$.paging",
        pagination_total_limit_param="all",
    ),
    by_offset_in_other_words,
    False,
)
