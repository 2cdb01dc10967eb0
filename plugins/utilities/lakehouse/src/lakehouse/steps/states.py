"""`lakehouse loads`: in which state each load is, why, and what settles it (docs/contracts.md, Order of loads)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from lakehouse.loads import Found, PassedOver, StagedLoad, read_local, read_staged, staged_loads
from lakehouse.published import newest
from lakehouse.stages.base import Stage
from lakehouse.steps.sent_again import sent_again
from lakehouse.steps.upload import in_other_targets, is_for
from singer_arrow.documents import LoadResult, PublishedDocument

SETTLED = ("applied", "already", "superseded")  # statuses of loads that the ledger is done with


class Inventory(Struct, frozen=True):
    """The loads here and on the stage (ids with their sources), and what is published of the target.

    `found`: the manifests of loads that are here or, where nothing else says what they are, on the stage. `elsewhere`: those of
    them that were staged for another target, and are in that.
    """

    target: str
    local: Found
    staged: dict[str, str]
    strange: list[PassedOver]  # on the stage
    known: PublishedDocument | None
    sent_again: dict[str, str]
    found: Found
    elsewhere: set[str]

    @property
    def results(self) -> dict[str, LoadResult]:
        """What the newest document says of loads, by id."""
        return {result.load_id: result for result in self.known.loads} if self.known else {}

    @property
    def committed(self) -> set[str]:
        """Loads that are applied or superseded."""
        results = {load_id for load_id, result in self.results.items() if result.status in SETTLED}
        return results | (set(self.known.committed) if self.known else set())


class LoadState(msgspec.Struct, frozen=True, kw_only=True):
    """A load and its state: `pending`, `refused`, `damaged`, `failed`, `blocked`, `applied`, `superseded` or `committed`.

    `committed` is applied or superseded, where the newest document no longer says which. `settle` says what to do, empty for
    nothing.
    """

    load_id: str
    source: str
    stream: str
    mode: str
    rows: int
    state: str
    why: str
    settle: str


class Looked(NamedTuple):
    """The states of loads, oldest first, and the files that are none of ours."""

    loads: list[LoadState]
    passed_over: list[PassedOver]


def take_inventory(stage: Stage, output: Path, target: str) -> Inventory:
    """Looks here and on the stage; changes nothing."""
    (staged, strange), local, known = staged_loads(stage), read_local(output), newest(stage, target)
    told = {load.load_id for load in local.loads} | {result.load_id for result in (known.loads if known else ())}
    read = read_staged(stage, {load_id: source for load_id, source in staged.items() if load_id not in told})
    found = Found([*local.loads, *read.loads], [*local.passed_over, *strange, *read.passed_over])
    elsewhere = in_other_targets(stage, found.loads, target)
    return Inventory(target, local, staged, strange, known, sent_again(output), found, elsewhere)


def states(inventory: Inventory) -> list[LoadState]:
    """The state of every load that has files, or that the job could not apply; oldest first."""
    manifests = {load.load_id: load for load in inventory.found.loads}
    here = {load.load_id for load in inventory.local.loads}
    found = []
    for load_id, result in inventory.results.items():
        if load_id in here or load_id in inventory.staged or result.status not in SETTLED:
            found.append(_of_result(inventory, result, load_id in here))
    for load_id in manifests.keys() - inventory.results.keys():
        found.append(_of_manifest(inventory, manifests[load_id]))
    return sorted(found, key=lambda state: state.load_id)


def _of_result(inventory: Inventory, result: LoadResult, is_here: bool) -> LoadState:
    load_id, status = result.load_id, result.status
    settle = "" if status in SETTLED else result.action
    if status not in SETTLED and not is_here and load_id not in inventory.staged:
        settle = "entrypoint.sh run: nothing of it is left, and the stream's next load covers it"
    elif status == "damaged":
        settle = "entrypoint.sh run, which sends it again"
        if inventory.known and inventory.sent_again.get(load_id) == inventory.known.published_at:
            settle = "entrypoint.sh convert: it was sent again"
        elif not is_here:
            settle = f"entrypoint.sh drop {load_id}: its files are not on this machine; the next run reads the stream on"
    elif not settle:
        settle = {
            "refused": f"entrypoint.sh run: the stream's next load covers it; or entrypoint.sh drop {load_id}",
            "failed": f"entrypoint.sh convert, which tries it again; or entrypoint.sh drop {load_id}",
            "blocked": "settle the stream's earlier load",
        }.get(status, "")
    return LoadState(
        load_id=load_id,
        source=result.source,
        stream=result.stream,
        mode=result.mode,
        rows=result.rows,
        state="applied" if status == "already" else status,
        why="; ".join(result.problems),
        settle=settle,
    )


def _of_manifest(inventory: Inventory, load: StagedLoad) -> LoadState:
    m, state, why, settle = load.manifest, "pending", "it is on the stage, and not converted yet", "entrypoint.sh convert"
    if load.load_id in inventory.committed:
        state, why, settle = "committed", "", ""
    elif load.load_id in inventory.elsewhere:
        state, why, settle = "committed", f"in {m.target}, for which it was staged", ""
    elif not is_for(load, inventory.target):
        why = f"it was staged for {m.target}, not for {inventory.target}"
        settle = f"set LAKEHOUSE_TARGET back and type: entrypoint.sh run; or entrypoint.sh drop {load.load_id}"
    elif load.load_id not in inventory.staged:
        why, settle = "it is on this machine, and not sent yet", "entrypoint.sh run"
    return LoadState(
        load_id=load.load_id, source=m.source, stream=m.stream, mode=m.mode, rows=m.rows, state=state, why=why, settle=settle
    )


def look(stage: Stage, output: Path, target: str) -> Looked:
    """The state of every load as `states` tells it, and what is passed over; changes nothing."""
    inventory = take_inventory(stage, output, target)
    return Looked(states(inventory), inventory.found.passed_over)


def sources(inventory: Inventory) -> Mapping[str, str]:
    """Every load id here, on the stage or in the newest document, with its source; also of what is passed over."""
    unread = [*inventory.local.passed_over, *inventory.strange]
    found = {each.load_id: each.path.split("/")[-3] for each in unread if each.load_id}
    found |= {load_id: result.source for load_id, result in inventory.results.items()}
    return found | inventory.staged | {load.load_id: load.source for load in inventory.local.loads}
