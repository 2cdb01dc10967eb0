"""`lakehouse prune`: removes files that Delta has made needless, here and on the stage. Not while a tap or loader is running.

The newest loads of each stream that are in the ledger stay, as many as LAKEHOUSE_KEEP_LOADS says; what is not in the ledger
stays always. A manifest goes before its parts, so that a load is never there by halves.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from lakehouse import published
from lakehouse.loads import Found, read_staged
from lakehouse.stages.base import Entry, Stage
from singer_arrow import names
from singer_arrow.documents import LoadResult

KEPT_JOB_FILES = 5  # of orders, of scripts and of figures, the newest
JOB_FOLDER = "_job"
STAYS = (names.MANIFESTS, names.DEAD_LETTERS)  # of the output folder: manifests go with their loads, dead letters by hand
LISTS = 4  # folders listed at once

Stream = tuple[str, str]  # source, and the stream's folder


class Pruned(Struct, frozen=True):
    """Loads, and the files and bytes that were removed."""

    loads: int
    files: int
    bytes: int


def outdated(streams: Mapping[str, Stream], committed: set[str], keep: int) -> set[str]:
    """The committed loads that are not among the newest `keep` of their stream; `streams` says whose each load is."""
    of_stream: dict[Stream, list[str]] = defaultdict(list)
    for load_id, stream in streams.items():
        if load_id in committed:
            of_stream[stream].append(load_id)
    return {load_id for loads in of_stream.values() for load_id in sorted(loads, reverse=True)[keep:]}


def prune_here(output: Path, local: Found, committed: set[str], going: set[str]) -> Pruned:
    """Removes the loads `going`, parts no manifest names, temp names, what committed loads left in the spool, empty folders.

    Spooled parts of loads that are not committed stay: the next extraction uses them. So do the parts of a load whose manifest
    this program cannot read, and dead letters.
    """
    done = [load for load in local.loads if load.load_id in going]
    unread = {each.load_id for each in local.passed_over if each.load_id}
    kept = {output / load.source / file.path for load in local.loads if load.load_id not in going for file in load.manifest.files}
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
        if not hidden and ((in_spool and names.load_of(file.name) not in committed) or file.parent.name in STAYS):
            continue
        files, size = files + 1, size + file.stat().st_size
        file.unlink()
    remove_empty_folders(output)
    return Pruned(len(done), files, size)


def remove_empty_folders(output: Path) -> None:
    """Removes the folders of streams, here and in the spool, that hold nothing any more."""
    for folder in [*output.glob("*/*/"), *(output.parent / "spool").glob("*/*/")]:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


class StagedFiles:
    """The files of loads on the stage: `files` by load id, each as path and size in bytes, manifests first."""

    def __init__(self, stage: Stage) -> None:
        sources = [name for name in stage.folders() if not name.startswith(("_", "."))]
        with ThreadPoolExecutor(LISTS) as pool:
            inside = pool.map(stage.folders, sources)
            folders = [(source, each) for source, found in zip(sources, inside, strict=True) for each in found]
            folders.sort(key=lambda folder: folder[1] != names.MANIFESTS)
            listed = list(pool.map(lambda folder: stage.sizes("/".join(folder)), folders))
        self._stage = stage
        self._sources: dict[str, str] = {}
        self._folders: dict[str, str] = {}
        self.files: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for (source, folder), sizes in zip(folders, listed, strict=True):
            for file, size in sizes.items():
                if load_id := names.load_of(file):
                    self.files[load_id].append((f"{source}/{folder}/{file}", size))
                    self._sources[load_id] = source
                    if folder != names.MANIFESTS:
                        self._folders[load_id] = folder

    def streams(self, local: Found, results: Iterable[LoadResult], committed: set[str]) -> dict[str, Stream]:
        """Whose each committed load is; of a load without parts, which no folder tells, the manifest is read where need be."""
        told = {result.load_id: names.folder(result.stream) for result in results}
        told |= {load.load_id: names.folder(load.manifest.stream) for load in local.loads} | self._folders
        unknown = {load_id: source for load_id, source in self._sources.items() if load_id in committed and load_id not in told}
        told |= {load.load_id: names.folder(load.manifest.stream) for load in read_staged(self._stage, unknown).loads}
        sources = {load.load_id: load.source for load in local.loads} | self._sources
        return {load_id: (source, told[load_id]) for load_id, source in sources.items() if load_id in told}

    def remove(self, load_ids: set[str]) -> Pruned:
        """Removes loads, all manifests before the first part."""
        going = [file for load_id in sorted(load_ids & self.files.keys()) for file in self.files[load_id]]
        for manifests in (True, False):
            self._stage.remove([path for path, _ in going if (f"/{names.MANIFESTS}/" in path) is manifests])
        return Pruned(len(load_ids & self.files.keys()), len(going), sum(size for _, size in going))


def prune_published(stage: Stage) -> None:
    """Removes published documents but the newest of each target; of figures, orders and scripts all but the newest few."""
    old = published.outdated(stage)
    old += [f"{published.FIGURES}/{name}/" for name in sorted(stage.folders(published.FIGURES), reverse=True)[KEPT_JOB_FILES:]]
    job = [entry for entry in stage.entries(JOB_FOLDER) if entry.modified and not entry.is_folder]
    for ending in (".json", ".py"):
        old += [f"{JOB_FOLDER}/{entry.name}" for entry in _but_newest(job, ending)]
    stage.remove(old)


def _but_newest(entries: list[Entry], ending: str) -> list[Entry]:
    found = [entry for entry in entries if entry.name.endswith(ending)]
    return sorted(found, key=lambda entry: entry.modified, reverse=True)[KEPT_JOB_FILES:]
