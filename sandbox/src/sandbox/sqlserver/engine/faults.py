"""Faults on request: `--faults FILE` says which logins and statements fail, with which error, how often and where.

```json
{"logins": [{"error": 40613, "times": 2}],
 "statements": [{"match": "FROM \\\\[Sales\\\\]", "error": 1205, "times": 1, "after_rows": 1000}]}
```

| key | meaning |
|---|---|
| `match` | regular expression, searched in the statement's text without regard to case; without it every statement |
| `error` | error number; text, class and state are the real ones, `message`, `severity`, `state` override them |
| `times` | how often (1); null for always |
| `skip` | how many matches pass first (0) |
| `after_rows` | rows that are sent before the error or the cut |
| `close` | true: the connection is cut, after the error or within the last row; "between rows": exactly after that row |
| `replace` | [regular expression, text]: the server understands the statement so, as one with a fault of its own does |
| `run` | SQL that a session of its own runs just before the statement |

The file is read again at each login and each statement. Writing it, even unchanged, resets all counts.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from sandbox.sqlserver.errors import SqlError, known

_KEYS = frozenset({"match", "error", "times", "skip", "after_rows", "close", "run", "replace", "message", "severity", "state"})


class Cut(ConnectionResetError):
    """The connection must be closed here: in the middle of a row, or exactly between two."""

    def __init__(self, between_rows: bool = False) -> None:
        super().__init__("cut by a fault")
        self.between_rows = between_rows


@dataclass(frozen=True)
class Fault:
    """What happens to one login or statement."""

    error: SqlError | None
    close: bool
    between_rows: bool
    after_rows: int
    run: str
    replace: tuple[str, str] | None = None

    def understood(self, text: str) -> str:
        """What a statement is to the server."""
        return re.sub(*self.replace, text, flags=re.IGNORECASE | re.DOTALL) if self.replace else text

    @property
    def harmless(self) -> bool:
        """Whether the statement itself runs as usual."""
        return self.error is None and not self.close

    def strike(self) -> None:
        """Raises the error, or Cut; an error with `close` cuts after it."""
        if self.error is not None:
            self.error.fatal |= self.close
            raise self.error
        if self.close:
            raise Cut(self.between_rows)

    def after(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The rows before the fault, then the fault; also when there are fewer."""
        left = self.after_rows
        for batch in batches:
            yield batch.slice(0, left)
            left -= batch.num_rows
            if left <= 0:
                break
        self.strike()


class Faults:
    """The rules of a file, and how often each has matched."""

    def __init__(self, file: Path | None, database: str) -> None:
        self._file = file
        self._database = database
        self._lock = threading.Lock()
        self._matches: Counter[tuple[str, int]] = Counter()
        self._written = 0

    def login(self) -> Fault | None:
        """The fault of the next login. Raises SqlError 50000 if the file is invalid."""
        return self._next("logins", "")

    def statement(self, text: str) -> Fault | None:
        """The fault of this statement, by the first rule that matches. Raises SqlError 50000 if the file is invalid."""
        return self._next("statements", text)

    def _next(self, kind: str, text: str) -> Fault | None:
        if self._file is None:
            return None
        with self._lock:
            written = self._file.stat().st_mtime_ns if self._file.exists() else 0
            if written != self._written:
                self._written = written
                self._matches.clear()
            for number, rule in enumerate(_read(self._file, kind)):
                if not re.search(rule.get("match", ""), text, re.IGNORECASE | re.DOTALL):
                    continue
                self._matches[kind, number] += 1
                times, passed = rule.get("times", 1), self._matches[kind, number] - rule.get("skip", 0)
                if passed > 0 and (times is None or passed <= times):
                    return self._fault(rule)
        return None

    def _fault(self, rule: dict[str, Any]) -> Fault:
        error = None
        if rule.get("error") is not None:
            error = known(int(rule["error"]), self._database)
            error = SqlError(
                error.number,
                rule.get("message", str(error)),
                rule.get("severity", error.severity),
                rule.get("state", error.state),
            )
        close = rule.get("close", False)
        replace = tuple(rule["replace"]) if "replace" in rule else None
        return Fault(error, bool(close), close == "between rows", int(rule.get("after_rows", 0)), rule.get("run", ""), replace)


def _read(file: Path, kind: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(file.read_text()) if file.exists() else {}
        rules: list[dict[str, Any]] = document.get(kind, [])
        unknown = {key for rule in rules for key in rule} - _KEYS | set(document) - {"logins", "statements"}
    except (ValueError, AttributeError, TypeError) as problem:
        raise SqlError(50_000, f"sandbox: the faults file {file} is invalid: {problem}") from None
    if unknown:
        raise SqlError(50_000, f"sandbox: the faults file {file} has unknown keys: {', '.join(sorted(unknown))}")
    return rules
