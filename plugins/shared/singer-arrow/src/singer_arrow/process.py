"""How a process of the pipeline uses memory: what is freed goes back to the system instead of waiting in pools and arenas."""

from __future__ import annotations

import ctypes

import pyarrow as pa

_M_ARENA_MAX = -8  # malloc.h of glibc; elsewhere mallopt is missing or refuses, and nothing is lost
_ARENAS = 2


def tame_memory() -> None:
    """Arrow's buffers come from malloc, whose arenas are few: threads that write Parquet share them. Before any thread starts."""
    pa.set_memory_pool(pa.system_memory_pool())
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
