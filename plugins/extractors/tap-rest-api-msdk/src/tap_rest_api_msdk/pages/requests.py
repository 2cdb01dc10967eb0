"""The request for a page: the stream's parameters, what asks for new records only, and the page's place, by the style."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from string import Template
from typing import Any
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from singer_arrow.errors import SelectionRefused
from tap_rest_api_msdk import bookmarks
from tap_rest_api_msdk.client.answers import Request, is_same, joined
from tap_rest_api_msdk.config import StreamConfig
from tap_rest_api_msdk.errors import AnswerRefused
from tap_rest_api_msdk.pages.followed import Link

_NO_SEGMENT = ("", ".", "..")  # of a path: they are gone from the address before it is sent, or where it arrives
_GITHUB_SORTS = {
    "updated_at": {"sort": "updated", "direction": "asc"},
    "starred_at": {"sort": "created", "direction": "desc"},
    "created_at": {"sort": "created", "direction": "desc"},
    "commit_timestamp": {"direction": "desc"},
}


class Requests(Struct, frozen=True):
    """Makes the requests of one load. `start` is what is read from, as the bookmark has it; None for everything.

    `values` are those of a parent's record, which stand in path and parameters for `{Column}`.
    """

    stream: StreamConfig
    api_url: str
    replication_key: str | None
    start: str | None
    values: Mapping[str, str]

    @property
    def url(self) -> str:
        """The stream's address, without parameters. Raises AnswerRefused where it would lead elsewhere, by a parent's value."""
        template = self.stream.path
        path = "/".join(_filled(each, self.values, is_path=True) for each in template.split("/"))
        for each, found in zip(template.split("/"), path.split("/"), strict=True):
            if self.values and "{" in each and found in _NO_SEGMENT:
                raise AnswerRefused(
                    f"stream {self.stream.name}: a record of its parent {self.stream.parent} has {found!r} for {each} of its "
                    "path, which would be the address of something else",
                    action="take another column in the path, or this one in params",
                )
        return self.api_url + ("/" + path.lstrip("/") if path else "")

    def at(self, place: Any, behind: bool = False) -> Request:
        """The request for a page. `behind`: there may be no such page. Raises AnswerRefused for a link that is no address."""
        paging = self.stream.paging
        params = {name: _filled(value, self.values) for name, value in self.stream.params.items()}
        url = self.url
        if paging.asked != "hateoas_body" or place is None:
            params |= self._search()
        if paging.size is not None and (paging.asked in ("offset", "style1", "header_link") or self._has_limit(params)):
            params[paging.limit_param] = paging.size
        if isinstance(place, Link) or (paging.asked == "hateoas_body" and place is not None):
            url, more = self._linked(url, str(place))
            params = (params | more) if is_same(url, self.api_url) else more
        elif place is not None and not paging.is_single:
            params[paging.next_param] = place
        return Request(url, params, self.stream.headers, paging.in_body, behind)

    def _has_limit(self, params: Mapping[str, Any]) -> bool:
        """Whether the settings name the limit themselves, where the style would not send it."""
        return self.stream.paging.limit_param in params

    def _linked(self, url: str, link: str) -> tuple[str, dict[str, Any]]:
        """Address and parameters of a link: whole, a path, or `page=2&size=5` alone."""
        if "=" in link and not any(sign in link for sign in "/?:"):
            link = "?" + link
        try:
            parts = urlsplit(joined(url, link))
        except ValueError:
            raise AnswerRefused(f"stream {self.stream.name}: the API's link to the next page is not a valid address") from None
        query = {name: found[0] if len(found) == 1 else found for name, found in parse_qs(parts.query, True).items()}
        return parts._replace(query="", fragment="").geturl(), query

    def _search(self) -> dict[str, Any]:
        """What asks the API for new records only; where it cannot be asked, the published tap's wish for an order."""
        stream, key = self.stream, self.replication_key
        if not key:
            return {}
        start = None if self.start is None else bookmarks.query_text(self.start)
        if stream.search_field and stream.search_query and start is not None:
            found = Template(stream.search_query).safe_substitute(last_run_date=start)
            return {stream.search_field: self._as_json(found) if stream.paging.in_body else found}
        if stream.paging.asked == "hateoas_body":
            return {stream.search_field: "gt" + start} if stream.search_field and start is not None else {}
        if stream.paging.asked == "header_link":
            return {**_GITHUB_SORTS.get(key, {}), **({"since": start} if start is not None else {})}
        return {"sort": "asc", "order_by": key}

    def _as_json(self, query: str) -> Any:
        """What a body holds of source_search_query. Raises SelectionRefused."""
        try:
            return json.loads(query)
        except ValueError:
            raise SelectionRefused(
                f"stream {self.stream.name}: its source_search_query becomes {query[:200]}, which is not JSON",
                action='write $last_run_date between quotes, such as {"gt": "$last_run_date"}',
            ) from None


def _filled(value: Any, values: Mapping[str, str], is_path: bool = False) -> Any:
    """Text with the parent's values in it; in a path they are quoted."""
    if not values or not isinstance(value, str):
        return value
    from urllib.parse import quote

    filled = {"{" + name + "}": quote(text, safe="") if is_path else text for name, text in values.items()}
    return re.sub(
        "|".join(map(re.escape, filled)), lambda found: filled[found[0]], value
    )  # at once: a value may hold braces, too
