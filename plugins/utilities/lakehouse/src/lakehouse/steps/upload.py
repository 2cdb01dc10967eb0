"""`lakehouse upload`: the tree of parts and manifests to the stage, only what is missing, manifests last."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential

from lakehouse.errors import UploadError
from lakehouse.loads import StagedLoad
from lakehouse.stages.base import Answer, Stage
from singer_arrow import durable

ATTEMPTS = 4
WAIT = wait_exponential(multiplier=1)  # 1, 2, 4 seconds between two attempts
LISTS = 4  # folders listed at once


@dataclass(frozen=True)
class Sent:
    """What one upload did: files and bytes sent, files that were there."""

    files: int
    bytes: int
    there: int


def upload(stage: Stage, output: Path, loads: list[StagedLoad], say: Callable[[str], None]) -> Sent:
    """Sends what the stage lacks. Every local part is checked against its manifest before it goes.

    Raises UploadError naming what is missing; what arrived stays, and the next call sends only the rest.
    """
    total = Sent(0, 0, 0)
    for source in sorted({load.source for load in loads}):
        mine = [load for load in loads if load.source == source]
        parts = {file.path: file.bytes for load in mine for file in load.manifest.files}
        manifests = {f"_manifests/{load.load_id}.json": len(load.text) for load in mine}
        hashes = {file.path: file.sha256 for load in mine for file in load.manifest.files}
        for what, wanted in (("parts", parts), ("manifests", manifests)):
            missing = _missing(stage, source, wanted)
            _check(output / source, missing, wanted, hashes)
            if missing:
                say(f"{source}: sending {len(missing)} {what}, {sum(wanted[path] for path in missing):,} bytes")
                _send(stage, source, output / source, missing, wanted)
            sent = sum(wanted[path] for path in missing)
            total = Sent(total.files + len(missing), total.bytes + sent, total.there + len(wanted) - len(missing))
    return total


def _missing(stage: Stage, source: str, wanted: dict[str, int]) -> list[str]:
    """Paths that are not on the stage with the right size."""
    folders = sorted({path.rsplit("/", 1)[0] for path in wanted})
    with ThreadPoolExecutor(LISTS) as pool:
        listed = pool.map(lambda folder: stage.sizes(f"{source}/{folder}"), folders)
        there = {f"{folder}/{name}": size for folder, sizes in zip(folders, listed, strict=True) for name, size in sizes.items()}
    return [path for path, size in wanted.items() if there.get(path) != size]


def _check(root: Path, paths: list[str], sizes: dict[str, int], hashes: dict[str, str]) -> None:
    for path in paths:
        file = root / path
        if not file.is_file():
            raise UploadError(f"{file} is named by a manifest, but it does not exist")
        if file.stat().st_size != sizes[path] or (path in hashes and durable.sha256_of(file) != hashes[path]):
            raise UploadError(f"{file} is not what its manifest says (size or SHA-256)")


def _send(stage: Stage, source: str, root: Path, paths: list[str], sizes: dict[str, int]) -> None:
    left, answer = paths, Answer()

    def attempt() -> bool:
        """Whether something is left that another attempt may bring."""
        nonlocal left, answer
        answer = stage.send(source, {path: root / path for path in left})
        left = _missing(stage, source, {path: sizes[path] for path in left})
        return bool(left) and not answer.is_final

    stop = stop_after_attempt(ATTEMPTS)
    Retrying(retry=retry_if_result(bool), stop=stop, wait=WAIT, retry_error_callback=lambda attempts: None)(attempt)
    if left:
        said = f": {' '.join(answer.text.split())[-600:]}" if answer.text.strip() else ""
        raise UploadError(
            f"{len(left)} of {len(paths)} files did not reach {stage.url}/{source}, {left[0]} among them{said}",
            safe="What arrived stays and is not sent again; no manifest names files that are missing",
            action=f"{answer.advice} Then run the upload again" if answer.advice else "run the upload again",
        )
