"""Short starts: what a command imports, it imports without what only long-lived programs need."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Imports in the block are not searched for garbage, neither meanwhile nor at the end: they stay.

    Pydantic looks for plugins among all installed packages, and here are none.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
