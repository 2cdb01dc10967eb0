"""Random APIs: one of the styles, a table, and some misbehaviours, all of it from one seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from api_kit import faults, table, wire
from api_kit.faults import Fault, changes, on, status
from api_kit.server import Serve
from api_kit.styles import PAGE, STYLES
from api_kit.table import Table, rows

Maker = Callable[[random.Random, int, int], Fault]  # of the dice, a page's start, and a number of times
LIST = "restapi_header_link"  # its body is a bare list: nothing stands beside the records
COUNTS = (0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 3 * PAGE, 57, 100)
OFFSETS = ("offset", "simple_offset", "style1")


def _at(alter: faults.Alter) -> Maker:
    return lambda dice, start, times: on(alter, start=start, times=times)


BODIES = ("truncated", "gzip cut", "html")  # fetched again at most twice
PASSING: dict[str, Maker] = {  # gone when asked again
    "cut": _at(wire.cut),
    "reset": _at(wire.reset),
    "closed": _at(wire.closed),
    "chunks cut": _at(wire.chunks_cut),
    "truncated": _at(wire.truncated),
    "gzip cut": _at(wire.gzip_cut),
    "html": _at(wire.html),
    "5xx": lambda dice, start, times: on(
        status(dice.choice([500, 501, 502, 503, 504, *range(520, 530)])), start=start, times=times
    ),
    "429": _at(status(429, headers={"Retry-After": "0"})),
    "403 with Retry-After": _at(status(403, headers={"Retry-After": "0"})),
}
HARMLESS: dict[str, Maker] = {  # always there, and right
    "gzip": lambda dice, start, times: on(wire.gzipped),
    "chunked": lambda dice, start, times: on(wire.chunked),
    "byte order mark": lambda dice, start, times: on(wire.with_bom),
    "no length": lambda dice, start, times: on(wire.without_length, start=start),
    "404 behind the end": lambda dice, start, times: on(status(404), behind=True),
    "204 behind the end": lambda dice, start, times: on(wire.no_content, behind=True),
}
MOVES: dict[str, table.Change] = {  # with keys they are seen, and read again
    "a row in front for the last one": table.insert_in_front_and_delete_last,
    "another order": table.in_another_order(),
    "a row in front": table.insert_in_front,
}
SHRINKS: dict[str, table.Change] = {"the first row goes": table.delete_first}  # seen by a total, or where pages overlap
HIDDEN: dict[str, table.Change] = {  # seen where pages overlap only
    "the first row goes and one comes at the end": table.delete_first_and_append,
}
ENDS: dict[str, table.Change] = {"a row at the end": table.append, "the last row goes": table.delete_last}  # seen by anybody
LIES: dict[str, Maker] = {  # beside a total
    "total too high": lambda dice, start, times: on(faults.total(lambda right, own: right + dice.randint(1, 30))),
    "total too low": lambda dice, start, times: on(faults.total(lambda right, own: max(right - dice.randint(1, 30), 0))),
    "the page's own total": lambda dice, start, times: on(faults.total(lambda right, own: own)),
    "no total on a page": _at(faults.members(total=None)),
    "an empty page": lambda dice, start, times: on(faults.empty, start=start, times=dice.choice([1, None])),
}
TROUBLES: dict[str, Maker] = {
    "an error beside empty data": _at(faults.members(data=[], error="quota exceeded")),
    "503 for ever": lambda dice, start, times: on(status(503), start=start),
    "html for ever": lambda dice, start, times: on(wire.html, start=start),
    "truncated for ever": lambda dice, start, times: on(wire.truncated, start=start),
    "404": lambda dice, start, times: on(status(404), start=start),
    "always the first page": lambda dice, start, times: faults.same_page,
}
KEYED_LIES: dict[str, Maker] = {
    "a row twice for another": lambda dice, start, times: on(
        faults.records(lambda found: [*found[:-1], *found[:1]]), start=start, times=dice.choice([1, None])
    ),
    "what was asked before": lambda dice, start, times: faults.late,
    "two pages in turn": lambda dice, start, times: faults.alternating,
    "another order each time": lambda dice, start, times: changes(table.in_another_order(), 0, 1, None),
}


@dataclass
class Mixture:
    """One random API. `curable`: nothing is wrong that a client could not get over, so the load must be complete."""

    seed: int
    style: str
    count: int
    keys: bool
    total: bool
    names: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    curable: bool = True
    settings: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.style}, {self.count} rows, {'keys' if self.keys else 'no keys'}, "
            f"{'total' if self.total else 'no total'}, {self.settings}: {', '.join(self.names) or 'nothing wrong'}"
        )

    def serve(self) -> tuple[Serve, Table]:
        held = Table(rows(self.count))
        return faults.together(*self.faults)(STYLES[self.style].serve(held, total=self.total), held), held

    def add(self, name: str, fault: Fault) -> None:
        self.names.append(name)
        self.faults.append(fault)


def mixture(seed: int) -> Mixture:
    """The API of a seed: always the same one."""
    dice = random.Random(seed)
    style = dice.choice([*STYLES, "offset", "offset", "offset"])
    made = Mixture(seed, style, dice.choice([*COUNTS, dice.randint(12, 120)]), dice.random() < 0.8, dice.random() < 0.6)
    made.total &= style != LIST
    made.settings = {"max_parallel_pages": dice.choice([1, 2, 4, 8])}
    if style in OFFSETS:
        made.settings["overlap_pages"] = dice.random() < 0.5
    starts = range(0, max(made.count, 1), PAGE) if style != "single_page" else [0]
    _move(made, dice)
    if dice.random() < 0.35:
        _lie(made, dice, starts)
    if style in OFFSETS and made.total and dice.random() < 0.3 and made.curable:
        made.add("pages of any length", faults.caps(dice, 3, PAGE))
        starts = [0]
    free = list(starts)  # pages whose body was not broken yet
    for _ in range(dice.choice([0, 0, 1, 1, 2, 3])):
        name, start = dice.choice([*PASSING]), dice.choice(starts)
        if name not in BODIES or start in free:
            made.add(name, PASSING[name](dice, start, dice.choice([1, 1, 2])))
        free = [each for each in free if name not in BODIES or each != start]
    if dice.random() < 0.4:
        name = dice.choice([*HARMLESS])
        if made.total or "behind" not in name or not STYLES[style].has_end:
            made.add(name, HARMLESS[name](dice, dice.choice(starts), 1))
    return made


def _move(made: Mixture, dice: random.Random) -> None:
    """At most one kind of change of the rows while they are read."""
    if dice.random() < 0.5:
        return
    kinds, overlap = dict(ENDS), made.settings.get("overlap_pages")
    if made.keys:
        kinds |= MOVES
    if overlap or (made.keys and made.total):
        kinds |= SHRINKS
    if overlap:
        kinds |= HIDDEN
    name = dice.choice([*kinds])
    times = dice.choice([1, 1, 2, 3])
    made.add(f"{name}, {times} times", changes(kinds[name], dice.randint(1, 8), dice.randint(1, 5), times))


def _lie(made: Mixture, dice: random.Random, starts: Sequence[int]) -> None:
    """Something that no client gets over, or not always."""
    kinds: dict[str, Maker] = {"503 for ever": TROUBLES["503 for ever"], "html for ever": TROUBLES["html for ever"]}
    if made.style != LIST:
        kinds = dict(TROUBLES)
        if made.total:
            kinds |= LIES
        elif not STYLES[made.style].has_end:
            kinds["an empty page"] = LIES["an empty page"]
        if made.keys and made.count and made.total:
            kinds |= KEYED_LIES
    if not made.total and not STYLES[made.style].has_end and len(starts) > 1:
        starts = starts[:-1]  # a last page that is not shown is the end for everybody
    elif not made.total:
        kinds = {name: kind for name, kind in kinds.items() if name not in ("404", "an empty page")}
    name = dice.choice([*kinds])
    made.add(name, kinds[name](dice, dice.choice(starts), 1))
    made.curable = False
