"""A run is one screen: a line per stream, a line per step, one table that fits, and nothing told twice."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import re
from typing import Any

import pytest
from chain_kit import Pipeline, Result
from lakehouse_kit import fits

from lakehouse.steps.report import WIDTH, table
from lighthouse.meltano_lines import Lines, Screen, Worth

LINE = re.compile(r"^\d\d:\d\d:\d\d  (\w+) +(.*)$")
SCREEN = 45  # lines


def test_a_whole_run_is_one_screen_and_tells_nothing_twice(first: tuple[Pipeline, Result]) -> None:
    _, result = first
    assert len(result.lines) <= SCREEN - 1, result.text  # the demo has a line of its own
    told = [match.groups() if (match := LINE.match(line)) else ("", line) for line in result.lines]
    assert len({text for _, text in told}) == len(told), "no line is told twice"
    steps = [step for step, _ in told]
    assert {step: steps.count(step) for step in ("upload", "convert", "verify", "run")} == {
        "upload": 1, "convert": 1, "verify": 2, "run": 2,
    }  # fmt: skip
    assert re.search(r"^\d{4}-\d\d-\d\d, times are UTC; into ", told[0][1]) and re.match(r"done in \d+ s$", told[-1][1])
    streams = [text for step, text in told if step == "extract" and " rows " in text]
    assert len(streams) == 21 == len({text.split()[0] for text in streams}) and steps.count("extract") == 22
    shown = [text for step, text in told if not step]
    assert shown[0].split() == ["stream", "rows", "read", "in", "Delta", "seconds", "equal"]
    assert all(len(line) <= WIDTH for line in shown) and all(line.endswith("yes") for line in shown[1:])
    assert len(shown) == 15 and shown[-1].startswith("and 8 of at most ")


def test_a_run_leaves_its_report(first: tuple[Pipeline, Result]) -> None:
    one, result = first
    [name] = re.findall(r"report: (output/reports/\S+\.html)", result.text)
    page = one.folder / name
    file = page.with_suffix(".json")
    report = fits("run-report", json.loads(file.read_text()))
    assert report["complete"] and report["target"] == one.environment["LAKEHOUSE_TARGET"]
    assert [each["step"] for each in report["steps"]] == ["finish", "bookmarks", "extract", "upload", "convert", "verify"]
    held = {each["load_id"]: each["table_rows"] for each in report["streams"]}
    assert held and held.items() <= {row["load_id"]: row["delta_rows"] for row in one.ledger()}.items()  # later runs add to it
    assert all(each["equal"] and each["facts"] for each in report["streams"])
    text = page.read_text()
    assert all(f"{each['source']}/<wbr>{each['stream']}" in text for each in report["streams"])


def said(event: str, level: int = logging.INFO, **more: Any) -> logging.LogRecord:
    """What Meltano hands to a handler."""
    return logging.LogRecord("meltano.x", level, __file__, 1, {"event": event, **more}, None, None)  # type: ignore[arg-type]


def shown(*records: logging.LogRecord) -> list[str]:
    """What is left of it, without the clock."""
    worth, lines = Worth(), Lines()
    return [re.sub(r"^\d\d:\d\d:\d\d  ", "", lines.format(each)) for each in records if worth.filter(each)]


def test_of_meltano_itself_only_what_says_something_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    why = "tap-mssql: the login was refused: error 18456"
    quiet = [
        said("Running catalog discovery"),
        said("Force option is enabled, ignoring stale job check.", logging.WARNING),
        said("Skipping parse of env var settings for plugin x", logging.WARNING),
    ]
    assert shown(*quiet) == []
    told = said(f"Cannot start plugin tap-mssql: returned 3 with stderr:\n {why}\n", logging.ERROR)
    assert shown(said(why, name="tap-mssql"), told) == [f"extract   {why}"], "not what a plugin has said"
    assert shown(told)[0].startswith("extract   Meltano: Cannot start plugin tap-mssql"), "but where none has said it"
    ended = said("Block run completed", logging.ERROR, err="Extractor failed")
    assert shown(ended) == ["extract   Meltano: Block run completed: Extractor failed"]
    monkeypatch.setenv("LIGHTHOUSE_STEP", "extract")
    assert shown(ended) == [], "entrypoint.sh says so"
    monkeypatch.setenv("LOG_LEVEL", "debug")
    assert len(shown(*quiet, ended)) == 4


def test_lines_of_other_plugins_have_the_clock_of_the_run_alone() -> None:
    plugin = "2026-11-27 00:03:40,783 | INFO     | tap_csv | 3 rows"
    assert shown(said(plugin, name="tap-csv")) == ["extract   tap-csv: INFO     | tap_csv | 3 rows"]
    assert Lines().format(said("00:03:40  extract   api/x: 3 rows", name="target-b")) == "00:03:40  extract   api/x: 3 rows"


def test_a_terminal_that_has_gone_and_lines_that_tell_nothing_stop_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", terminal := Gone())
    monkeypatch.setattr(logging, "raiseExceptions", False)  # Meltano's log has nowhere to complain to
    screen = Screen()
    screen.setFormatter(Lines())
    assert terminal.written == "" and os.environ.pop("LIGHTHOUSE_LIVE") == "1"
    told = json.dumps({"stream": "a", "rows": 5, "total": 9, "bytes": 10**6, "is_over": False})
    for line in ("\x1e" + told, "\x1e{", "\x1e{}", "3 rows"):
        screen.handle(said(line, name="tap-a"))
    terminal.is_there = True
    screen.handle(said("4 rows", name="tap-a"))
    screen.handle(said("\x1e" + told.replace("false", "true"), name="tap-a"))
    assert "extract   tap-a: 4 rows" in terminal.written


class Gone(io.StringIO):
    """A terminal that nobody has open, until `is_there`."""

    is_there = False
    written = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not self.is_there:
            raise OSError(errno.EIO, "Input/output error")
        self.written += text
        return len(text)


def test_a_name_that_leaves_no_room_for_figures_has_a_line_of_its_own() -> None:
    long = "sqlserver/" + "Sales" * 14
    lines = list(table([("api/orders", "1,000", "1,000", "0.1", "yes"), (long, "2", "2", "0.1", "yes")]))
    assert all(len(line) <= WIDTH for line in lines)
    assert lines[2] == long and lines[3].split() == ["2", "2", "0.1", "yes"]
    assert len({len(line) for line in (lines[0], lines[1], lines[3])}) == 1, "aligned"
