"""The report of a run: every figure is in it, as JSON and on one page that asks for nothing outside and escapes all text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
from lakehouse_kit import Workspace, fits, lakehouse, make_load, publish, result
from report_kit import AT, EVIL, report, stream

from lakehouse.run_report import drawing
from lakehouse.run_report.page import page
from singer_arrow.documents import Drift

VOID = {"meta", "wbr", "rect"}


class Page(HTMLParser):
    """A page's text, elements with their attributes, and what stands in each table; wrongly nested elements are refused."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: dict[str, str] = {}
        self.feed(text)
        self.close()
        assert self.open == [], self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID or (tag == "rect" and not (self.get_starttag_text() or "").endswith("/>")):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes {self.open}"

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text[self.open[-1]] = self.text.get(self.open[-1], "") + data

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]


def assert_asks_for_nothing_outside(shown: Page, text: str) -> None:
    assert not [each for each in shown.values("href") if "/" in each or ":" in each]
    assert shown.values("src") == [] and not {tag for tag, _ in shown.elements} & {"script", "link", "img", "iframe"}
    assert not re.search(r"url\(|@import|https?:", text)
    assert "default-src 'none'; style-src 'unsafe-inline'" in shown.values("content")


def test_a_run_leaves_a_page_and_the_same_as_json(workspace: Workspace, output: Path, tmp_path: Path) -> None:
    data = [pa.table({"Id": [1, 2]})]
    good = make_load(output, EVIL, data, run_id="this", notes=["half " + EVIL])
    bad = make_load(output, "Bad", data, run_id="this", started=1, dead_letters=3, source_rows=5)
    make_load(output, "Kept", data, run_id="earlier", started=-9)
    assert lakehouse(workspace, output, "upload").returncode == 0
    kept = [result(each, "applied") for each in (make_load(output, "Kept", data, run_id="earlier", started=-9), good)]
    publish(workspace, [*kept, result(bad, "refused", "it is " + EVIL)])
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "steps").write_text("began extract 1795536000.0\nended extract 1795536003.5\nbegan verify 1795536004.0\n")
    (notes / "unread").write_text(f"tap-x: {EVIL}\n")
    for number in range(3):
        told = lakehouse(
            workspace, output, "report", "--notes", str(notes), MELTANO_RUN_ID="this" if number == 2 else f"before-{number}",
            LAKEHOUSE_KEEP_REPORTS="2", LAKEHOUSE_SEND_REPORTS="true",
        )  # fmt: skip
        assert told.returncode == 5, told.stderr
    found = sorted((output.parent / "reports").iterdir())
    assert [file.suffix for file in found] == [".html", ".json"] * 2, "of the newest two"
    sent = sorted((workspace.stage / "_reports").iterdir())
    assert {file.name: file.read_bytes() for file in sent} == {file.name: file.read_bytes() for file in found}
    assert f"report: {output.parent}/reports/" in told.stderr
    written = fits("run-report", json.loads(found[3].read_text()))
    assert found[3].name == "20261124T160000Z-this.json" and not written["complete"]
    assert (written["steps"][0]["step"], written["steps"][0]["started_at"]) == ("extract", AT)
    one, two = sorted(written["streams"], key=lambda each: each["stream"])
    assert (one["stream"], one["equal"], one["rows"], one["delta_rows"], one["notes"]) == (EVIL, True, 2, 2, ["half " + EVIL])
    assert (two["status"], two["problems"], two["dead_letters"]) == ("refused", ["it is " + EVIL], 3)
    assert one["bytes"] == sum(file["bytes"] for file in good.manifest["files"]) and one["facts"] == 4
    text = found[2].read_text()
    assert_asks_for_nothing_outside(Page(text), text)
    assert EVIL not in text and str(7777 * 7777) not in text, "nothing of the source is run"

    none = lakehouse(workspace, output, "report", "--notes", str(notes), MELTANO_RUN_ID="none", LAKEHOUSE_KEEP_REPORTS="0")
    assert "report:" not in none.stderr and len(list((output.parent / "reports").iterdir())) == 4
    (output.parent / "reports").rename(tmp_path / "elsewhere")
    (output.parent / "reports").write_text("a file is in the way")
    told = lakehouse(workspace, output, "report", "--notes", str(notes), MELTANO_RUN_ID="this")
    assert told.returncode == 5 and "no report was written" in told.stderr, "a report less is no other failure"


def test_every_figure_of_a_stream_is_on_the_page_and_all_text_is_escaped() -> None:
    told = stream(
        "Told" + EVIL, equal=None, status="blocked", problems=[EVIL], action=EVIL, dead_letters=815, left_out=816,
        deletes=817, notes=[EVIL], drift=[Drift(EVIL, "column", 4711, EVIL)],
    )  # fmt: skip
    text = page(report(told, stream("Good"), complete=False, rows=98765), [])
    shown = Page(text)
    assert_asks_for_nothing_outside(shown, text)
    assert "<b>" not in text and "&lt;b&gt;" in text
    for figure in ("1,234", "56,789", "17 figures", "4.3 kB", "617", "815", "816", "817", "4,711", "98,765", "10.0 s", "blocked"):
        assert figure in text, figure


def test_a_screen_reader_finds_headings_tables_and_names_of_all_charts() -> None:
    text = page(report(stream("A"), *(stream(f"S{number}", notes=["same"]) for number in range(80))), [])
    shown = Page(text)
    tags = [tag for tag, _ in shown.elements]
    assert tags.count("h1") == 1 and tags.count("table") == tags.count("caption") == 3
    assert {attributes.get("scope") for tag, attributes in shown.elements if tag == "th"} == {"row", "col"}
    ids = shown.values("id")
    assert len(ids) == len(set(ids)) and set(shown.values("aria-labelledby")) <= set(ids)
    for tag, attributes in shown.elements:
        if tag == "svg":
            assert attributes["role"] == "img" and attributes["aria-labelledby"]
        if attributes.get("class") == "scroll":
            assert attributes["tabindex"] == "0" and attributes["role"] == "region", "can be scrolled with the keyboard"
    assert shown.elements[0] == ("html", {"lang": "en"})
    assert text.count("80 streams: same") == 1, "what many streams have is said once"
    assert tags.count("tr") == 1 + 81 + 2 + 2 and text.count('class="bars"') == 2


def test_bars_stay_within_the_run_and_can_be_seen() -> None:
    early = stream("resumed", started_at="2026-11-24T15:00:00.000000Z", seconds=3605.0)
    late = stream("late", started_at="2026-11-24T16:00:09.999000Z", seconds=0.0)
    steps, (one, two) = drawing.timeline(report(late, early))
    assert (steps[0].x, steps[0].width) == (0.0, 800.0)
    assert (one.x, one.width) == (0.0, 500.0) and one.seconds == 3605.0
    assert two.x + two.width <= drawing.WIDE and two.width == drawing.LEAST
    assert drawing.heights([0, 1, 2, 0.001], 60) == [0.0, 30.0, 60.0, 2.0] and drawing.heights([0], 60) == [0.0]
