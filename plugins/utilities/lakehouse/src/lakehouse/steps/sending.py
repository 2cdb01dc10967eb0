"""What of a source's files is on the stage, and how the rest gets there."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential

from lakehouse.errors import UploadError
from lakehouse.stages.base import Answer, Stage

ATTEMPTS = 4
WAIT = wait_exponential(multiplier=1)  # 1, 2, 4 seconds between two attempts
LISTS = 4  # folders listed at once


def listed(stage: Stage, source: str, paths: Iterable[str]) -> dict[str, int]:
    """Sizes in bytes of what the folders of these paths hold, by path below the source."""
    folders = sorted({path.rsplit("/", 1)[0] for path in paths})
    with ThreadPoolExecutor(LISTS) as pool:
        found = pool.map(lambda folder: stage.sizes(f"{source}/{folder}"), folders)
        return {f"{folder}/{name}": size for folder, sizes in zip(folders, found, strict=True) for name, size in sizes.items()}


def send(stage: Stage, source: str, root: Path, sizes: dict[str, int]) -> None:
    """Sends files below `root`, by path with their sizes, until the stage lists them all.

    Raises UploadError naming what is missing after the last attempt, with what the storage said.
    """
    left, answer = list(sizes), Answer()

    def attempt() -> bool:
        """Whether something is left that another attempt may bring."""
        nonlocal left, answer
        answer = stage.send(source, {path: root / path for path in left})
        there = listed(stage, source, left)
        left = [path for path in left if there.get(path) != sizes[path]]
        return bool(left) and not answer.is_final

    stop = stop_after_attempt(ATTEMPTS)
    Retrying(retry=retry_if_result(bool), stop=stop, wait=WAIT, retry_error_callback=lambda attempts: None)(attempt)
    if left:
        said = f": {' '.join(answer.text.split())[-600:]}" if answer.text.strip() else ""
        raise UploadError(
            f"{len(left)} of {len(sizes)} files did not reach {stage.url}/{source}, {left[0]} among them{said}",
            safe="What arrived stays and is not sent again; no manifest names files that are missing",
            action=f"{answer.advice} Then run the upload again" if answer.advice else "run the upload again",
        )
