"""A source that cannot be read holds up no other: Meltano stops at the block that fails, and the others are run on their own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from chain_kit import Pipeline
from collector_kit import SECRETS, collector
from lakehouse_kit import fits
from webhook_kit import webhook

from lighthouse.unreached import unreached
from singer_arrow import exits

BLOCKS = ("tap-a", "target-a", "tap-b", "target-b", "tap-c", "target-c")
WRONG = {"sqlserver": {"TAP_MSSQL_PASSWORD": "wrong"}, "api": {"API_PASSWORD": "wrong"}}
ONE_TABLE = {"TAP_MSSQL__SELECT": '["HumanResources-Department.*"]'}


@pytest.mark.parametrize("failing", ["sqlserver", "api"])
def test_with_a_wrong_password_for_one_source_the_other_is_in_delta_and_the_run_says_which_is_not(
    failing: str, pipeline: Callable[[str], Pipeline]
) -> None:
    one = pipeline(f"without_{failing}")
    in_lines = {"LOG_FORMAT": "json"} if failing == "api" else {}  # the other way round as text
    with webhook() as hook, collector() as heard:
        watched = {**heard.places, **SECRETS, "ALERT_WEBHOOK": hook.url}
        result = one.run(**ONE_TABLE, **WRONG[failing], **in_lines, **watched)
    assert [(each["event"], each["code"]) for each in hook.heard] == [("failure", 3)]
    assert "refused" in hook.heard[0]["text"]
    assert result.code == 3, result.text
    run, event = heard.span("run"), heard.events[-1]
    assert run.error and "refused" in run.error and run.attributes["lighthouse.exit_code"] == 3
    assert (event["job"]["name"], event["eventType"]) == ("lighthouse", "FAIL")
    assert run.error in event["run"]["facets"]["errorMessage"]["message"]
    assert {row["source"] for row in one.ledger()} == {"sqlserver", "api"} - {failing}, result.text
    assert ("human_resources_department" in one.tables()) == (failing == "api")
    said = [fits("log-line", json.loads(line))["message"] for line in result.lines] if in_lines else result.lines
    assert len(said) == len(set(said)) and not [line for line in said if "Meltano: " in line], "nothing is told twice"
    assert len([line for line in said if "What to do:" in line]) == 1, "an error is told in full where it happens"
    if failing == "api":  # it would not have its turn before SQL Server is read
        told, read = (
            next(n for n, line in enumerate(said) if word in line) for word in ("refused the credentials", "meltano run")
        )
        assert told < read and "tap-rest-api-msdk" not in said[read], "a login that is refused is told before anything is read"
    *_, head, why, last = said
    assert head.endswith("not read, so that Delta has of it what it had; the next run reads on from there:"), result.text
    assert re.search(
        {"sqlserver": "tap-mssql: .*login was refused", "api": "tap-rest-api-msdk: .*refused the credentials"}[failing], why
    )
    assert last.endswith("but for what failed above (exit 3)"), result.text
    assert one.run("verify").code == 0


def test_on_failure_stop_ends_at_the_first_failure_and_reads_nothing_more(pipeline: Callable[[str], Pipeline]) -> None:
    one = pipeline("stopped")
    result = one.run(ON_FAILURE="stop", **WRONG["sqlserver"])
    assert result.code == 3, result.text
    assert "ON_FAILURE=stop" in result.text.splitlines()[-1]
    assert "tap-rest-api-msdk target-parquet-api" not in result.text.split("login was refused")[1]
    assert not list(one.output.glob("docker_elt/*/_manifests/*")) and not one.delta.exists()


@pytest.mark.parametrize(
    ("notes", "left"),
    [
        pytest.param([], BLOCKS[2:], id="nothing is known: the first block failed"),
        pytest.param(["tap-a 3", "\ttap-a: no", "\ttap-c: is no note"], BLOCKS[2:], id="the tap failed before its target began"),
        pytest.param(["target-a began"], BLOCKS[2:], id="a tap that is not ours, and makes no notes, failed while it was read"),
        pytest.param(["target-a began", "tap-b 3"], BLOCKS[4:], id="the second tap failed at once"),
        pytest.param(
            ["target-a began", "target-b began", "tap-b 2", "target-b 3"], BLOCKS[4:], id="both ends of the second failed"
        ),
        pytest.param(["target-a began", "target-b began", "target-c began", "target-c 3"], (), id="the last one failed"),
        pytest.param(["somebody else began"], BLOCKS[2:], id="notes of another"),
    ],
)
def test_what_was_not_reached_is_read_from_the_notes_of_the_plugins(notes: list[str], left: tuple[str, ...]) -> None:
    assert tuple(unreached(BLOCKS, notes)) == left


def test_plugins_note_themselves_as_meltano_yml_calls_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both loaders are one program: by its name nobody could tell which of them began."""
    notes = tmp_path / "exits"
    monkeypatch.setenv(exits.VARIABLE, str(notes))
    monkeypatch.setenv("MELTANO_LOADER_NAME", "target-b")
    exits.note_beginning("target-parquet")
    monkeypatch.setenv("MELTANO_EXTRACTOR_NAME", "tap-b")
    exits.note("tap-mssql", 3, "why")
    lines = notes.read_text().splitlines()
    assert lines == ["target-b began", "tap-b 3", "\twhy"]
    assert tuple(unreached(BLOCKS, lines)) == BLOCKS[4:]


def test_a_target_of_several_blocks_begins_once_in_each() -> None:
    names = ("tap-a", "target", "tap-b", "target", "tap-c", "target")
    assert unreached(names, ["target began", "target began", "target 3"]) == ["tap-c", "target"]
    assert unreached(names, ["target began", "tap-b 3"]) == ["tap-c", "target"]
