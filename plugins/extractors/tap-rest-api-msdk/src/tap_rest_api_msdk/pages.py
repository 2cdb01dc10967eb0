"""All pages of one stream, or an error: never fewer records than the API has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tap_rest_api_msdk.config import Paging
from tap_rest_api_msdk.envelope import Answer
from tap_rest_api_msdk.errors import AnswerRefused, ShortLoad

Fetch = Callable[[int], bytes]
Read = Callable[[bytes, int], Answer]


@dataclass
class Pages:
    """Iterates over the pages' records, fetching one page ahead; `received` and `total` are counts of records.

    The end is the API's total, or, where it gives none, an empty page: a page that is merely short may be the server's
    own maximum. The offset advances by the records really received.
    """

    stream: str
    paging: Paging
    keyed: bool
    fetch: Fetch
    read: Read
    received: int = 0
    total: int | None = None

    def __iter__(self) -> Iterator[list[Any]]:
        """Yields non-empty lists of records. Raises ShortLoad or AnswerRefused, and whatever fetch and read raise."""
        first = self.paging.first if self.paging.first is not None else 1
        previous: list[Any] = []
        pool = ThreadPoolExecutor(1, "fetch")
        try:
            coming = pool.submit(self.fetch, first)
            while True:
                answer = self.read(coming.result(), first + self.received)
                self._check(answer, previous)
                self.received += len(answer.records)
                ended = self._ended(answer)
                if not ended:
                    coming = pool.submit(self.fetch, first + self.received)
                if answer.records:
                    yield answer.records
                if ended:
                    return
                previous = answer.records
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _check(self, answer: Answer, previous: list[Any]) -> None:
        if self.received == 0:
            self.total = answer.total
            self._check_total()
        elif answer.total != self.total:
            raise ShortLoad(
                f"stream {self.stream}: the API's total changed from {self.total} to {answer.total} after {self.received} "
                "records: its data changed during the run, so that records may be missing or twice"
            )
        if previous and answer.records == previous and (self.keyed or self.total is None):
            raise AnswerRefused(
                f"stream {self.stream}: two pages in a row hold the same {len(previous)} records",
                action=f"set pagination_next_page_param to what the API calls its offset; it is {self.paging.offset_param!r} now",
            )

    def _check_total(self) -> None:
        if self.total is None and self.paging.total_required:
            raise AnswerRefused(
                f"stream {self.stream}: an answer has no number at {self.paging.total_path}", action="correct total_path"
            )
        if self.total is None and self.paging.offsets and self.paging.first is None:
            raise AnswerRefused(
                f"stream {self.stream}: the API gives no total at {self.paging.total_path}, so nothing would show that "
                "the first record was missed",
                action="set total_path, or pagination_initial_offset to the API's first offset (0 or 1)",
            )

    def _ended(self, answer: Answer) -> bool:
        if self.total is None:
            return not answer.records or not self.paging.offsets
        if self.received == self.total:
            return True
        if self.received > self.total:
            raise ShortLoad(
                f"stream {self.stream}: {self.received} records received where the API's total is {self.total}: its pages "
                "overlap, or its total is wrong"
            )
        if not answer.records or not self.paging.offsets:
            raise ShortLoad(
                f"stream {self.stream}: {self.received} records received where the API's total is {self.total}; the "
                f"first offset was {self.paging.first if self.paging.first is not None else 1}"
            )
        return False
