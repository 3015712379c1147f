"""The report in a browser: nothing is missing, asked for or complained of, on any screen and on paper."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from raydnn import config
from raydnn.report import ReportPlaces, write_report


@pytest.fixture(scope="module")
def report(run: config.Run, tmp_path_factory: pytest.TempPathFactory) -> ReportPlaces:
    return write_report(run, tmp_path_factory.mktemp("browser") / "report.html")


class Opened:
    """A page with all that it said and asked for."""

    def __init__(self, browser: Browser, path: str, width: int, scheme: str) -> None:
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(Path(path).as_uri())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_every_chart_is_drawn_and_nothing_else_is_loaded(
    browser: Browser, report: ReportPlaces, width: int, scheme: str
) -> None:
    opened = Opened(browser, report.report, width, scheme)
    page = opened.page
    assert opened.errors == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [Path(report.report).as_uri()]
    for name in report.charts:
        svg = page.locator(f"#chart-{name} > svg")
        box = svg.bounding_box()
        assert box is not None
        assert box["width"] > 250, name
        assert box["height"] > 60, name
        marks = svg.evaluate(
            """svg => [...svg.querySelectorAll('path, use, rect')].filter(mark => {
                 const box = mark.getBoundingClientRect(), style = getComputedStyle(mark);
                 const drawn = style.fill !== 'none' || style.stroke !== 'none';
                 return drawn && !mark.closest('defs, clipPath') && box.width + box.height > 0;
               }).length"""
        )
        assert marks > 5, name
    wide = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide == [width, width]
    page.close()


def test_text_of_a_chart_overlaps_nowhere(browser: Browser, report: ReportPlaces) -> None:
    page = Opened(browser, report.report, 1280, "light").page
    overlapping = page.evaluate(
        """() => [...document.querySelectorAll('.chart > svg')].flatMap(svg => {
             const texts = [...svg.querySelectorAll('text')].map(
               text => [text.textContent, text.getBoundingClientRect()]);
             return texts.flatMap(([one, a], place) => texts.slice(place + 1)
               .filter(([_, b]) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
                                && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4)
               .map(([other, _]) => `${svg.closest('figure').id}: ${one} / ${other}`));
           })"""
    )
    assert overlapping == []
    page.close()


def test_the_scheme_decides_the_colours_of_page_and_charts(browser: Browser, report: ReportPlaces) -> None:
    colours = []
    for scheme in ("light", "dark"):
        page = Opened(browser, report.report, 1280, scheme).page
        text = "getComputedStyle(document.querySelector('#chart-roc text')).fill"
        colours.append((page.evaluate("getComputedStyle(document.body).backgroundColor"), page.evaluate(text)))
        page.close()
    assert colours[0][0] == "rgb(255, 255, 255)"
    assert colours[0][0] != colours[1][0]
    assert colours[0][1] != colours[1][1]


def test_on_paper_the_tables_are_open_and_the_paper_is_white(browser: Browser, report: ReportPlaces) -> None:
    page = Opened(browser, report.report, 1280, "dark").page
    table = page.locator("#chart-roc details table")
    assert not table.is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    assert table.is_visible()
    assert not page.locator("nav").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.close()


def test_the_keyboard_reaches_the_contents_and_the_tables(browser: Browser, report: ReportPlaces) -> None:
    page = Opened(browser, report.report, 1280, "light").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#summary"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.locator("#chart-roc summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("#chart-roc details table").is_visible()
    page.close()
