"""What shows that pages do not lead on: whole pages that were there before, records that are all known, tokens that come back."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tap_rest_api_msdk.errors import AnswerRefused

_BITS = 1 << 25  # 4 MB; a quarter of it is set after 4 M records
_KNOWN_IN_A_ROW = 1000
_PAGES_IN_A_ROW = 3
_EMPTY_IN_A_ROW = 1000


class PageGuard:
    """Knows all pages of one walk by the hash of what they hold, or of how they begin and end: 64 bits a page."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self._pages = 0
        self.digest = 0

    def seen(self, content: Hashable) -> int | None:
        """The number of the page, from 1, that held the same; None for a new one. Empty pages are not asked of."""
        found = hash(content)
        self._pages += 1
        self.digest = hash((self.digest, found))
        before = self._seen.setdefault(found, self._pages)
        return before if before < self._pages else None

    def is_first(self, content: Hashable) -> bool:
        """Whether this is what the first page held."""
        return self._seen.get(hash(content)) == 1


class RecordGuard:
    """For streams that nothing else ends: notices that pages bring only records that came before. Memory does not grow."""

    def __init__(self) -> None:
        self._bits = bytearray(_BITS // 8)
        self._known = self._pages = 0

    def add(self, texts: Sequence[bytes]) -> bool:
        """Whether the last pages, and a thousand records or more, held nothing new."""
        if not texts:
            return False
        for text in texts:
            found = hash(text)
            is_known = True
            for bit in (found % _BITS, (found >> 25) % _BITS):
                mask = 1 << (bit & 7)
                if not self._bits[bit >> 3] & mask:
                    self._bits[bit >> 3] |= mask
                    is_known = False
            self._known = self._known + 1 if is_known else 0
        self._pages = self._pages + 1 if self._known >= len(texts) else 0
        return self._known >= min(_KNOWN_IN_A_ROW, max(20, 10 * len(texts))) and self._pages >= _PAGES_IN_A_ROW


class PlaceGuard:
    """Knows the places of all pages of a walk that follows tokens or links."""

    def __init__(self, stream: str) -> None:
        self._stream, self._seen, self._empty = stream, set[int](), 0

    def check(self, place: object, is_empty: bool) -> None:
        """Raises AnswerRefused for a place that was asked for before, and after a thousand empty pages in a row."""
        self._empty = self._empty + 1 if is_empty else 0
        if hash(str(place)) in self._seen:
            raise AnswerRefused(
                f"stream {self._stream}: the API leads back to a page that was read before",
                action="set next_page_token_path to what leads to the next page",
            )
        if self._empty >= _EMPTY_IN_A_ROW:
            raise AnswerRefused(f"stream {self._stream}: {_EMPTY_IN_A_ROW} empty pages in a row, each leading to another one")
        self._seen.add(hash(str(place)))
