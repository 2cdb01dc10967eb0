"""What programs note of a run for its traces and lineage (docs/operations.md): one JSON object a line, into one file.

LIGHTHOUSE_NOTED names the file. entrypoint.sh sets it where a collector is to hear of the run; without it nothing is noted and
nothing is spent. Lines of several programs and threads never mix: each is one write to a file opened for appending. No note
holds a secret, a query's parameters, or a value of a row.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from singer_arrow import lines

VARIABLE = "LIGHTHOUSE_NOTED"
MOST_BYTES = 8 << 20  # of the file; spans beyond are not noted
SPAN, DATASET, CONVERTED = "span", "dataset", "converted"


def is_wanted() -> bool:
    """Whether somebody reads notes."""
    return bool(os.environ.get(VARIABLE))


def note(kind: str, **facts: Any) -> None:
    """Writes one note; nothing where nobody wants it, or where the file cannot be written."""
    path = os.environ.get(VARIABLE)
    if not path:
        return
    with suppress(OSError):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if kind != SPAN or os.fstat(file).st_size < MOST_BYTES:
                os.write(file, json.dumps({"kind": kind, **facts}, ensure_ascii=False).encode() + b"\n")
        finally:
            os.close(file)


@contextmanager
def span(name: str, stream: str | None = None, load: str | None = None, **attributes: Any) -> Iterator[dict[str, Any]]:
    """Notes what the block did, from when to when, and the class of what it raised; it may add to the attributes.

    `name` is the same for all of a sort. `stream` and `load` say what it is part of; without them it is part of the step.
    """
    if not is_wanted():
        yield attributes
        return
    began, error = time.time(), ""
    try:
        yield attributes
    except BaseException as raised:
        error = type(raised).__name__
        raise
    finally:
        note(
            SPAN, name=name, step=lines.step(), stream=stream, load=load, began=began, ended=time.time(), error=error,
            attributes=attributes,
        )  # fmt: skip


def dataset(stream: str, namespace: str, name: str, load: str | None = None) -> None:
    """Notes what a stream is at its source, as OpenLineage names it (its naming specification)."""
    note(DATASET, stream=stream, load=load, namespace=namespace, name=name)
