"""What a doctor finds, program by program: a line that says how it is and, where it could be better, what to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import asdict

FAILED = 3  # exit code
_MARKS = {"ok": "ok     ", "warning": "warning", "failed": "FAILED ", "not available": "n/a    "}


class Finding(Struct, frozen=True):
    """One finding; `not available`: it could not be tried here. `fix` says what to do; empty where nothing is."""

    name: str
    status: Literal["ok", "warning", "failed", "not available"]
    text: str
    fix: str = ""


def tell(findings: Sequence[Finding], in_json: bool = False) -> int:
    """Prints them, for people or as JSON. Returns the exit code: 0, or 3 when something failed."""
    sys.stdout.write(as_json(findings) if in_json else as_table(findings))
    sys.stdout.flush()
    return FAILED if any(finding.status == "failed" for finding in findings) else 0


def as_table(findings: Sequence[Finding]) -> str:
    """For people: a row per finding, what to do below it; no text is cut or broken."""
    width = max((len(finding.name) for finding in findings), default=0)
    lines = []
    for each in findings:
        told = [*each.text.splitlines(), *(f"what to do: {each.fix}".splitlines() if each.fix else [])]
        heads = [f"{_MARKS[each.status]}  {each.name:<{width}}", *[" " * (9 + width)] * (len(told) - 1)]
        lines += [f"{head}  {text}".rstrip() for head, text in zip(heads, told, strict=True)]
    return "".join(f"{line}\n" for line in lines)


def as_json(findings: Sequence[Finding]) -> str:
    """For programs: a list of objects with name, status, text and fix."""
    return json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2) + "\n"
