"""The ready file: it appears once a server accepts connections, and says where."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path


def write_ready(file: Path, facts: Mapping[str, object]) -> None:
    """Writes this process' id and the facts as JSON; a reader sees all of it or nothing."""
    hidden = file.with_name(f".{file.name}.{os.getpid()}")
    hidden.write_text(json.dumps({"pid": os.getpid(), **facts}) + "\n")
    hidden.replace(file)
