"""What a load left in the spool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def staged(spool: Path, stream: str = "things") -> list[dict[str, Any]]:
    """The rows of the one load of a stream, as its document names them."""
    [document] = [json.loads(path.read_text()) for path in (spool / stream).glob("*.load.json")]
    rows = [row for file in document["files"] for row in pq.read_table(spool / stream / file["path"]).to_pylist()]
    return [{name: value for name, value in row.items() if name != document["row_number"]} for row in rows]


def ids(spool: Path, stream: str = "things") -> list[int]:
    return [row["id"] for row in staged(spool, stream)]
