"""What charts are made with."""

from raydnn.report.drawing import short


def test_long_names_are_cut_and_line_breaks_are_spaces() -> None:
    assert short("a\nb\x07c") == "a b c"
    assert short("x" * 30) == "x" * 25 + "…"
