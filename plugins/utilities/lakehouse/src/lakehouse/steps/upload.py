"""`lakehouse upload`: the tree of parts and manifests to the stage, only what is missing or no longer right, manifests last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from lakehouse.errors import UploadError
from lakehouse.loads import StagedLoad
from lakehouse.published import newest
from lakehouse.stages.base import Stage
from lakehouse.steps.sending import listed, send
from lakehouse.steps.sent_again import forget, remember, sent_again
from lakehouse.terminal import detail
from singer_arrow import durable, names
from singer_arrow.documents import PublishedDocument

READS = 4  # manifests read from the stage at once
LONG = 100 << 20  # bytes whose sending takes long enough to be told
HASHES = 2  # files hashed at once


class Sent(Struct, frozen=True):
    """What one upload did: files and bytes sent, files that were there."""

    files: int
    bytes: int
    there: int


def upload(stage: Stage, output: Path, loads: list[StagedLoad], target: str, say: Callable[[str], None]) -> Sent:
    """Sends what the stage lacks of the loads that `target` does not hold yet. Every part is checked before it goes.

    What the job found damaged goes again, whole, and so does a manifest that is another on the stage. Loads that were staged
    for another target stay here, and are named. Raises UploadError naming what is missing, or damaged here; what arrived
    stays, and the next call sends only the rest.
    """
    known = newest(stage, target)
    committed = set(known.committed) if known else set()
    for line in of_other_targets(stage, loads, target):
        say(line)
    forget(output, committed)
    mine = [load for load in loads if load.load_id not in committed and is_for(load, target)]
    files = size = there = 0
    broken: dict[str, str] = {}
    for source in sorted({load.source for load in mine}):
        plan = _Plan(stage, output / source, [load for load in mine if load.source == source], _damaged(output, known))
        broken |= plan.broken
        plan.make_way(output, known, say)
        for what, sizes in (("parts", plan.parts), ("manifests", plan.manifests)):
            if sizes:
                (say if sum(sizes.values()) >= LONG else detail)(
                    f"{source}: sending {len(sizes)} {what}, {sum(sizes.values()):,} bytes"
                )
                send(stage, source, output / source, sizes)
            files, size = files + len(sizes), size + sum(sizes.values())
        there += plan.there
        remember(output, plan.damaged, known)
    if broken:
        raise UploadError(
            f"{len(broken)} loads are damaged on this machine: {'; '.join(broken.values())}",
            safe="Nothing of them was sent now; the other loads are on the stage",
            action=f"type: entrypoint.sh drop {' '.join(broken)}, and run again: their streams are read anew",
        )
    return Sent(files, size, there)


def is_for(load: StagedLoad, target: str) -> bool:
    """Whether a load was staged for `target`; one that names none is for any."""
    return load.manifest.target is None or load.manifest.target.rstrip("/") == target


def of_other_targets(stage: Stage, loads: list[StagedLoad], target: str) -> Iterator[str]:
    """A line for each other target whose loads are here, and not in that one yet."""
    there = in_other_targets(stage, loads, target)
    for its, left in _by_other_target([load for load in loads if load.load_id not in there], target).items():
        first = f"{left[0].source}/{left[0].manifest.stream} ({left[0].load_id})"
        if len(left) == 1:
            yield (
                f"not sent: {first} was staged for {its}, not for {target}. "
                f"Set LAKEHOUSE_TARGET back to deliver it, or give it up: entrypoint.sh drop {left[0].load_id}"
            )
        else:
            yield (
                f"not sent: {len(left)} loads were staged for {its}, not for {target}, {first} among them. "
                "Set LAKEHOUSE_TARGET back to deliver them, or give them up: entrypoint.sh loads names them"
            )


def in_other_targets(stage: Stage, loads: list[StagedLoad], target: str) -> set[str]:
    """The loads that were staged for another target than this one, and are in that."""
    found: set[str] = set()
    for its, staged in _by_other_target(loads, target).items():
        document = newest(stage, its)
        found |= {load.load_id for load in staged} & set(document.committed if document else ())
    return found


def _by_other_target(loads: list[StagedLoad], target: str) -> dict[str, list[StagedLoad]]:
    others: dict[str, list[StagedLoad]] = {}
    for load in loads:
        if not is_for(load, target):
            others.setdefault(str(load.manifest.target).rstrip("/"), []).append(load)
    return others


def _damaged(output: Path, known: PublishedDocument | None) -> set[str]:
    """What the newest document calls damaged, and was not sent again since."""
    if known is None:
        return set()
    noted = sent_again(output)
    damaged = {result.load_id for result in known.loads if result.status == "damaged"}
    return {load_id for load_id in damaged if noted.get(load_id) != known.published_at}


class _Plan:
    """What of one source's loads is sent: `parts` and `manifests` by path with their sizes in bytes.

    `broken` are loads that are damaged here, each with what is wrong; `damaged` and `changed` are loads that are on the stage
    and go again. `there` counts files that stay as they are.
    """

    def __init__(self, stage: Stage, root: Path, loads: list[StagedLoad], damaged: set[str]) -> None:
        self._stage, self._root, self._source = stage, root, root.name
        parts = {file.path: (load.load_id, file) for load in loads for file in load.manifest.files}
        manifests = {names.manifest(load.load_id): load for load in loads}
        self._on_stage = listed(stage, self._source, [*parts, *manifests])

        def is_there(path: str, load_id: str, size: int) -> bool:
            return self._on_stage.get(path) == size and load_id not in damaged

        going = {path: each for path, each in parts.items() if not is_there(path, each[0], each[1].bytes)}
        with ThreadPoolExecutor(HASHES) as pool:
            wrong = pool.map(lambda path: _wrong(root / path, going[path][1].bytes, going[path][1].sha256), going)
            self.broken = {load_id: why for (load_id, _), why in zip(going.values(), wrong, strict=True) if why}
        same = {path for path, load in manifests.items() if is_there(path, load.load_id, len(load.text))}
        with ThreadPoolExecutor(READS) as pool:
            texts = dict(zip(same, pool.map(lambda path: stage.read(f"{self._source}/{path}"), same), strict=True))
        same = {path for path in same if texts[path] == manifests[path].text}
        self.parts = {path: file.bytes for path, (load_id, file) in going.items() if load_id not in self.broken}
        going_manifests = {path: load for path, load in manifests.items() if path not in same and load.load_id not in self.broken}
        self.manifests = {path: len(load.text) for path, load in going_manifests.items()}
        self.there = len(parts) - len(going) + len(same)
        self.damaged = {load.load_id for load in going_manifests.values() if load.load_id in damaged}
        self.changed = {load.load_id for path, load in going_manifests.items() if path in self._on_stage} - self.damaged
        self._streams = {load.load_id: load.manifest.stream for load in loads}

    def make_way(self, output: Path, known: PublishedDocument | None, say: Callable[[str], None]) -> None:
        """Removes from the stage what is sent again, so that the sizes listed afterwards prove what arrived; manifests first."""
        for load_id in sorted(self.damaged):
            say(f"{self._source}/{self._streams[load_id]} ({load_id}) is damaged on the stage: sent again, whole")
        for load_id in sorted(self.changed):
            say(f"{self._source}/{self._streams[load_id]} ({load_id}): its manifest is another on the stage: sent again")
        remember(output, self.changed, known)
        for paths in (self.manifests, self.parts):
            self._stage.remove([f"{self._source}/{path}" for path in paths if path in self._on_stage])


def _wrong(file: Path, size: int, sha256: str) -> str:
    """What is wrong with a part here; empty text for nothing."""
    if not file.is_file():
        return f"{file} is named by a manifest, but it does not exist"
    if file.stat().st_size != size or durable.sha256_of(file) != sha256:
        return f"{file} is not what its manifest says (size or SHA-256)"
    return ""
