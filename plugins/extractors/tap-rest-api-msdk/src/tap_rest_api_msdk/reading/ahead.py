"""Pages that are asked for before they are needed, taken in the order they were asked for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from msgspec import Struct, field

_IDLE_SECONDS = 5.0
_LOOK_SECONDS = 0.2  # a signal that comes just before a wait is seen behind it
Place = TypeVar("Place")
Result = TypeVar("Result")


class _Threads:
    """Threads that take one piece of work after the other, as many as there is work at once; idle ones end by themselves.

    Unlike those of concurrent.futures they do not keep a program that ends from ending.
    """

    def __init__(self) -> None:
        self._idle = threading.Semaphore(0)  # threads that nothing is meant for
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def do(self, work: Callable[[], None]) -> None:
        """Has the work done by a thread that is idle, else by a new one."""
        if self._idle.acquire(blocking=False):
            self._work.put(work)
        else:
            threading.Thread(target=self._loop, args=(work,), daemon=True, name="fetch").start()

    def _loop(self, work: Callable[[], None]) -> None:
        while True:
            work()
            self._idle.release()
            try:
                work = self._work.get(timeout=_IDLE_SECONDS)
            except Empty:
                if self._idle.acquire(blocking=False):
                    return
                work = self._work.get()  # it is meant for this one


_threads = _Threads()


class _Turns(Struct, Generic[Place, Result]):
    """What waits for its turn, and how many are having theirs."""

    waiting: deque[tuple[Place, Future[Result]]] = field(default_factory=deque)
    running: int = 0


class Ahead(Generic[Place, Result]):
    """Asks in threads of its own, for as many places at once as `parallel` says by then; further ones wait for their turn.

    `dropped` hears when what is under way is not needed any more.
    """

    def __init__(
        self, fetch: Callable[[Place], Result], parallel: Callable[[], int], dropped: Callable[[], None] = lambda: None
    ) -> None:
        self._fetch, self._parallel, self._dropped = fetch, parallel, dropped
        self._asked: deque[tuple[Place, Future[Result]]] = deque()
        self._lock = threading.Lock()
        self._turns: _Turns[Place, Result] = _Turns()

    def __len__(self) -> int:
        return len(self._asked)

    def ask(self, place: Place) -> None:
        """Begins to fetch, as soon as it is its turn."""
        one = place, Future[Result]()
        self._asked.append(one)
        turns = self._turns
        with self._lock:
            turns.waiting.append(one)
            more = max(min(self._parallel() - turns.running, len(turns.waiting)), 0)
            turns.running += more
        for _ in range(more):
            _threads.do(partial(self._run, turns))

    def _run(self, turns: _Turns[Place, Result]) -> None:
        while True:
            with self._lock:
                if not turns.waiting or turns.running > self._parallel():
                    turns.running -= 1
                    return
                place, future = turns.waiting.popleft()
            try:
                future.set_result(self._fetch(place))
            except BaseException as error:  # whoever takes the result raises it
                future.set_exception(error)

    def take(self) -> tuple[Place, Result]:
        """The next one in order. Raises what its fetch raised."""
        place, future = self._asked.popleft()
        while not future.done():
            with suppress(TimeoutError):
                future.exception(_LOOK_SECONDS)
        return place, future.result()

    def waiting(self) -> list[Place]:
        """The places that are asked for and not taken."""
        return [place for place, _ in self._asked]

    def drop(self) -> None:
        """Forgets what was asked for and not taken; what is under way of it keeps nothing else from its turn."""
        self._asked.clear()
        with self._lock:
            self._turns.waiting.clear()
            self._turns = _Turns()
        self._dropped()
