"""Small pages are converted together: each conversion costs as much as some hundred records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct, field

from singer_arrow.converter import Converted
from singer_arrow.decoded import joined
from tap_rest_api_msdk.reading.walk import AtRest
from tap_rest_api_msdk.records.converter import Converter
from tap_rest_api_msdk.records.envelope import Page

_RECORDS = 4096  # so many records are enough for one conversion
_BYTES = 4 << 20  # and so many bytes of them


class Together(Struct):
    """Pages that wait to be converted, and where their walk is at rest behind each."""

    pages: list[Page] = field(default_factory=list)
    at_rest: list[AtRest | None] = field(default_factory=list)
    _records: int = 0
    _bytes: int = 0

    def add(self, page: Page, at_rest: AtRest | None) -> None:
        """Takes another page."""
        self.pages.append(page)
        self.at_rest.append(at_rest)
        self._records += len(page.records)
        self._bytes += page.size

    @property
    def is_enough(self) -> bool:
        """Whether they are to be converted now."""
        return self._records >= _RECORDS or self._bytes >= _BYTES

    @property
    def records(self) -> Sequence[msgspec.Raw]:
        """The records of all pages."""
        return joined(page.records for page in self.pages)

    def pieces(self, converter: Converter) -> Iterator[tuple[int, AtRest | None, Converted]]:
        """How many pages, where their walk is at rest behind them, and what becomes of their records.

        All pages are one piece, unless records are rejected: then each page is converted by itself when it is its turn, so that
        what is told and counted of it is its own.
        """
        before = converter.counted
        converted = converter.convert(self.records)
        if not converted.rejected or len(self.pages) == 1:
            yield len(self.pages), self.at_rest[-1], converted
            return
        converter.count_from(before)
        for page, at_rest in zip(self.pages, self.at_rest, strict=True):
            yield 1, at_rest, converter.convert(page.records)
