"""The report of a sweep in a browser: nothing is missing, asked for or complained of, and no text hides another."""

from pathlib import Path

import pytest
from made_sweep import made_sweep
from playwright.sync_api import Browser

from raydnn import tune

MARKS = """svg => [...svg.querySelectorAll('path, use, rect')].filter(mark => {
    const box = mark.getBoundingClientRect(), style = getComputedStyle(mark);
    const drawn = style.fill !== 'none' || style.stroke !== 'none';
    return drawn && !mark.closest('defs, clipPath') && box.width + box.height > 0;
}).length"""
OVERLAPS = """() => [...document.querySelectorAll('.chart > svg')].flatMap(svg => {
    const texts = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
    return texts.flatMap(([one, a], place) => texts.slice(place + 1)
        .filter(([_, b]) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
                         && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4)
        .map(([other, _]) => `${svg.closest('figure').id}: ${one} / ${other}`));
})"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[tune.SweepReportPlaces]:
    """Of a sweep that has ended, and of one that runs and has two metrics."""
    two = {"metric": ["auc", "average_loss"], "mode": ["max", "min"], "is_running": True}
    made = [made_sweep(tmp_path_factory.mktemp("sweep"), **changes) for changes in ({}, {"trials": 6, **two})]
    return [tune.write_sweep_report(record.sweep.folder) for record in made]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (375, "dark")])
def test_every_chart_is_drawn_and_nothing_else_is_loaded(
    browser: Browser, reports: list[tune.SweepReportPlaces], width: int, scheme: str
) -> None:
    for report in reports:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        errors: list[str] = []
        requests: list[str] = []
        page.on("console", lambda message, errors=errors: errors.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
        page.on("request", lambda request, requests=requests: requests.append(request.url))
        page.goto(Path(report.report).as_uri())
        assert errors == []
        assert [url for url in requests if not url.startswith("data:")] == [Path(report.report).as_uri()]
        for name in report.charts:
            svg = page.locator(f"#chart-{name} > svg")
            box = svg.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) > 60, name
            assert svg.evaluate(MARKS) > 5, name
        assert page.evaluate(OVERLAPS) == []
        wide = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide == [width, width]
        page.close()
