"""Parquet parts, load documents and manifests: what the taps and the target share (docs/contracts.md)."""

import os

# Read while Arrow is imported, which no entry point does before this. `pyarrow.set_memory_pool` would reach what Python allocates
# alone: the Parquet writer would go on with Arrow's own pool, a gigabyte of huge pages.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
