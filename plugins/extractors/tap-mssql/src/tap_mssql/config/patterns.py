"""Patterns of schema.table: which names they choose, and near names for those that choose none. Pure text."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from singer_arrow.errors import SelectionRefused

Name = tuple[str, str]


def matches(pattern: str, name: Name) -> bool:
    """Whether `schema.table` is what the pattern says: `*` is any text, `?` any character, case does not count."""
    return _compiled(pattern).fullmatch(".".join(name)) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    words = {"*": ".*", "?": "."}
    return re.compile("".join(words.get(c) or re.escape(c) for c in pattern), re.IGNORECASE | re.DOTALL)


def choose(names: Sequence[Name], patterns: Sequence[str]) -> list[Name]:
    """The names that are chosen, in their order: the last pattern that matches decides, `!` in front leaves out.

    Without patterns, or where the first one leaves out, all are chosen to begin with. Raises SelectionRefused, with near names,
    for a pattern that chooses nothing.
    """
    refuse_idle([p for p in patterns if not p.startswith("!")], names, "streams")
    chosen = dict.fromkeys(names, not patterns or patterns[0].startswith("!"))
    for pattern in patterns:
        for name in names:
            if matches(pattern.removeprefix("!"), name):
                chosen[name] = not pattern.startswith("!")
    found = [name for name in names if chosen[name]]
    if names and not found:
        raise SelectionRefused(
            f"streams: {', '.join(patterns)} leaves no table",
            action="add a pattern without ! after the others, for example Sales.*",
        )
    return found


def refuse_idle(patterns: Iterable[str], names: Sequence[Name], setting: str) -> None:
    """Raises SelectionRefused for patterns that match no name, with the names they may have meant."""
    idle = [p for p in patterns if not any(matches(p, name) for name in names)]
    if idle:
        lines = [f"  {pattern}: {_near(pattern, names)}" for pattern in idle]
        raise SelectionRefused(
            f"{setting}: no table or view that this login may see has such a name:\n" + "\n".join(lines),
            action=f"correct {setting}, or GRANT SELECT on the tables to this login",
        )


def _near(pattern: str, names: Sequence[Name]) -> str:
    import difflib  # only where something is wrong

    known = {".".join(name).lower(): ".".join(name) for name in names}
    near = difflib.get_close_matches(pattern.lower(), known, 3, 0.6)
    near += [low for low in known if low.endswith(f".{pattern.lower()}") and low not in near]
    if near:
        return f"did you mean {' or '.join(known[low] for low in near[:3])}?"
    return f"the schemas with tables are {', '.join(sorted({schema for schema, _ in names})) or 'none'}"


def refuse_twins(names: Iterable[Name]) -> None:
    """Raises SelectionRefused for chosen tables whose streams would have one name: `a-b`.`c` and `a`.`b-c`."""
    streams = defaultdict(list)
    for name in names:
        streams["-".join(name)].append(name)
    lines = [
        f"  stream {stream}: {' and '.join(f'schema {schema!r} table {table!r}' for schema, table in twins)}"
        for stream, twins in streams.items()
        if len(twins) > 1
    ]
    if lines:
        raise SelectionRefused(
            "tables share the name of a stream:\n" + "\n".join(lines),
            action="leave one of each out: put its schema and name, with ! in front, last in streams",
        )
