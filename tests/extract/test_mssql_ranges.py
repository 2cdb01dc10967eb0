"""However a table is cut into ranges, and whichever of them a kill leaves: together they are the table, once."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_mssql.read.ranges import FinishedRange, Place, Range, between, in_order, missing

KEYS = 40


def inside(range_: Range, key: int) -> bool:
    return (range_.lower is None or key > int(range_.lower[0])) and (range_.upper is None or key <= int(range_.upper[0]))


def finished(range_: Range) -> FinishedRange:
    return FinishedRange(range=range_, rows=0, source_rows=0, files=[], columns={}, finer={})


def read(waiting: list[Range], done: list[Range], chance: random.Random, most: int) -> list[Range]:
    """Readers that cut what they take at random, and finish at most so many ranges, in any order."""
    taken: set[Place] = {r.place for r in [*waiting, *done]}
    while waiting and len(done) < most:
        range_ = waiting.pop(chance.randrange(len(waiting)))
        keys = [k for k in range(KEYS) if inside(range_, k)]
        while len(keys) > 1 and chance.random() < 0.6:
            at = chance.randrange(len(keys) - 1)
            rest = range_.beyond((str(keys[at]),), taken)
            assert rest.place not in taken and rest.place > range_.place
            taken.add(rest.place)
            waiting.append(rest)
            range_, keys = range_.up_to((str(keys[at]),)), keys[: at + 1]
        done.append(range_)
    return done


@given(st.integers(), st.integers(1, 60), st.floats(0, 1))
def test_ranges_left_by_a_kill_and_those_read_afterwards_are_the_table_once(seed: int, most: int, kept: float) -> None:
    chance = random.Random(seed)
    first = read([Range()], [], chance, most)
    left = [r for r in first if chance.random() < kept]
    gaps = missing(left)
    assert len({r.place for r in [*gaps, *left]}) == len(gaps) + len(left)
    whole = read(list(gaps), list(left), chance, 10_000)
    for key in range(KEYS):
        assert sum(inside(r, key) for r in whole) == 1, key
    ordered = [f.range for f in in_order(finished(r) for r in whole)]
    assert [r.lower for r in ordered[1:]] == [r.upper for r in ordered[:-1]]


@given(st.integers(), st.data())
def test_a_range_that_is_missing_is_never_taken_for_a_whole(seed: int, data: st.DataObject) -> None:
    whole = read([Range()], [], random.Random(seed), 10_000)
    lost = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ValueError, match="do not join"):
        in_order(finished(r) for r in [whole[lost], *whole] if len(whole) == 1 or r is not whole[lost])


def test_places_sort_as_keys_do_however_often_a_range_is_cut_again() -> None:
    taken: set[Place] = {(1,), (2,), (3,)}
    for place in ((1,), (1,), (1, 1), (1,), (3,)):
        found = between(place, taken)
        after = min((t for t in taken if t > place), default=(99,))
        assert place < found < after and found not in taken
        taken.add(found)
