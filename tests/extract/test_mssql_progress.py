"""What one sees while tables are read: lines in a log, bars on a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from mssql_kit import TAP, Tap, good, numbered

from sandbox.launch import Counterpart
from tap_mssql.read.progress import line

ROWS = 6_000
SLOWLY = {"max_rows_per_second": 3_000, "range_rows": 1_000, "progress_seconds": 0.5, "max_parallel": 1}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with numbered(tmp_path_factory.mktemp("progress"), ROWS) as running:
        yield running


def on_a_terminal(tap: Tap, folder: Path) -> str:
    """What the tap shows on a terminal of its own."""
    tap.ran(tap.start())  # writes the configuration
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen([str(TAP), "--config", str(tap.folder / "config.json")], stdout=out, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65_536)
        except OSError:  # the last one who writes has gone
            break
    os.close(ours)
    assert process.wait() == 0, shown.decode()
    return shown.decode()


def test_a_terminal_shows_a_bar_that_ends_full(server: Counterpart, tmp_path: Path) -> None:
    shown = on_a_terminal(Tap(server, tmp_path / "tap"), tmp_path)
    last = shown.replace("\r", "\n").split("big-Many:")[-1]
    assert re.match(r" *100%\|.+\| 6\.00k/6\.00k ", last), shown
    assert "s left" not in shown


def test_a_log_gets_lines_with_rows_rate_size_and_time_left(server: Counterpart, tmp_path: Path) -> None:
    said = good(Tap(server, tmp_path).run(**SLOWLY)).said
    assert "\r" not in said
    lines = re.findall(r"big-Many: ([\d,]+) rows, ([\d,]+) rows/s, [\d.]+ MB, (\d+) %, [\d,]+ s left", said)
    assert lines, said
    rows = [int(found[0].replace(",", "")) for found in lines]
    assert rows == sorted(rows) and rows[-1] <= ROWS


def test_a_line_says_no_more_than_is_known() -> None:
    assert line("a-b", 1_200_000, 250_000, 85_100_000, 2_000_000) == (
        "a-b: 1,200,000 rows, 250,000 rows/s, 85.1 MB, 60 %, 3 s left"
    )
    assert line("a-b", 10, 5, 0, 0) == "a-b: 10 rows, 5 rows/s, 0.0 MB"
    assert line("a-b", 0, 0, 0, 100) == "a-b: 0 rows, 0 rows/s, 0.0 MB"
    assert "99 %, 0 s left" in line("a-b", 200, 5, 0, 100)
