"""How far a run of the job is, from what it publishes while it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from lakehouse.errors import LakehouseError
from lakehouse.published import newest
from lakehouse.stages.base import Stage

EVERY_S = 30.0  # between two looks: the job publishes no more often


class JobProgress:
    """`12 of 40 loads are done`, of these loads of one order; empty text until the job tells of one.

    It looks at the stage when it is called, at most every EVERY_S seconds of `clock`. A look that fails changes nothing.
    """

    def __init__(
        self, stage: Stage, target: str, order: str, loads: Collection[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stage, self._target, self._order, self._loads, self._clock = stage, target, order, frozenset(loads), clock
        self._next = clock() + EVERY_S
        self._told = ""

    def __call__(self) -> str:
        """The words as they are now."""
        if self._clock() >= self._next:
            self._told = self._look() or self._told
            self._next = self._clock() + EVERY_S
        return self._told

    def _look(self) -> str:
        try:
            document = newest(self._stage, self._target, self._order)
        except LakehouseError:
            return ""
        done = self._loads & {load.load_id for load in document.loads} if document else set()
        return f"{len(done):,} of {len(self._loads):,} loads are done" if done else ""
