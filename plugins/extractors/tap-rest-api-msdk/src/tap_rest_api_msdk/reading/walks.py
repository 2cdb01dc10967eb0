"""The walks of one load: one, or one for each record of the parent; their counts and proofs together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tap_rest_api_msdk.reading.ahead import Ahead
from tap_rest_api_msdk.reading.children import ALONE, Values
from tap_rest_api_msdk.reading.walk import At, AtRest, Read, Walk
from tap_rest_api_msdk.records.envelope import Page

Make = Callable[[Values, Callable[[At], Read]], Walk]
Fetch = Callable[[Values, At], Read]


class Walks:
    """Walks for each of `all_values`, first pages of the next ones being under way. See Walk for what is raised."""

    def __init__(self, all_values: Sequence[Values], make: Make, fetch: Fetch, parallel: Callable[[], int]) -> None:
        self._values, self._make, self._fetch = all_values, make, fetch
        self._parallel = parallel
        self.received = self.pages = 0
        self.total: int | None = 0
        self.walk: Walk | None = None  # the one under way, or the last
        self.digest = 0
        self.is_limited = self.is_deaf = False
        self.doubled = 0

    @property
    def at_rest(self) -> AtRest | None:
        """Where the walk under way goes on behind the last page that was yielded; None where it could not."""
        return self.walk.at_rest if self.walk else None

    @property
    def is_of_children(self) -> bool:
        """Whether the stream has a parent."""
        return self._values is not ALONE

    def __iter__(self) -> Iterator[Page]:
        """Yields the pages that hold records."""
        first_pages: Ahead[Values, Read] = Ahead(lambda values: self._fetch(values, self._first(values)), self._parallel)
        coming = iter(self._values[1:])
        for number, values in enumerate(self._values):
            while number and len(first_pages) < self._parallel() and (following := next(coming, None)) is not None:
                first_pages.ask(following)
            yield from self._walked(values, first_pages if number else None)

    def _first(self, values: Values) -> At:
        return self._make(values, lambda at: self._fetch(values, at)).first

    def _walked(self, values: Values, first_pages: Ahead[Values, Read] | None) -> Iterator[Page]:
        def fetch(at: At) -> Read:
            if first_pages is not None and at is walk.first:
                return first_pages.take()[1]
            return self._fetch(values, at)

        self.walk = walk = self._make(values, fetch)
        try:
            yield from walk
        finally:
            self.received += walk.received
            self.pages += walk.pages
            self.digest = hash((self.digest, walk.digest))
            self.is_limited |= walk.is_limited
            self.doubled += walk.doubled
            self.is_deaf |= walk.is_deaf
        self.total = None if self.total is None or walk.total is None else self.total + walk.total
