"""`lakehouse drop`: gives up loads that are not applied; the ledger decides from where their streams are read on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from lakehouse.errors import DropRefused
from lakehouse.stages.base import Stage
from lakehouse.steps.prune import remove_empty_folders
from lakehouse.steps.sent_again import forget
from lakehouse.steps.states import Inventory, sources
from singer_arrow import names
from singer_arrow.bookmarks import position


def chosen(prefixes: Iterable[str], inventory: Inventory) -> list[str]:
    """The load ids that the prefixes stand for. Raises DropRefused for one that is unknown, not unique, or already committed."""
    known, found = sources(inventory), []
    for prefix in prefixes:
        fits = sorted(load_id for load_id in known if prefix and load_id.startswith(prefix))
        if not fits:
            raise DropRefused(f"there is no load {prefix!r}, here or on the stage")
        if len(fits) > 1:
            raise DropRefused(f"{prefix!r} begins the ids of {len(fits)} loads: {', '.join(fits[:5])}")
        if fits[0] in inventory.committed:
            raise DropRefused(
                f"load {fits[0]} is in the ledger: its data is in Delta, or a later load's is",
                action="leave it: prune removes its files by LAKEHOUSE_KEEP_LOADS",
            )
        found.append(fits[0])
    return list(dict.fromkeys(found))


def drop(stage: Stage, output: Path, inventory: Inventory, load_ids: list[str], say: Callable[[str], None]) -> None:
    """Removes these loads from the stage, from the output folder and from the spool; a manifest before its parts."""
    streams = {load_id: result.stream for load_id, result in inventory.results.items()}
    streams |= {load.load_id: load.manifest.stream for load in inventory.found.loads}
    known = sources(inventory)
    for load_id in load_ids:
        source, stream = known[load_id], streams.get(load_id)
        there, here = _on_stage(stage, source, load_id), _here(output, load_id)
        stage.remove(there)
        for file in here:
            file.unlink(missing_ok=True)
        next_load = "The stream's next load reads on from the ledger's bookmark"
        if stream and inventory.known and not (bookmark := inventory.known.bookmarks.get(source, {}).get(stream)):
            next_load += ": there is none, so it reads the stream whole"
        elif stream and inventory.known and bookmark:
            next_load += f": {position(bookmark)}"
        say(f"dropped {source}/{stream or '?'} ({load_id}): {len(here)} files here, {len(there)} on the stage. {next_load}")
    remove_empty_folders(output)
    forget(output, load_ids)


def _on_stage(stage: Stage, source: str, load_id: str) -> list[str]:
    """Paths of a load's files, the manifest first; also of one whose upload did not end."""
    folders = stage.folders(source)
    ordered = sorted(folders, key=lambda folder: folder != names.MANIFESTS)
    return [
        f"{source}/{folder}/{file}" for folder in ordered for file in stage.sizes(f"{source}/{folder}") if _is_of(file, load_id)
    ]


def _here(output: Path, load_id: str) -> list[Path]:
    """The load's files in the output folder, manifest first, and in the spool."""
    files = [file for file in output.glob(f"*/*/{load_id}*") if _is_of(file.name, load_id)]
    files.sort(key=lambda file: file.parent.name != names.MANIFESTS)
    return files + [file for file in (output.parent / "spool").glob(f"*/*/{load_id}*") if _is_of(file.name, load_id)]


def _is_of(file: str, load_id: str) -> bool:
    return names.load_of(file) == load_id
