"""The run's lease: one run at a time writes into a target, on whatever machine (docs/contracts.md, Run lease).

Two files on the stage: `lease.json`, which only one can create, says who holds it; `alive`, written again and again while the
run goes on, shows that it does. No clock is compared: who finds a lease waits for the next sign of life, and takes the lease over
where none comes. A run of the same machine, whose lock we hold, is over, and is not waited for.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from lakehouse.errors import LakehouseError, TargetBusy
from lakehouse.stages.base import Stage

FOLDER = "_runs"
BEATS = 4  # signs of life in the time after which a run without one counts as dead
LOOKS = 20  # looks at another run's lease in that time
SETTLES_S = 2.0  # in which another one that takes the lease over at the same moment has done so
AGAIN_S = 0.5  # before another try


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lease. `place` is the folder of the machine's lock, `since` is UTC; `owner` is another for each run."""

    owner: str
    place: str
    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"a run on {self.host} (process {self.pid}, since {self.since})"


def holder_of(stage: Stage, target: str) -> Holder | None:
    """Who holds the lease on a target, or was killed with it; None for nobody."""
    text = stage.find(f"{_folder(target)}/lease.json")
    try:
        return msgspec.json.decode(text, type=Holder) if text else None
    except msgspec.MsgspecError:
        return Holder("", "", "an unknown machine", 0, "an unknown time")


class RunLease:
    """One run's hold on a target. `pause` waits so many seconds and says whether the run has ended meanwhile."""

    def __init__(self, stage: Stage, target: str, mine: Holder, seconds: float, pause: Callable[[float], bool]) -> None:
        self._stage, self._target, self._mine = stage, target, mine
        self._seconds, self._pause = seconds, pause
        self._lease, self._alive = (f"{_folder(target)}/{name}" for name in ("lease.json", "alive"))

    def take(self, say: Callable[[str], None]) -> bool:
        """Takes the lease; False where the run has ended before that. Raises TargetBusy where another run is at work."""
        while not self._create():
            other = holder_of(self._stage, self._target)
            if other is None:  # it has just been given back
                if self._pause(AGAIN_S):
                    return False
            elif other.place == self._mine.place:
                self._remove(other)
            else:
                say(f"{other} holds {self._target}: waiting up to {self._seconds:.0f} s for a sign of life of it")
                sign = self._sign_of_life(other)
                if sign:
                    raise busy(other, self._target)
                if sign is None:
                    return False
                self._remove(other)
                if self._create():
                    return self._is_settled()
        self._show(0)
        return True

    def keep(self, say: Callable[[str], None]) -> None:
        """Shows signs of life until the run has ended, then gives the lease back."""
        number = 0
        while not self._pause(self._seconds / BEATS):
            number += 1
            with suppress(LakehouseError):  # the next one may come through; the step that needs the workspace says what is wrong
                if holder_of(self._stage, self._target) != self._mine:
                    say(f"this run showed no sign of life for too long, and another one has {self._target} now")
                    return
                self._show(number)
        with suppress(LakehouseError):
            self._give_back()

    def _is_settled(self) -> bool:
        """Of two that take a lease over at once, the later one has it: waits for the other. Raises TargetBusy."""
        self._show(0)
        if self._pause(SETTLES_S):
            self._give_back()
            return False
        winner = holder_of(self._stage, self._target)
        if winner is not None and winner != self._mine:
            raise busy(winner, self._target)
        return True

    def _create(self) -> bool:
        return self._stage.create(self._lease, msgspec.json.encode(self._mine))

    def _remove(self, holder: Holder) -> None:
        """Removes the lease where it is this holder's. Its sign of life stays: somebody else may be looking at it."""
        if holder_of(self._stage, self._target) == holder:
            self._stage.remove([self._lease])

    def _give_back(self) -> None:
        if holder_of(self._stage, self._target) == self._mine:
            self._stage.remove([self._alive, self._lease])

    def _show(self, number: int) -> None:
        self._stage.write(self._alive, f"{self._mine.owner} {number}".encode())

    def _sign_of_life(self, other: Holder) -> bool | None:
        """Whether the holder shows one in time, or has gone; None where our own run has ended meanwhile."""
        before = self._stage.find(self._alive)
        until = time.monotonic() + self._seconds
        while time.monotonic() < until:
            if self._pause(self._seconds / LOOKS):
                return None
            if holder_of(self._stage, self._target) != other:
                return False
            if self._stage.find(self._alive) != before:
                return True
        return False


def busy(other: Holder, target: str) -> TargetBusy:
    """What ends the run that came second."""
    return TargetBusy(
        f"{other} writes into {target}",
        safe="Nothing was read or changed",
        action="wait until it has ended; or stop it there",
    )


def _folder(target: str) -> str:
    return f"{FOLDER}/{hashlib.sha256(target.encode()).hexdigest()[:12]}"
