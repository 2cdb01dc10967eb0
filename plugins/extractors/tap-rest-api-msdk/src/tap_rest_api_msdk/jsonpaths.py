"""The few JSONPaths that name one place in an answer; anything cleverer goes through the general walk."""

from __future__ import annotations

import re

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
    """The same for a path of records, which must end in `[*]`: `$.data[*]` → `["data"]`, `$[*]` → `[]`."""
    return steps(path.removesuffix("[*]")) if path.endswith("[*]") else None


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
