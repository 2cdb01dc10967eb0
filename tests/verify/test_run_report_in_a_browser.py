"""A run's report as Chromium shows it: light and dark, on a phone, by keyboard, to a screen reader; and it asks for nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_kit import AT, EVIL, report, stream
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from lakehouse.run_report.files import PastRun
from lakehouse.run_report.page import page

pytestmark = pytest.mark.browser
DESK, PHONE = (1280, 900), (390, 844)
LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3
WIDER = """
return [...document.querySelectorAll('body *')]
  .filter(e => !e.closest('.scroll, svg') && e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.outerHTML.slice(0, 80));
"""
COLOURS = """
return [...document.querySelectorAll('h1, h2, td, th, p, dt, dd, a, li, caption, figcaption, .good, .bad, .dim')].map(e => {
  let behind = e;
  while (behind && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
  return [getComputedStyle(e).color, behind ? getComputedStyle(behind).backgroundColor : 'none', e.outerHTML.slice(0, 80)];
});
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with everything that one can have."""
    past = [PastRun(f"run-{n}", AT, 5.0 + n, n != 3, 10 * n, 20 * n) for n in range(9)]
    streams = [stream(f"Schema-ATableWithAVeryLongNameThatNobodyWouldType{n}", rows=10**n) for n in range(9)]
    bad = stream(
        "Bad", status="refused", equal=False, dead_letters=3, notes=["half"], problems=["rows differ " + EVIL], action="settle it"
    )
    found = tmp_path_factory.mktemp("page") / "page.html"
    found.write_text(page(report(*streams, bad, complete=False), past))
    return found


@pytest.fixture(scope="module")
def browser(file: Path) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    with Chrome(options=options, service=ChromeService("/usr/bin/chromedriver")) as found:
        yield found


def shown(browser: Chrome, file: Path, size: tuple[int, int], scheme: str) -> None:
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size is PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(file.as_uri())


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG defines it."""
    parts = [float(each) / 255 for each in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
    return sum(factor * each for factor, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_page_fits_and_can_be_read(browser: Chrome, file: Path, size: tuple[int, int], scheme: str) -> None:
    shown(browser, file, size, scheme)
    assert browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]") == [size[0], size[0]]
    assert browser.execute_script(WIDER) == [], "nothing is cut off on the right but in tables, which scroll"
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (luminance(paper) > 0.5) is (scheme == "light")
    poor = []
    for ink, behind, what in browser.execute_script(COLOURS):
        lighter, darker = sorted((luminance(ink), luminance(behind)), reverse=True)
        if (lighter + 0.05) / (darker + 0.05) < LEAST_CONTRAST:
            poor.append((ink, behind, what))
    assert poor == []
    picture = browser.get_screenshot_as_png()
    assert len(picture) > 20_000, "something is drawn"


def test_it_asks_for_nothing_and_nothing_in_it_is_refused(browser: Chrome, file: Path) -> None:
    shown(browser, file, DESK, "light")
    events = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]
    asked = {each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"}
    assert asked == {file.as_uri()}
    assert browser.get_log("browser") == []


def test_a_keyboard_reaches_what_scrolls_opens_or_leads_on_and_shows_where_it_is(browser: Chrome, file: Path) -> None:
    shown(browser, file, PHONE, "light")
    reached = []
    for _ in range(40):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        active = browser.switch_to.active_element
        if active.tag_name == "body":
            break
        assert browser.execute_script("return getComputedStyle(arguments[0]).outlineStyle", active) != "none"
        reached.append(f"{active.tag_name}.{active.get_attribute('class') or ''}")
    scrolls = browser.execute_script(
        "return [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).length"
    )
    assert scrolls and reached.count("div.scroll") >= scrolls
    assert any(each.startswith("a.") for each in reached)


def test_a_screen_reader_is_told_headings_tables_and_charts_by_name(browser: Chrome, file: Path) -> None:
    shown(browser, file, DESK, "light")
    browser.execute_cdp_cmd("Accessibility.enable", {})
    nodes: list[dict[str, Any]] = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    told: dict[str, list[str]] = {}
    for node in nodes:
        if not node.get("ignored"):
            told.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
    for role, least in (("heading", 4), ("table", 2), ("image", 3), ("columnheader", 8), ("rowheader", 10), ("link", 1)):
        names = told.get(role, told.get({"image": "img"}.get(role, role), []))
        assert len(names) >= least and all(names), (role, names)
    assert told["RootWebArea"] == ["Not complete: run of 2026-11-24 16:00:00 UTC"]
