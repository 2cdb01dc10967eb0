"""Many scenarios in a few runs of the job: each is a generator that yields loads, and goes on when a run has seen them.

A run of the job costs seconds on real Spark, whatever it applies: scenarios on streams of their own share the runs of a lake.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import pytest
from engine_kit import ALL_ON_SPARK, Engine, Lake
from lakehouse_kit import Made

Told = dict[str, dict[str, Any]]  # what was published of each load, by id
GOOD = {"applied", "already", "superseded"}


@dataclass(frozen=True)
class Ask:
    """Loads for the next run, those that were sent again, and what happens between the order and the run."""

    loads: list[Made]
    again: tuple[str, ...] = ()
    meanwhile: Callable[[], object] = lambda: None


Scenario = Generator[list[Made] | Ask, Told, None]
Play = Callable[[Lake], Scenario]


def on(lake: str, *engines: str) -> Callable[[Play], Play]:
    """Gives a scenario a lake that it shares only with those that name the same one, and the engines it is for."""

    def mark(play: Play) -> Play:
        play.lake, play.engines = lake, engines  # type: ignore[attr-defined]
        return play

    return mark


def seldom_on_spark(play: Play) -> Play:
    """A scenario about what the job decides by itself, whatever the engine: on real Spark it is run before a release."""
    play.seldom_on_spark = True  # type: ignore[attr-defined]
    return play


def scenarios(module: str, spark: str = "path", sail: str = "path") -> pytest.MarkDecorator:
    """A test for each scenario of a module, on each engine; which lake they share where they do not say it themselves."""
    cases = []
    for name, play in vars(sys.modules[module]).items():
        if not inspect.isgeneratorfunction(play) or play.__module__ != module:
            continue
        for engine in getattr(play, "engines", ()) or ("sail", "spark"):
            if engine == "spark" and getattr(play, "seldom_on_spark", False) and not ALL_ON_SPARK:
                continue
            lake = getattr(play, "lake", {"sail": sail, "spark": spark}[engine])
            marks = pytest.mark.spark if engine == "spark" else ()
            cases.append(pytest.param(engine, (lake, play), id=f"{engine}-{name}", marks=marks))
    return pytest.mark.parametrize(("engine", "play"), cases, indirect=["engine"], scope="session")


class Stories:
    """The stories of an engine, one for each lake. Of the tests that are asked for, each story has the scenarios."""

    def __init__(self, engine: Engine, items: list[pytest.Item], folder: Callable[[str], Any]) -> None:
        self._engine, self._folder = engine, folder
        self._plays: dict[str, dict[str, Play]] = {}
        for item in items:
            params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
            if "play" in params and params["engine"] == engine.kind:
                lake, play = params["play"]
                self._plays.setdefault(lake, {})[play.__name__] = play
        self._stories: dict[str, Story] = {}

    def end(self, lake: str, name: str) -> None:
        """Raises what a scenario ended with; the first one asked for runs all of its lake."""
        if lake not in self._stories:
            own = Lake(self._engine, self._folder(lake.replace(" ", "-")), by_name=lake == "name")
            self._stories[lake] = Story(own, self._plays[lake])
        self._stories[lake].end(name)


class Story:
    """Runs all scenarios side by side on one lake; what each ended with is kept for the test of its name."""

    def __init__(self, lake: Lake, plays: dict[str, Play]) -> None:
        self._ends: dict[str, BaseException | None] = {}
        self._waiting = {name: play(lake) for name, play in plays.items()}
        asked = {name: self._step(name, None) for name in plays}
        while asked := {name: ask for name, ask in asked.items() if ask is not None}:
            try:
                known = self._run(lake, list(asked.values()))
            except BaseException as error:
                self._ends |= dict.fromkeys(asked, error)
                break
            asked = {name: self._step(name, known) for name in asked}

    def _run(self, lake: Lake, asks: list[Ask]) -> Told:
        loads = [load for ask in asks for load in ask.loads]
        order = lake.order(loads, tuple(load_id for ask in asks for load_id in ask.again))
        for ask in asks:
            ask.meanwhile()
        code, printed = lake.engine.run(order)
        known: Told = lake.published()["loads"]
        missing = [load.load_id for load in loads if load.load_id not in known]
        assert not missing, printed[-4000:]
        assert code == int(any(known[load.load_id]["status"] not in GOOD for load in loads)), printed[-4000:]
        return known

    def _step(self, name: str, known: Told | None) -> Ask | None:
        """What a scenario asks for next; None when it has ended."""
        try:
            asked = self._waiting[name].send(known)  # type: ignore[arg-type]  # None starts it
            return asked if isinstance(asked, Ask) else Ask(asked)
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
