"""`lakehouse prune`: removes local files that Delta has made needless. Not while a tap or target is running."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from lakehouse.loads import Found
from singer_arrow import names


@dataclass(frozen=True)
class Pruned:
    """Loads, files and bytes that were removed."""

    loads: int
    files: int
    bytes: int


def prune(output: Path, local: Found, committed: set[str]) -> Pruned:
    """Removes the loads in the ledger, parts no manifest names, temp names, and what committed loads left in the spool.

    A manifest goes before its parts, so that a load is never there by halves. Spooled parts of loads that are not
    committed stay: the next extraction uses them. So do the parts of a load whose manifest this program cannot read.
    """
    done = [load for load in local.loads if load.load_id in committed]
    unread = {each.load_id for each in local.passed_over if each.load_id}
    kept = {
        output / load.source / file.path for load in local.loads if load.load_id not in committed for file in load.manifest.files
    }
    files = size = 0
    for load in done:
        manifest = output / load.path
        files, size = files + 1, size + manifest.stat().st_size
        manifest.unlink()
    spool = output.parent / "spool"
    for file in [*output.glob("*/*/*"), *output.rglob(".*"), *spool.rglob("*")]:
        if not file.exists() or file in kept or names.load_of(file.name) in unread:
            continue
        hidden = file.name.startswith(".")
        if file.is_dir():
            if hidden and file.name.startswith(".sending-"):
                shutil.rmtree(file)
            continue
        in_spool = file.is_relative_to(spool)
        if not hidden and ((in_spool and names.load_of(file.name) not in committed) or file.parent.name == names.MANIFESTS):
            continue
        files, size = files + 1, size + file.stat().st_size
        file.unlink()
    return Pruned(len(done), files, size)


def remove_empty_folders(output: Path) -> None:
    """Removes the folders of streams, here and in the spool, that hold nothing any more."""
    for folder in [*output.glob("*/*/"), *(output.parent / "spool").glob("*/*/")]:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
