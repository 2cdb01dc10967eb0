"""System libraries that the Microsoft driver looks for by name, taken from this environment where the system lacks them.

`scripts/setup` puts them into `lib/driver` of the virtual environment on a machine without them, so that nobody needs root.
A library that is loaded already is found by its name (dlopen(3): an object with the same SONAME is not loaded again).
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path


def load_libraries(folder: Path = Path(sys.prefix, "lib", "driver")) -> list[str]:
    """Loads every library of the folder, whatever order they need each other in; the names of those that could not be."""
    waiting = sorted(folder.glob("*.so.*"))
    while waiting:
        left = [path for path in waiting if not _load(path)]
        if len(left) == len(waiting):
            break
        waiting = left
    return [path.name for path in waiting]


def _load(path: Path) -> bool:
    try:
        ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True
