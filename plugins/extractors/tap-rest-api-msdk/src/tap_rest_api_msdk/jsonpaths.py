"""The few JSONPaths that name one place in an answer; anything cleverer goes through the general walk."""

from __future__ import annotations

import re
from typing import Any

_STEP = re.compile(r"""\.([A-Za-z_][\w-]*)|\[(?:'([^']+)'|"([^"]+)")\]""")


def steps(path: str) -> list[str] | None:
    """`$.a['b c']` → `["a", "b c"]`; None for a path that may name more than one place."""
    if not path.startswith("$"):
        path = "$." + path
    found: list[str] = []
    at = 1
    while at < len(path):
        match = _STEP.match(path, at)
        if not match:
            return None
        found.append(next(group for group in match.groups() if group))
        at = match.end()
    return found


def list_steps(path: str) -> list[str] | None:
    """The same for a path of records, whose `[*]` may be missing: `$.data[*]` → `["data"]`, `$[*]` → `[]`."""
    return steps(path.removesuffix("[*]"))


def malformed(path: str) -> str:
    """Why a text is no JSONPath; empty for one that is. What `steps` reads needs no look by the library."""
    if steps(path.removesuffix("[*]")) is not None:
        return ""
    from jsonpath_ng.exceptions import JSONPathError
    from jsonpath_ng.ext.parser import parse

    try:
        parse(path)
    except JSONPathError as error:
        return str(error)
    return ""


def parsed(path: str) -> Any:
    """A JSONPath of the library that the published tap uses."""
    from jsonpath_ng.ext.parser import parse

    return parse(path)


def list_of(path: Any) -> Any:
    """The list that a parsed path goes through first, whole or filtered: `$.data` of `$.data[?(@.a>1)].b`; or None."""
    from jsonpath_ng.ext.filter import Filter
    from jsonpath_ng.jsonpath import Child, Slice

    found = None
    while isinstance(path, Child):
        if isinstance(path.right, Filter | Slice):
            found = path.left
        path = path.left
    return found


def filters(path: str) -> bool:
    """Whether a path of records may leave some of a list out."""
    return list_steps(path) is None
