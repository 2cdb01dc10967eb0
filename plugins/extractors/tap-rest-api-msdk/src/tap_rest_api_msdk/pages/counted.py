"""Pages that are counted: any of them can be asked for, also before the ones in front of it."""

from __future__ import annotations

from tap_rest_api_msdk.records.envelope import Page


class Offsets:
    """Records are counted: a page begins behind all that the API has sent, however few these were."""

    def __init__(self, first: int) -> None:
        self._first = first

    def first(self) -> int:
        """The first offset."""
        return self._first

    def next(self, place: int, page: Page) -> int | None:
        """Behind the records sent; a filter of ours does not count."""
        return place + page.sent


class PageNumbers:
    """Pages are counted. A page whose word for more (`hasMore`) says no is the last."""

    def __init__(self, first: int) -> None:
        self._first = first

    def first(self) -> int:
        """The first page."""
        return self._first

    def next(self, place: int, page: Page) -> int | None:
        """The next number, unless the page says that there is none."""
        return place + 1 if page.token is None or page.token else None
