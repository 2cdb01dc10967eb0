"""Some streams instead of all: which blocks read them, and the variables that tell Meltano so.

Meltano's extra `select_filter` deselects every stream that none of its patterns matches (meltano.core.plugin.singer.catalog).
"""

from __future__ import annotations

import glob
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lighthouse.project import Project
from lighthouse.words import nearest


@dataclass(frozen=True)
class Selection:
    """What follows `meltano run`, the variables that go with it, and what is wrong with the streams that were named."""

    blocks: list[str]
    variables: dict[str, str]
    problems: list[str]


def choose(project: Project, catalogs: Mapping[str, Mapping[str, Any]], streams: Sequence[str]) -> Selection:
    """The blocks of the job `pipeline` that read these streams; `catalogs` by tap, as Meltano hands them over. Pure."""
    blocks: list[str] = []
    variables: dict[str, str] = {}
    selected = {tap: _selected(catalog) for tap, catalog in catalogs.items()}
    for block in project.blocks:
        wanted = [stream for stream in streams if stream in selected.get(block.tap.name, ())]
        if wanted:
            blocks += [block.tap.name, block.target.name]
            variables[f"{block.tap.prefixes[0]}__SELECT_FILTER"] = json.dumps([pattern(stream) for stream in wanted])
    known = [stream for each in selected.values() for stream in each]
    every = {str(entry["tap_stream_id"]) for catalog in catalogs.values() for entry in catalog.get("streams", ())}
    problems = [_problem(stream, known, stream in every) for stream in dict.fromkeys(streams) if stream not in known]
    return Selection(blocks, variables, problems)


def pattern(stream: str) -> str:
    """A pattern that matches this stream alone: dots would end it, brackets keep what is special from being so."""
    return glob.escape(stream).replace(".", r"\.")


def _selected(catalog: Mapping[str, Any]) -> list[str]:
    return [str(entry["tap_stream_id"]) for entry in catalog.get("streams", ()) if _is_selected(entry)]


def _is_selected(entry: Mapping[str, Any]) -> bool:
    root: Mapping[str, Any] = next((each.get("metadata", {}) for each in entry.get("metadata", ()) if not each["breadcrumb"]), {})
    return bool(root.get("selected", entry.get("selected", False)))


def _problem(stream: str, known: Sequence[str], is_there: bool) -> str:
    if is_there:
        return f"stream '{stream}' is not selected; select it in meltano.yml"
    near = nearest(stream, known)
    return f"there is no stream '{stream}'" + (f"; did you mean {near}?" if near else "")
