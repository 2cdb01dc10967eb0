"""How a process of the pipeline uses memory: what is freed goes back to the system instead of waiting in pools and arenas."""

from __future__ import annotations

import ctypes

# malloc.h of glibc; elsewhere mallopt is missing or refuses, and nothing is lost
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_ARENAS, _KEPT = 2, 16 << 20


def tame_memory(mapped: int = 4 << 20) -> None:
    """Arrow's buffers come from malloc (see the package), whose arenas are few and whose large blocks go back at once.

    To be called before any thread starts. `mapped` is how large a block must be to go back, in bytes: below the size of what is
    allocated over and over.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, mapped)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
