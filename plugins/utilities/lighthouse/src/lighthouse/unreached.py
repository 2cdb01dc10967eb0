"""Which blocks a failed `meltano run` did not come to: Meltano stops at the first that fails, and does not tell which. Pure.

Plugins of ours note what they do in the file that LIGHTHOUSE_EXITS names (singer_arrow.exits): a target that it `began`, a tap
or a target the code that it ends with. Where the notes leave a doubt, a block counts as not reached, and is run once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

BEGAN = "began"


def unreached(names: Sequence[str], notes: Iterable[str]) -> list[str]:
    """Those behind the block that failed; `names` are tap, target, tap, target… At least the first block is taken as reached."""
    blocks = list(zip(names[::2], names[1::2], strict=True))
    at = -1
    for name, _, what in (note.partition(" ") for note in notes if not note.startswith("\t")):
        begin = at + 1 if what == BEGAN else max(at, 0)  # a target that is in several blocks begins once in each
        at = next((place for place in range(begin, len(blocks)) if name in blocks[place]), at)
    return [name for block in blocks[max(at, 0) + 1 :] for name in block]
