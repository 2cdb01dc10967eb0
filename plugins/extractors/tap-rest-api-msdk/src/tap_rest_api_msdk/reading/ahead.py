"""Pages that are asked for before they are needed, taken in the order they were asked for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

_LOOK_SECONDS = 0.2  # a signal that comes just before a wait is seen behind it
Place = TypeVar("Place")
Result = TypeVar("Result")


class Ahead(Generic[Place, Result]):
    """Asks in threads of its own, which do not keep a program that ends from ending."""

    def __init__(self, fetch: Callable[[Place], Result]) -> None:
        self._fetch = fetch
        self._asked: deque[tuple[Place, Future[Result]]] = deque()

    def __len__(self) -> int:
        return len(self._asked)

    def ask(self, place: Place) -> None:
        """Begins to fetch."""
        future: Future[Result] = Future()
        self._asked.append((place, future))
        threading.Thread(target=self._run, args=(place, future), daemon=True, name="fetch").start()

    def _run(self, place: Place, future: Future[Result]) -> None:
        try:
            future.set_result(self._fetch(place))
        except BaseException as error:  # whoever takes the result raises it
            future.set_exception(error)

    def take(self) -> tuple[Place, Result]:
        """The next one in order. Raises what its fetch raised."""
        place, future = self._asked.popleft()
        while not wait([future], _LOOK_SECONDS).done:
            pass
        return place, future.result()

    def waiting(self) -> list[Place]:
        """The places that are asked for and not taken."""
        return [place for place, _ in self._asked]

    def drop(self) -> None:
        """Forgets what was asked for and not taken."""
        self._asked.clear()
