"""How many answers are waited for at once: as many as help, and fewer where the API has enough."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from msgspec import Struct

MOST = 16
_FIRST = 4
_OF_LARGE = 2  # however large they are
_BYTES = 6 << 20  # of all answers that are under way, by the largest one so far
_QUICK, _SLOW = 2.0, 4.0  # times what the quickest answer took
_LOOK_SECONDS = 0.2  # a signal that comes just before a wait is seen behind it


class Turn(Struct, frozen=True):
    """A request under way: when it began, in monotonic seconds, how many were under way then, itself included, and its round."""

    began: float
    together: int
    round: int


class Pace:
    """Lets so many requests through at once: `given`, or what it finds out from the answers.

    It begins with 4, doubles while answers take at most twice as long as the quickest one, and is halved, but not below 4, where
    they take more than four times as long: then more requests only wait for each other. Halved, down to 1, where the API refuses
    (429, 503, or no connection); from then on it grows by one. It is 16 at most, and answers under way hold 6 MiB at most (but
    for two). Small answers say nothing: they are quick because they are small. For several threads.
    """

    def __init__(self, given: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._given, self._clock = given, clock
        self._lock = threading.Condition()
        self._found = _FIRST
        self._doubles = True
        self._under_way = 0  # of this round
        self._round = 0
        self._answers, self._seconds = 0, 0.0  # those that are judged next, and what they took together
        self._since = 0.0  # the last time that it became fewer
        self.begin()

    @property
    def most(self) -> int:
        """The most there can be at once."""
        return self._given or MOST

    @property
    def at_once(self) -> int:
        """How many there should be now."""
        if self._given:
            return self._given
        fitting = max(_BYTES // self._largest, _OF_LARGE) if self._largest else _FIRST
        return min(self._found, fitting)

    def begin(self) -> None:
        """Forgets how large and how quick answers were: those of another stream are asked for."""
        with self._lock:
            self._largest = 0
            self._quickest = float("inf")
            self._start_count()

    def ask(self) -> Turn:
        """A request begins, as soon as it is one of those that may be under way."""
        with self._lock:
            while self._under_way >= self.at_once:
                self._lock.wait(_LOOK_SECONDS)
            self._under_way += 1
            return Turn(self._clock(), self._under_way, self._round)

    def forget(self) -> None:
        """What is under way is not needed any more, and keeps nothing else from its turn."""
        with self._lock:
            self._round += 1
            self._under_way = 0
            self._lock.notify_all()

    def answered(self, turn: Turn, size: int) -> None:
        """A page came, of so many bytes."""
        with self._lock:
            now, together = self._clock(), max(turn.together, self._under_way)
            self._end(turn)
            self._largest = max(self._largest, size)
            if 2 * size < self._largest or turn.began < self._since:
                return
            self._quickest = min(self._quickest, now - turn.began)
            if 2 * together > min(self._found, self.at_once):
                self._answers, self._seconds = self._answers + 1, self._seconds + now - turn.began
            if self._answers >= self._found:
                self._judge()

    def refused(self, turn: Turn) -> None:
        """The API has enough; said by several answers of one time, it counts once."""
        with self._lock:
            self._end(turn)
            if turn.began >= self._since:
                self._doubles = False
                self._fewer(1)

    def over(self, turn: Turn) -> None:
        """A request ended that says nothing of the pace."""
        with self._lock:
            self._end(turn)

    def _end(self, turn: Turn) -> None:
        if turn.round == self._round:
            self._under_way -= 1
            self._lock.notify()

    def _judge(self) -> None:
        times = self._seconds / self._answers / max(self._quickest, 1e-6)
        if times <= _QUICK:
            self._found = min(2 * self._found if self._doubles else self._found + 1, MOST)
            self._start_count()
        elif times > _SLOW:
            self._fewer(min(_FIRST, self._found))
        else:
            self._start_count()

    def _fewer(self, least: int) -> None:
        self._found = max(self._found // 2, least)
        self._since = self._clock()
        self._start_count()

    def _start_count(self) -> None:
        self._answers, self._seconds = 0, 0.0
