"""`pyarrow.compute`, imported when it is first used: it makes hundreds of functions, and who only adopts parts calls none."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    import pyarrow.compute

    found = getattr(pyarrow.compute, name)
    globals()[name] = found
    return found
