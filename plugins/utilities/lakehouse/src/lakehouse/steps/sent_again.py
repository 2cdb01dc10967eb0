"""Which loads an upload has sent again: convert asks the job to try these again, also where it refused them before.

`<output>/sent-again.json` holds their ids, each with the time of the published document by which they were sent again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from singer_arrow import durable
from singer_arrow.documents import PublishedDocument

FILE = "sent-again.json"


def sent_again(output: Path) -> dict[str, str]:
    """Load ids, each with the `published_at` of the document that was the newest then, or "" for none. {} without the file."""
    try:
        return msgspec.json.decode((output / FILE).read_bytes(), type=dict[str, str])
    except (FileNotFoundError, msgspec.MsgspecError):  # a lost note costs one more sending
        return {}


def remember(output: Path, load_ids: Iterable[str], known: PublishedDocument | None) -> None:
    """Adds loads to those that were sent again; `known` is the newest document."""
    if again := dict.fromkeys(load_ids, known.published_at if known else ""):
        _write(output, sent_again(output) | again)


def forget(output: Path, load_ids: Iterable[str]) -> None:
    """Takes loads out: convert calls it for what the job has tried again, whatever became of it."""
    noted, gone = sent_again(output), set(load_ids)
    if gone & noted.keys():
        _write(output, {load_id: when for load_id, when in noted.items() if load_id not in gone})


def _write(output: Path, loads: dict[str, str]) -> None:
    if loads:
        durable.write_bytes(output / FILE, msgspec.json.encode(loads))
    else:
        (output / FILE).unlink(missing_ok=True)
