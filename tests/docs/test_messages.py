"""Every message of the error trees says what happened and where, what is safe, and what to do, in plain English."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from docs_kit import ROOT

from singer_arrow.errors import Failure

TREES = ("singer_arrow", "tap_mssql", "tap_rest_api_msdk", "target_parquet", "lakehouse")
# Words that a native engineer would not write in a message, or that leave the reader alone.
ODD = re.compile(
    r"\bmend\b|\bsee which\b|its words|(?<!there )\bis no [a-z]+\b(?! longer)|\bis not here\b|\bnobody\b|\btold\b|in mid-run"
    r"|\bto begin with\b|where nobody|\bpour|report this\.$",
    re.I,
)


@dataclass(frozen=True)
class Raised:
    """A place where an error is made: its class, its keyword arguments, and the constant text of its first argument."""

    place: str
    kind: type[Failure]
    what: str
    has_place: bool
    given: frozenset[str]


def kinds() -> dict[str, type[Failure]]:
    found: dict[str, type[Failure]] = {}
    for package in TREES:
        module = importlib.import_module(f"{package}.errors")
        found |= {name: each for name, each in vars(module).items() if isinstance(each, type) and issubclass(each, Failure)}
    return found


def text_of(node: ast.expr) -> tuple[str, bool]:
    """The constant text of a message, and whether a value stands in it."""
    if isinstance(node, ast.Constant):
        return str(node.value), False
    if isinstance(node, ast.JoinedStr):
        parts = [text_of(each) for each in node.values]
        return "".join(text for text, _ in parts), any(has for _, has in parts)
    if isinstance(node, ast.BinOp):
        left, right = text_of(node.left), text_of(node.right)
        return left[0] + right[0], left[1] or right[1]
    return "…", True


@cache
def raised() -> list[Raised]:
    known, found = kinds(), []
    for package in TREES:
        [source] = ROOT.glob(f"plugins/*/*/src/{package}")
        for path in source.rglob("*.py"):
            found += list(_in(path, known))
    return found


def _in(path: Path, known: dict[str, type[Failure]]) -> Iterator[Raised]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in known and node.args:
            what, has_place = text_of(node.args[0])
            given = frozenset(each.arg for each in node.keywords if each.arg)
            yield Raised(f"{path.relative_to(ROOT)}:{node.lineno}", known[node.func.id], what, has_place, given)


def test_the_trees_are_found() -> None:
    assert len(kinds()) > 20
    assert len(raised()) > 60
    assert {each.kind.__module__.partition(".")[0] for each in raised()} == set(TREES)


@pytest.mark.parametrize("kind", kinds().values(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_a_class_says_what_is_safe_and_what_to_do(kind: type[Failure]) -> None:
    assert re.match(r"^[A-Z]", kind.SAFE) and not kind.SAFE.endswith("."), kind.SAFE
    assert re.match(r"^[a-z]", kind.ACTION) and not kind.ACTION.endswith("."), kind.ACTION
    assert not ODD.search(f"{kind.SAFE}. {kind.ACTION}")


def test_a_message_has_its_parts_in_order() -> None:
    message = str(Failure("stream a-b: the link broke.", safe="Nothing was read", action="run again."))
    assert message == "stream a-b: the link broke. Nothing was read. What to do: run again."
    assert str(Failure("x").keeping("All is kept.")).startswith("x. All is kept. What to do: ")


def test_every_message_names_a_place() -> None:
    """A stream, file, host or setting stands in it."""
    assert [each.place for each in raised() if not each.has_place and "standard input" not in each.what] == []


def test_no_message_gives_its_advice_in_its_first_sentence() -> None:
    """What to do is a part of its own, so that no message lacks it."""
    advice = re.compile(r"; (run|set|check|see|wait|use|deselect|correct|discover) |[Rr]un again|What to do", re.I)
    assert [f"{each.place}: {each.what}" for each in raised() if advice.search(each.what)] == []


def test_messages_are_plain_english() -> None:
    assert [f"{each.place}: {each.what}" for each in raised() if ODD.search(each.what)] == []
