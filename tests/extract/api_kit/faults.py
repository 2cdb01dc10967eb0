"""Misbehaviours: each turns an honest API into one that does something wrong, always, now and then, or on one page.

A fault is made of a serving function and its table, and so can be put over another fault.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from api_kit.server import Reply, Request, Serve
from api_kit.table import Change, Table

Fault = Callable[[Serve, Table], Serve]
Alter = Callable[[Reply], Reply]


def together(*faults: Fault) -> Fault:
    """One fault over the other; the first is nearest to the honest API."""
    return lambda serve, table: reduce(lambda so_far, fault: fault(so_far, table), faults, serve)


def honest(serve: Serve, table: Table) -> Serve:
    """Nothing is wrong."""
    return serve


def on(alter: Alter, start: int | None = None, times: int | None = None, behind: bool = False) -> Fault:
    """Alters answers: of the page that holds row `start` (from 0), of every page without it, of those behind the end (`behind`).

    With `times` only the first so many of each page; a page is known by what was asked for.
    """

    def fault(serve: Serve, table: Table) -> Serve:
        seen: Counter[str] = Counter()

        def altered(request: Request) -> Reply:
            reply = serve(request)
            chosen = start is None or _holds(reply, start)
            if behind:
                chosen = reply.start is not None and reply.start >= max(len(table.rows), 1)
            if not chosen:
                return reply
            seen[str(sorted(request.parameters.items()))] += 1
            return alter(reply) if times is None or seen[str(sorted(request.parameters.items()))] <= times else reply

        return altered

    return fault


def _holds(reply: Reply, row: int) -> bool:
    """Whether a page holds a row, or begins there without any."""
    return reply.start is not None and (reply.start <= row < (reply.stop or 0) or row == reply.start)


def first_requests(count: int, alter: Callable[[int, Reply], Reply]) -> Fault:
    """Alters the first `count` answers of all, each by its number."""

    def fault(serve: Serve, table: Table) -> Serve:
        answered = 0

        def altered(request: Request) -> Reply:
            nonlocal answered
            reply = serve(request)
            answered += 1
            return alter(answered - 1, reply) if answered <= count else reply

        return altered

    return fault


def changes(change: Change, after: int = 1, every: int | None = None, times: int | None = 1) -> Fault:
    """The table changes before the request behind `after` others; with `every`, before every so many then; at most `times`."""

    def fault(serve: Serve, table: Table) -> Serve:
        arrived = done = 0

        def altered(request: Request) -> Reply:
            nonlocal arrived, done
            due = arrived >= after and (arrived - after) % (every or 10**9) == 0
            if due and (times is None or done < times):
                change(table)
                done += 1
            arrived += 1
            return serve(request)

        return altered

    return fault


def members(**changed: Any) -> Alter:
    """Sets members beside the records."""
    return lambda reply: reply.but({**reply.content, **changed})


def without(name: str) -> Alter:
    """Leaves a member out."""
    return lambda reply: reply.but({key: value for key, value in reply.content.items() if key != name})


def total(told: Callable[[int, int], Any]) -> Alter:
    """Another total: of the right one, and of the number of records on the page."""
    return lambda reply: reply.but({**reply.content, "total": told(reply.content["total"], len(reply.content["data"]))})


def records(change: Callable[[list[dict[str, Any]]], list[Any]]) -> Alter:
    """Other records on the page."""
    return lambda reply: reply.but({**reply.content, "data": change(reply.content["data"])})


def field(number: int, **changed: Any) -> Alter:
    """Other values in the record with this id; `...` leaves the field out."""

    def of(record: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in {**record, **changed}.items() if v is not ...} if record["id"] == number else record

    return records(lambda found: [of(record) for record in found])


def status(code: int, content: Any = b"", headers: Mapping[str, str] | None = None) -> Alter:
    """Another answer than the page."""
    return lambda reply: reply.but(content or {"message": f"status {code}"}, status=code, headers=headers or {}, raw=None)


def empty(reply: Reply) -> Reply:
    """A page without records, and everything else right."""
    return reply.but({**reply.content, "data": []})


def same_page(serve: Serve, table: Table) -> Serve:
    """Whatever is asked for, the first page comes."""
    first: list[Reply] = []

    def altered(request: Request) -> Reply:
        first.append(serve(request))
        return first[0]

    return altered


def alternating(serve: Serve, table: Table) -> Serve:
    """Whatever is asked for, two pages come in turn."""
    kept: list[Reply] = []
    count = 0

    def altered(request: Request) -> Reply:
        nonlocal count
        if not kept:
            first = serve(request)
            size = len(first.content["data"])
            kept.extend(first.but({**first.content, "data": table.rows[at : at + size]}) for at in (0, size))
        count += 1
        return kept[(count - 1) % 2]

    return altered


def late(serve: Serve, table: Table) -> Serve:
    """A cache that answers each request with what belonged to the one before."""
    kept: list[Reply] = []

    def altered(request: Request) -> Reply:
        kept.append(serve(request))
        return kept[max(len(kept) - 2, 0)]

    return altered


def caps(dice: random.Random, least: int, most: int) -> Fault:
    """Pages of any length up to the limit: the same one for the same question."""

    def fault(serve: Serve, table: Table) -> Serve:
        lengths: dict[int, int] = {}

        def altered(request: Request) -> Reply:
            reply = serve(request)
            if reply.start is None:
                return reply
            length = lengths.setdefault(reply.start, dice.randint(least, most))
            return reply.but({**reply.content, "data": reply.content["data"][:length]})

        return altered

    return fault
