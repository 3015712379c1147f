"""Pages: HTML that is whole, escaped, and can be read without seeing it."""

from html.parser import HTMLParser

import pytest

from raydnn.report.page import Chart, Code, Fact, Facts, Note, Page, Section, Table
from raydnn.report.palette import DARK, LIGHT
from raydnn.report.text import NOTHING

VOID = {"meta", "link", "br", "hr", "img", "input", "path", "use", "rect"}
TABLE = Table(
    "Rows <by> day",
    ["Day", "Rows", "Share", "Range"],
    [["Monday", 1200, "12.5 %", "1 to 2"], ["<b>", None, NOTHING, ""]],
)


class Reader(HTMLParser):
    """Collects tags with their attributes, and checks that each is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def page(*parts: object) -> str:
    return Page("A <title>", "of & about", [Section("one", "First", "intro", parts)]).to_html()  # type: ignore[arg-type]


def test_a_page_is_whole_and_names_nothing_outside() -> None:
    html = page(TABLE, Note("careful", "warning"), Facts([Fact("AUC", 0.6908)]), Code("YAML", "a: <b>"))
    reader = Reader(html)
    assert reader.open == []
    assert reader.all("script") == []
    assert [link["href"] for link in reader.all("link")] == ["data:,"]
    assert "http" not in html
    assert "<title>A &lt;title&gt;</title>" in html
    assert '<pre tabindex="0">a: &lt;b&gt;</pre>' in html
    assert "<strong>Warning:</strong> careful" in html
    assert "<dd>0.6908</dd>" in html


def test_a_page_has_landmarks_a_language_and_contents() -> None:
    reader = Reader(page(TABLE))
    assert reader.all("html") == [{"lang": "en"}]
    for landmark in ("header", "nav", "main"):
        assert len(reader.all(landmark)) == 1
    assert [link["href"] for link in reader.all("a")] == ["#content", "#one"]
    (section,) = reader.all("section")
    assert section["aria-labelledby"] in [head["id"] for head in reader.all("h2")]


def test_tables_have_a_caption_and_heads_and_numbers_stand_right() -> None:
    html = page(TABLE)
    reader = Reader(html)
    assert "<caption>Rows &lt;by&gt; day</caption>" in html
    assert [head["scope"] for head in reader.all("th")] == ["col"] * 4 + ["row"] * 2
    assert TABLE.is_number == [False, True, True, True]
    assert ">1,200</td>" in html
    assert "<b>" not in html


def test_text_is_no_number() -> None:
    table = Table("t", ["a", "b", "c", "d"], [["1", "v1.2", "4 x 2", "2026-11-22"]])
    assert table.is_number == [False] * 4
    assert Table("t", ["a", "b"], []).is_number == [False, False]


def test_colours_are_variables_of_both_schemes_and_paper_is_white() -> None:
    html = page(TABLE)
    assert f":root {{ color-scheme: light; --paper: {LIGHT['paper']};" in html
    assert (
        "@media screen and (prefers-color-scheme: dark) { :root { color-scheme: dark; --paper: " + DARK["paper"] in html
    )
    assert "@media print" in html


def test_charts_stand_together_with_their_numbers_behind_them() -> None:
    charts = [Chart(name, f"Chart {name}", "<svg></svg>", "alt", TABLE if name == "a" else None) for name in "ab"]
    reader = Reader(page(*charts, TABLE))
    assert [figure["id"] for figure in reader.all("figure")] == ["chart-a", "chart-b"]
    assert len([each for each in reader.all("div") if each.get("class") == "charts"]) == 1
    assert len(reader.all("details")) == 1
    assert len(reader.all("table")) == 2


def test_names_that_come_twice_are_refused() -> None:
    chart = Chart("roc", "ROC", "<svg></svg>", "alt")
    with pytest.raises(ValueError, match="two charts of a page are called roc"):
        page(chart, chart)
    with pytest.raises(ValueError, match="two sections of a page are called one"):
        Page("a", "b", [Section("one", "One"), Section("one", "Two")]).to_html()


def test_columns_that_paper_has_no_room_for_are_left_out_there_and_said_to_be() -> None:
    narrow, wide = (Table("t", [f"c{place}" for place in range(size)], []) for size in (12, 13))
    assert (narrow.is_wide, wide.is_wide) == (False, True)
    assert "left out" not in page(narrow)
    assert "Columns for which paper has no room are left out." in page(wide)
