"""`lakehouse loads` and `drop`: every load has a state and an exit; what is given up is gone, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from lakehouse_kit import Made, Workspace, lakehouse, make_load, publish, result

ORDERS = pa.table({"Id": [1]})


@dataclass
class Loads:
    """A load in each state, by the state's name."""

    workspace: Workspace
    output: Path
    made: dict[str, Made]

    def of(self, state: str) -> str:
        return self.made[state].load_id


def test_status_tells_runs_streams_and_what_is_not_in_delta(workspace: Workspace, output: Path) -> None:
    """Of each stream the newest load in Delta, with its age and bookmark; of each order the newest document."""
    old, new, refused = (make_load(output, "Orders", [ORDERS], started=number) for number in range(3))
    bookmarks = {"sqlserver": {"Orders": {"replication_key_value": "2026-11-24"}}}
    publish(workspace, [result(old, "applied")], order="000000000001")
    publish(workspace, [], order="000000000002")
    told = [result(old, "already"), result(new, "applied") | {"table_rows": 7}, result(refused, "refused", "a gap")]
    publish(workspace, told, order="000000000002", bookmarks=bookmarks)
    done = lakehouse(workspace, output, "status", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(each["applied"], each["rows"], each["not_applied"]) for each in found["runs"]] == [(1, 1, 1), (1, 1, 0)]
    [stream] = found["streams"]
    assert stream["load_id"] == new.load_id and stream["read_at"] == "2026-11-24T16:01:00+00:00"
    assert (stream["stream"], stream["rows"], stream["table_rows"], stream["bookmark"]) == ("Orders", 1, 7, "2026-11-24")
    assert stream["age_seconds"] > 86_400
    assert [(each["load_id"], each["state"]) for each in found["loads"]] == [(refused.load_id, "refused")]
    told_people = lakehouse(workspace, output, "status").stdout
    assert "sqlserver/Orders" in told_people and " d " in told_people and refused.load_id in told_people
    empty = lakehouse(workspace, output.parent / "empty", "status", LAKEHOUSE_TARGET="dbfs:/lighthouse/other")
    assert empty.returncode == 0 and "Traceback" not in empty.stderr


@pytest.fixture(scope="module")
def loads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loads]:
    folder = tmp_path_factory.mktemp("loads")
    workspace, output = Workspace(folder), folder / "output/docker_elt"
    states = (
        "applied",
        "superseded",
        "refused",
        "damaged",
        "failed",
        "blocked",
        "committed",
        "converting",
        "unsent",
        "elsewhere",
    )
    made = {
        state: make_load(output, state.title(), [ORDERS], started=number, target="main.other" if state == "elsewhere" else None)
        for number, state in enumerate(states)
    }
    later = {state: made[state].path.read_bytes() for state in ("unsent",)}
    made["unsent"].path.unlink()
    assert lakehouse(workspace, output, "upload").returncode == 0
    made["unsent"].path.write_bytes(later["unsent"])
    told = [result(made[state], state, f"why it is {state}") for state in states[2:6]]
    told[0]["action"] = "what the job says"
    told += [result(made["applied"], "applied"), result(made["superseded"], "superseded")]
    bookmarks = {"sqlserver": {"Refused": {"replication_key_value": "2026-01-01"}}}
    committed = [made[state].load_id for state in ("applied", "superseded", "committed")]
    publish(workspace, told, bookmarks=bookmarks, committed=committed)
    yield Loads(workspace, output, made)
    workspace.stop()


def test_every_load_has_a_state_a_reason_and_what_settles_it(loads: Loads, tmp_path: Path) -> None:
    done = lakehouse(loads.workspace, loads.output, "loads", "--json")
    assert done.returncode == 0, done.stderr
    told = {each["load_id"]: each for each in json.loads(done.stdout)}
    pending = {"converting": "pending", "unsent": "pending", "elsewhere": "pending"}
    assert {load_id: each["state"] for load_id, each in told.items()} == {
        load.load_id: pending.get(state, state) for state, load in loads.made.items()
    }
    settle = {state: told[loads.of(state)]["settle"] for state in loads.made}
    assert [state for state in settle if not settle[state]] == ["applied", "superseded", "committed"]
    assert settle["refused"] == "what the job says" and settle["converting"] == "entrypoint.sh convert"
    assert settle["damaged"].startswith("entrypoint.sh run") and settle["unsent"] == "entrypoint.sh run"
    assert "LAKEHOUSE_TARGET" in settle["elsewhere"] and loads.of("elsewhere") in settle["elsewhere"]
    assert told[loads.of("failed")]["why"] == "why it is failed" and told[loads.of("failed")]["rows"] == 1
    assert told[loads.of("converting")] | {"why": "", "settle": ""} == {
        "load_id": loads.of("converting"), "source": "sqlserver", "stream": "Converting", "mode": "overwrite", "rows": 1,
        "state": "pending", "why": "", "settle": "",
    }  # fmt: skip
    for_people = lakehouse(loads.workspace, loads.output, "loads").stdout
    assert [line.split() for line in for_people.splitlines() if line.startswith(loads.of("blocked"))] == [
        [loads.of("blocked"), "sqlserver/Blocked", "overwrite", "blocked", "1"],
        [loads.of("blocked"), "blocked:", "why", "it", "is", "blocked"],
    ]
    fresh = json.loads(lakehouse(loads.workspace, tmp_path / "fresh", "loads", "--json").stdout)
    by_id = {each["load_id"]: each for each in fresh}
    assert loads.of("unsent") not in by_id and by_id[loads.of("converting")]["stream"] == "Converting"
    assert by_id[loads.of("damaged")]["settle"].startswith(f"entrypoint.sh drop {loads.of('damaged')}")


def test_what_cannot_be_dropped_is_refused_and_then_nothing_is_removed(loads: Loads) -> None:
    before = sorted(loads.workspace.stage.rglob("*")), sorted(loads.output.rglob("*"))
    for wrong, told in {
        loads.of("applied"): "is in the ledger",
        loads.of("committed"): "is in the ledger",
        "20261124": f"begins the ids of {len(loads.made)} loads",
        "2025": "there is no load '2025'",
        "": "there is no load ''",
    }.items():
        refused = lakehouse(loads.workspace, loads.output, "drop", loads.of("refused"), wrong)
        assert refused.returncode == 2 and told in refused.stderr and "Nothing was removed" in refused.stderr, refused.stderr
    assert (sorted(loads.workspace.stage.rglob("*")), sorted(loads.output.rglob("*"))) == before


def test_a_dropped_load_is_gone_here_and_on_the_stage_and_its_stream_reads_on_from_the_bookmark(loads: Loads) -> None:
    gone = [loads.made[state] for state in ("refused", "unsent", "elsewhere")]
    spooled = loads.output.parent / "spool/tap-mssql/Refused"
    spooled.mkdir(parents=True)
    (spooled / f"{gone[0].load_id}.load.json").write_bytes(b"x")
    kept = {path for root in (loads.workspace.stage, loads.output) for path in root.rglob("*.*") if path.is_file()}
    kept = {path for path in kept if not any(path.name.startswith(load.load_id) for load in gone)}
    dropped = lakehouse(loads.workspace, loads.output, "drop", *(load.load_id[:-4] for load in gone))
    assert dropped.returncode == 0, dropped.stderr
    assert (
        "3 files here, 2 on the stage. The stream's next load reads on from the ledger's bookmark: 2026-01-01" in dropped.stderr
    )
    assert "2 files here, 0 on the stage. " in dropped.stderr and "so it reads the stream whole" in dropped.stderr
    left = {path for root in (loads.workspace.stage, loads.output) for path in root.rglob("*.*") if path.is_file()}
    assert left == kept and not spooled.exists() and not (loads.output / "sqlserver/Unsent").exists()
    told = json.loads(lakehouse(loads.workspace, loads.output, "loads", "--json").stdout)
    assert loads.of("unsent") not in {each["load_id"] for each in told}
    [refused] = [each for each in told if each["load_id"] == loads.of("refused")]
    assert refused["settle"].startswith("entrypoint.sh run: nothing of it is left")


def test_what_was_given_up_is_missed_by_nobody(workspace: Workspace, output: Path) -> None:
    """Until the next job publishes anew, and that may take long where nothing changes: run ended with 5, and said drop again."""
    done, failed, refused = (make_load(output, name, [ORDERS], started=n) for n, name in enumerate(("Done", "Failed", "Refused")))
    assert lakehouse(workspace, output, "upload").returncode == 0
    told = [result(done, "applied"), result(failed, "failed", "disk full"), result(refused, "refused", "a gap", action="drop it")]
    publish(workspace, told)
    fresh = output.parent.parent / "fresh/output"  # a container without a volume
    for command in ("report", "verify"):
        missed = lakehouse(workspace, fresh, command)
        assert missed.returncode == 5 and failed.load_id in missed.stderr and refused.load_id in missed.stderr, missed.stderr
    assert lakehouse(workspace, fresh, "drop", failed.load_id, refused.load_id).returncode == 0
    for command in ("report", "verify"):
        after = lakehouse(workspace, fresh, command)
        assert after.returncode == 0 and failed.load_id not in after.stdout + after.stderr, after.stderr
    listed = {each["load_id"]: each for each in json.loads(lakehouse(workspace, fresh, "loads", "--json").stdout)}
    for load in (failed, refused):
        assert listed[load.load_id]["settle"].startswith("entrypoint.sh run: nothing of it is left")


def test_kept_loads_of_a_former_target_that_are_in_it_wait_for_nothing(workspace: Workspace, output: Path) -> None:
    """Their files stay when LAKEHOUSE_TARGET changes; only those that are in no target are named as pending."""
    there, waits = (
        make_load(output, name, [ORDERS], target="main.former", started=n) for n, name in enumerate(("There", "Waits"))
    )
    assert lakehouse(workspace, output, "upload", LAKEHOUSE_TARGET="main.former").returncode == 0
    publish(workspace, [result(there, "applied")], target="main.former")
    for place in (output, output.parent / "fresh"):
        listed = {each["load_id"]: each for each in json.loads(lakehouse(workspace, place, "loads", "--json").stdout)}
        assert [(listed[each.load_id]["state"], bool(listed[each.load_id]["settle"])) for each in (there, waits)] == [
            ("committed", False), ("pending", True),
        ]  # fmt: skip
        assert listed[there.load_id]["why"] == "in main.former, for which it was staged"
        status = json.loads(lakehouse(workspace, place, "status", "--json").stdout)
        assert [each["load_id"] for each in status["loads"]] == [waits.load_id]
