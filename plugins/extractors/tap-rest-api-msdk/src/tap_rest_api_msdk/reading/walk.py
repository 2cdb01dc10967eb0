"""All pages of one stream, once, or an error: never fewer records than the API has, and never without an end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from singer_arrow.decoded import Decoded
from tap_rest_api_msdk import pages
from tap_rest_api_msdk.config import Paging
from tap_rest_api_msdk.errors import AnswerRefused, Moved, Overlap, Repeated, ShortLoad
from tap_rest_api_msdk.pages.counted import Offsets
from tap_rest_api_msdk.progress import Progress
from tap_rest_api_msdk.reading.ahead import Ahead
from tap_rest_api_msdk.reading.guards import PageGuard, PlaceGuard, RecordGuard
from tap_rest_api_msdk.reading.identity import Identity, Name
from tap_rest_api_msdk.records.envelope import Page

_IN_ADVANCE = 6 << 20  # bytes of pages
Read = Callable[[], Page]  # what makes the page of an answer that has come; asks again where that is unreadable


class At(msgspec.Struct, frozen=True):
    """Where a page is asked for; `expected` is how many records it should hold by the API's total.

    `probes`: it should hold none, being behind the last one. `behind`: the API may say that there is no such page. `overlaps`: it
    is asked for from the record in front of it, which shows whether records moved since that was read. `beyond`: there was no
    record in front of it.
    """

    place: Any
    expected: int | None = None
    probes: bool = False
    behind: bool = False
    overlaps: bool = False
    beyond: bool = False


class AtRest(NamedTuple):
    """Between two pages that overlap: where the next one is, the records in front of it, and the last one's name."""

    place: int
    received: int
    tail: Name


class Walk:
    """Walks once. `received` and `total` are counts of records; `digest` tells one walk's records from another's.

    `known_by` tells records apart; `overlaps`: pages that are counted by offset begin with the last record of the one in front.
    The end is the API's total, proven by a probe behind it; a page that leads nowhere; or, where pages are counted without a
    total, an empty page with another one behind it. Where the total is known and pages are counted, `parallel` says how many
    pages are under way at once, else one is; `dropped` hears when those are not needed any more. `done` is an earlier walk that
    this one goes on with. Raises Moved, AnswerRefused or ShortLoad, and whatever `fetch` raises.
    """

    def __init__(
        self,
        stream: str,
        paging: Paging,
        known_by: Identity,
        parallel: Callable[[], int],
        fetch: Callable[[At], Read],
        overlaps: bool = False,
        is_aligned: bool = False,
        done: Progress | None = None,
        dropped: Callable[[], None] = lambda: None,
    ) -> None:
        self.stream, self.paging, self.keyed = stream, paging, bool(known_by.key)
        self.doubled = 0  # records that came twice on a page, with the same content, and are yielded once
        self._twice = ""  # one of them, in words
        self._empty = ""  # how the API said that a page is empty
        self._paginator = pages.of(paging)
        self.received = done.received if done else 0
        self.pages = 0
        self.total: int | None = done.total if done else None
        self.is_limited = False
        self.is_deaf = False  # the API gave its only page again for the one behind it
        self.at_rest = AtRest(done.place, done.received, done.tail) if done else None  # behind the last page that was yielded
        self._parallel = parallel
        self._is_aligned = is_aligned  # pages begin at multiples of their size only
        self._known_by = known_by
        self._overlaps = overlaps and isinstance(self._paginator, Offsets)
        self._tail: Name | None = done.tail if done else None  # the name of the last record taken
        self._fetch = fetch
        self._guard = PageGuard()
        self._records: RecordGuard | None = None
        self._places = PlaceGuard(stream)
        self._ahead = Ahead(fetch, parallel, dropped)
        self._done = done
        self.first = At(done.place, behind=True, overlaps=True) if done else At(self._paginator.first())
        self._last = self.first  # asked for last
        self._step = 0  # records of a full page
        self._grown: tuple[At, Page] | None = None  # the last page, where the total grew

    @property
    def digest(self) -> int:
        """The same for two walks that found the same records and total."""
        return hash((self._guard.digest, self.total))

    def __iter__(self) -> Iterator[Page]:
        """Yields the pages that hold records."""
        self._ask(self.first)
        while self._ahead:
            at, read = self._ahead.take()
            page = self._each_once(at, self._without_overlap(at, read()))
            if at.expected is not None and page.sent != at.expected:
                self._ahead.drop()  # asked for by a count that does not hold
            self._take(at, page)
            following = self._following(at, page)
            if following is not None:
                self._go_on(page, following)
            if self._overlaps and not at.probes and page.sent and self._tail is not None:
                self.at_rest = AtRest(at.place + page.sent, self.received, self._tail)
            if page.records and not self.is_deaf:
                yield page
        self._check_end()

    # --- one page ---------------------------------------------------------------------------------------------------

    def _without_overlap(self, at: At, page: Page) -> Page:
        """The page without the record in front of it. Raises Moved where that is another one now."""
        is_alone = at.probes and self.pages == 1 and self.received == self.total
        if is_alone and page.records and self._guard.is_first(self._mark(page)):
            self.is_deaf = True
            return page
        if at.overlaps and page.exists:
            if not page.records or self._known_by.name(page.records, 0) != self._tail:
                raise Overlap(
                    f"stream {self.stream}: {self._so_far()}, the last of them ({self._known_by.words(self._tail)}) is not "
                    "where it was when the next page is asked for"
                )
            page = replace(page, records=page.records[1:], sent=page.sent - 1)
        if page.records and self._overlaps:
            self._tail = self._known_by.name(page.records, -1)
        if self.pages == 0 and page.sent == 1 and not at.overlaps:
            self._overlaps = False  # with pages of one record nothing would be left
        return page

    def _each_once(self, at: At, page: Page) -> Page:
        """The page without records that it holds a second time, with the same content.

        Where there are as many as were expected, others are missing then: the proof of the keys finds that with less work.
        """
        if isinstance(page.records, Decoded) and page.sent == self._expected(at, page):
            return page
        once = dict.fromkeys(page.texts) if self.keyed else {}
        count = len(page.texts) - len(once) if self.keyed else 0
        if not count:
            return page
        twice, _ = Counter(page.texts).most_common(1)[0]
        self._twice = f"; records came twice on a page ({self._known_by.words(self._known_by.of(msgspec.Raw(twice)))})"
        self.doubled += count
        return replace(page, records=[msgspec.Raw(text) for text in once], doubled=count)

    def _expected(self, at: At, page: Page) -> int | None:
        """How many records the page should hold by the API's total, which comes with the first one."""
        if at is self.first and page.total is not None and self.paging.size:
            return min(self.paging.size, page.total)
        return at.expected

    def _take(self, at: At, page: Page) -> None:
        self.pages += 1
        if self.pages == 1 and self._done is None:
            self.total = page.total
            self._check_first()
        elif page.exists and (page.sent or not at.probes):
            self._compare_total(page)
        if self.is_deaf:
            return
        self.received += page.sent - page.doubled
        if page.records and (same := self._guard.seen(self._mark(page))) and (self.keyed or self.total is None):
            raise self._repeated(page, same == self.pages - 1, at.probes)
        if self.total is None and self.pages > 1:
            self._records = self._records or RecordGuard()
            if self._records.add(page.texts):
                raise Repeated(f"stream {self.stream}: its pages bring nothing but records that came before")
        if self.total is not None and self.received > self.total:
            raise self._overlap(at)
        limit = self.paging.results_limit
        if limit is not None and self.received > limit and self.paging.style != "restapi_header_link_paginator":
            raise ShortLoad(
                f"stream {self.stream}: the API has more than {limit} records", action="raise or remove pagination_results_limit"
            )

    def _mark(self, page: Page) -> Hashable:
        """What a page is known by: its ends where its records have keys and the total says how many there are, else all of it."""
        if self.keyed and self.total is not None:
            return self._known_by.name(page.records, 0), self._known_by.name(page.records, -1), page.sent
        return tuple(page.texts)

    def _repeated(self, page: Page, in_a_row: bool, is_behind_total: bool) -> Repeated:
        name, or_total = self.paging.next_param, ", and check total_path" if is_behind_total else ""
        return Repeated(
            f"stream {self.stream}: two pages{' in a row' if in_a_row else ''} hold the same {page.sent} records",
            action=f"set pagination_next_page_param to what the API calls its offset or page; it is {name!r} now{or_total}",
        )

    def _check_first(self) -> None:
        paging = self.paging
        if self.total is None and paging.total_required:
            raise AnswerRefused(
                f"stream {self.stream}: an answer has no number at {paging.total_path}",
                action="correct total_path, or set it to none for a stream without a total",
            )
        if self.total is None and paging.is_counted and not paging.is_first_given and paging.style != "page_number_paginator":
            raise AnswerRefused(
                f"stream {self.stream}: the API gives no total at {paging.total_path}, so nothing would show that the first "
                "record was missed",
                action="set total_path, or pagination_initial_offset to the API's first offset (0 or 1)",
            )

    def _compare_total(self, page: Page) -> None:
        if page.total == self.total:
            return
        if page.total is None:
            raise AnswerRefused(
                f"stream {self.stream}: an answer has no number at {self.paging.total_path}", action="correct total_path"
            )
        changed = f"stream {self.stream}: the API's total changed from {self.total} to {page.total} after {self.received} records"
        if self.total is None or page.total < self.total or not self.keyed:
            raise Moved(f"{changed}: its data changed during the run, so that records may be missing or twice")
        self.total = page.total
        self._grown = (At(None), page)  # the last page will be read again
        # of pages that are under way at once the later one may have been answered earlier, with the total of then
        self._ahead.drop()
        self._parallel = lambda: 1

    def _overlap(self, at: At) -> ShortLoad:
        if at.probes and self._grown is None:
            return ShortLoad(
                f"stream {self.stream}: the API's total is {self.total}, and there are records behind it",
                action=f"set total_path to the number of all records; {self.paging.total_path} may be that of one page",
            )
        return Moved(
            f"stream {self.stream}: {self.received} records received where the API's total is {self.total}: its pages overlap, "
            "or its total is wrong"
        )

    # --- the next page ----------------------------------------------------------------------------------------------

    def _following(self, at: At, page: Page) -> At | None:
        """The next page to ask for, or None at the end."""
        if self.is_deaf:
            return None
        limit = self.paging.results_limit
        if limit is not None and self.received >= limit and self.paging.style == "restapi_header_link_paginator":
            self.is_limited = True
            return None
        return self._counted(at, page) if self.paging.is_counted else self._followed(at, page)

    def _followed(self, at: At, page: Page) -> At | None:
        place = self._paginator.next(at.place, page)
        if place is None:
            return None
        self._places.check(place, not page.records)
        return At(place)

    def _counted(self, at: At, page: Page) -> At | None:
        place = self._paginator.next(at.place, page)
        if page.sent:
            is_first = self._step == 0
            self._step = max(self._step, page.sent - (is_first and self._overlaps and not at.overlaps))
            if self._grown is not None:
                self._grown = (at, page)
        if self.total is not None:
            return self._by_total(at, page, place)
        if place is None:
            return None
        if page.sent:
            if at.probes:
                raise Moved(f"stream {self.stream}: a page in the middle is empty{self._empty}; {self._so_far()}")
            return At(place, behind=True)
        if at.probes:
            return None
        self._empty = "" if page.exists else f" (the API answered {page.status})"
        return At(self._one_further(at.place), probes=True, behind=True, beyond=True)

    def _by_total(self, at: At, page: Page, place: Any) -> At | None:
        assert self.total is not None
        if self.received < self.total:
            if not page.sent or place is None:
                raise self._short()
            return At(place)
        if at.probes or (at.overlaps and page.exists and not page.sent):  # behind the record in front of it there is none
            return None
        is_next = page.sent and place is not None and not self._is_aligned
        behind = place if is_next else self._one_further(at.place)
        return At(behind, probes=True, behind=True)

    def _one_further(self, place: int) -> int:
        """One page behind an empty one."""
        return place + 1 if self.paging.style == "page_number_paginator" else place + (self._step or self.paging.size or 1)

    def _window(self, page: Page) -> int:
        """How many pages may be asked for: as many again as are under way at once wait to be fetched or taken, if small."""
        parallel = self._parallel()
        return max(parallel, min(2 * parallel, _IN_ADVANCE // (page.size or 1))) if parallel > 1 else 1

    def _go_on(self, page: Page, following: At) -> None:
        """Asks for the next page, and for those behind it where their places are certain."""
        if not self._ahead:
            self._ask(following)
        if self.total is None or not self.paging.is_counted or not self._step:
            return
        window = self._window(page)
        while len(self._ahead) < window and not self._last.probes:
            asked = self.received + sum(at.expected or 0 for at in self._ahead.waiting())
            is_behind = asked >= self.total
            if is_behind and self._is_aligned:
                return
            is_numbered = self.paging.style == "page_number_paginator"
            place = self._last.place + (1 if is_numbered else self._last.expected or 0)
            self._ask(At(place, probes=is_behind, behind=is_behind))

    def _ask(self, at: At) -> None:
        if self.total is not None and self.paging.is_counted and self._step and not at.probes:
            left = self.total - self.received - sum(each.expected or 0 for each in self._ahead.waiting())
            at = replace(at, expected=min(self._step, left))
        if self._overlaps and at is not self.first and self._tail is not None and not at.beyond:
            at = replace(at, overlaps=True)
        self._last = at
        self._ahead.ask(at)

    # --- the end ----------------------------------------------------------------------------------------------------

    def _check_end(self) -> None:
        if self.is_limited:
            return
        if self.total is not None and self.received < self.total:
            raise self._short()
        if self._grown is not None and self.paging.is_counted:
            at, page = self._grown
            again = self._fetch(At(at.place))()
            if again.texts[: len(page.texts)] != page.texts:
                raise Moved(
                    f"stream {self.stream}: the API's total grew to {self.total} during the run, and its last page holds other "
                    "records now"
                )

    def _short(self) -> Moved:
        return Moved(
            f"stream {self.stream}: {self.received} records received where the API's total is {self.total}{self._twice}"
            + (f"; the first offset was {self.paging.first}" if self.paging.is_counted else "")
        )

    def _so_far(self) -> str:
        return f"{self.received} records received so far"
