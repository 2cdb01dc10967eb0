"""Many scenarios in a few runs of the job: each is a generator that yields loads, and goes on when a run has seen them.

A run of the job costs seconds on real Spark, whatever it applies: scenarios on streams of their own share the runs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from engine_kit import Lake
from lakehouse_kit import Made

Told = dict[str, dict[str, Any]]  # what was published of each load, by id
Scenario = Generator[list[Made], Told, None]


class Story:
    """Runs all scenarios side by side on one lake; what each ended with is kept for the test of its name."""

    def __init__(self, lake: Lake, scenarios: dict[str, Callable[[Lake], Scenario]]) -> None:
        self._ends: dict[str, BaseException | None] = {}
        self._waiting = {name: scenario(lake) for name, scenario in scenarios.items()}
        asked = {name: self._step(name, None) for name in scenarios}
        while asked := {name: loads for name, loads in asked.items() if loads is not None}:
            known = self._run(lake, [load for loads in asked.values() for load in loads])
            asked = {name: self._step(name, known) for name in asked}

    def _run(self, lake: Lake, loads: list[Made]) -> Told:
        _, printed = lake.engine.run(lake.order(loads))
        known: Told = lake.published()["loads"]
        missing = [load.load_id for load in loads if load.load_id not in known]
        assert not missing, printed[-4000:]
        return known

    def _step(self, name: str, known: Told | None) -> list[Made] | None:
        """The loads that a scenario asks for next; None when it has ended."""
        try:
            return self._waiting[name].send(known)  # type: ignore[arg-type]  # None starts it
        except StopIteration:
            self._ends[name] = None
        except BaseException as error:
            self._ends[name] = error
        return None

    def end(self, name: str) -> None:
        """Raises what a scenario ended with."""
        error = self._ends[name]
        if error is not None:
            raise error
