"""Pages that lead to the next one: by a token, or by an address."""

from __future__ import annotations

from typing import Any

from tap_rest_api_msdk.records.envelope import Page

_NEXT_PAGE = "x-next-page"


class Tokens:
    """The token stands in the answer's body; none, or an empty one, is the end."""

    def first(self) -> None:
        """The first page needs no token."""

    def next(self, place: Any, page: Page) -> Any:
        """The token of the next page."""
        return page.token or None


class HeaderTokens(Tokens):
    """The token stands in the header X-Next-Page, as GitLab has it."""

    def next(self, place: Any, page: Page) -> Any:
        """The token of the next page."""
        return page.headers.get(_NEXT_PAGE) or None


class Link(str):
    """The address of a page, as the API gave it: whole, a path, or a query alone."""


class HeaderLinks(Tokens):
    """The Link header names the next page (RFC 8288), as GitHub has it."""

    def next(self, place: Any, page: Page) -> Link | None:
        """The address of the next page."""
        found = page.links.get("next")
        return Link(found) if found else None


class BodyLinks(Tokens):
    """A link in the body names the next page (HATEOAS)."""

    def next(self, place: Any, page: Page) -> Link | None:
        """The address of the next page."""
        return Link(page.token) if page.token else None


class Single(Tokens):
    """There is one page."""

    def next(self, place: Any, page: Page) -> None:
        """None."""
