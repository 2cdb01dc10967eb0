"""What every paginator does."""

from __future__ import annotations

from typing import Any, Protocol

from tap_rest_api_msdk.records.envelope import Page


class Paginator(Protocol):
    """Finds a stream's pages. A place is what a page is asked for by: a number, a token, an address; None for no word of it."""

    def first(self) -> Any:
        """The place of the first page."""

    def next(self, place: Any, page: Page) -> Any:
        """The place of the page behind this one; None where the page says that it is the last."""
