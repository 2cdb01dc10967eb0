"""A webhook hears that a run failed and that one is well again, from a real server's side, and never a secret."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from lakehouse_kit import TOKEN, Workspace, lakehouse
from urllib3.util import Retry
from webhook_kit import webhook

from lakehouse.steps import alert

PASSWORD = "s3cret/with&odd=signs"


def test_each_failure_and_the_recovery_are_told_and_nothing_else(workspace: Workspace, output: Path, tmp_path: Path) -> None:
    (tmp_path / "unread").write_text(f"tap-x: no login with {PASSWORD} or s3cret%2Fwith%26odd%3Dsigns\n")
    (tmp_path / "said").write_text(f"lakehouse: {TOKEN} is refused\n")

    def ended(code: int, url: str) -> str:
        done = lakehouse(
            workspace, output, "alert", "--code", str(code), "--notes", str(tmp_path), ALERT_WEBHOOK=url,
            TAP_X_PASSWORD=PASSWORD, MELTANO_RUN_ID="run-1",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stderr

    with webhook(503, 429) as hook:
        assert ended(0, hook.url) == "", "a run that is well after one that was"
        assert ended(3, hook.url) == "" and hook.answers == [], "sent again until it is taken"
        assert ended(7, hook.url) == ended(143, hook.url) == "", "another run, or somebody who stopped it, is no failure"
        ended(5, hook.url)
        ended(0, hook.url)
        ended(0, hook.url)
    assert [(each["event"], each["code"], each["failed_runs"]) for each in hook.heard] == [
        ("failure", 3, 1), ("failure", 5, 2), ("recovery", 0, 2),
    ]  # fmt: skip
    assert len({each["since"] for each in hook.heard}) == 1 and hook.heard[0]["run_id"] == "run-1"
    assert hook.heard[0]["told"] == ["tap-x: no login with *** or ***", "lakehouse: *** is refused"]
    assert hook.heard[0]["text"].endswith("failed with exit code 3: tap-x: no login with *** or ***")
    with webhook(404) as hook:
        said = ended(4, hook.url)
    assert "ALERT_WEBHOOK was not reached, and failure not told there: 127.0.0.1 answered 404" in said
    assert "S3CRET" not in said, "the address is a secret itself"
    assert alert.remembered(output), "the recovery will be told all the same"


def test_a_webhook_that_is_not_there_is_named_by_its_host_alone() -> None:
    with webhook() as hook:
        url = hook.url
    assert alert.post(url, b"{}", Retry(total=0)) == "127.0.0.1: ConnectionError"


@pytest.mark.parametrize("code", [2, 3, 4, 5, 6, 1])
def test_every_failure_is_one(code: int) -> None:
    found = alert.alert_of(code, "r", "main.x", None, [], datetime.now(UTC))
    assert found is not None and found.event == "failure" and str(code) in found.text
