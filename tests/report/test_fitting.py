"""Tables on narrow terminals: no figure is folded or lost, and every name can be read in full."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from selectllm.report.layout import add_row, table
from selectllm.report.wording import MEASURES, SD, explained

WORDS = (Path(__file__).parents[2] / "docs/words.md").read_text("utf-8")
WIDTHS = [60, 80, 120]
LONG = "a-prompt-of-many-words@12 + openrouter/meta-llama/llama-3.3-70b-instruct:free"
UNBROKEN = "abcdefghij" * 8
FIGURES = ["-0.20 to +0.52", "0.21", "1,234,567", "not priced", "3 invalid, 2 refused, 1 partial"]


def shown(names: list[str], figures: list[str], width: int) -> list[str]:
    """The lines of a table with a row for each name, all of the same figures."""
    made = table("a title", "a caption", ["selector"], [f"f{n}" for n in range(len(figures))])
    for name in names:
        add_row(made, name, *figures)
    console = Console(file=io.StringIO(), width=width)
    console.print(made)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", WIDTHS)
def test_every_figure_stands_whole_in_a_line_and_every_heading_once(width: int) -> None:
    lines = shown(["short@1 + gpt", LONG], FIGURES * 2, width)
    assert max(map(len, lines)) <= width
    for figure in ("-0.20 to +0.52", "0.21", "1,234,567", "not priced"):
        assert sum(line.count(figure) for line in lines) == 4
    words = " ".join(lines).split()
    for n in range(len(FIGURES) * 2):
        assert words.count(f"f{n}") == 1
    for word in ("invalid,", "refused,", "partial"):
        assert words.count(word) == 4
    assert (lines[0].strip(), lines[-1].strip()) == ("a title", "a caption")


def test_what_fits_is_one_table() -> None:
    lines = shown(["short@1 + gpt"], FIGURES[:3], 80)
    assert sum("selector" in line for line in lines) == 1


@pytest.mark.parametrize("width", WIDTHS)
def test_a_long_name_is_broken_after_signs_alone(width: int) -> None:
    lines = shown([LONG], FIGURES, width)
    pieces = re.findall(r"[^\s+/:@_=,\[-]+", LONG)
    for piece in pieces:
        assert any(piece in line for line in lines), piece


@pytest.mark.parametrize("width", WIDTHS)
def test_a_name_without_signs_is_shortened_and_stands_in_full_below(width: int) -> None:
    text = "".join(line.strip() for line in shown([UNBROKEN], FIGURES, width)).replace("\n", "")
    assert UNBROKEN in text.replace(" ", "")
    if width < 120:
        assert "stands for" in text


@given(
    names=st.lists(st.text("ab@/+ -", min_size=1, max_size=70), min_size=1, max_size=3),
    figures=st.lists(st.text("0123456789", min_size=1, max_size=20), min_size=1, max_size=12),
    width=st.integers(40, 130),
)
def test_no_line_is_too_long_and_no_figure_is_lost(
    names: list[str], figures: list[str], width: int
) -> None:
    lines = shown(names, figures, width)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    for figure in figures:
        assert words.count(figure) >= len(names)


def test_each_measure_is_explained_in_the_words_of_the_glossary() -> None:
    for name, meaning in {**MEASURES, "sd(d)": SD}.items():
        if name != "interval":
            assert f"| {name} | {meaning}" in WORDS
    assert explained(["hit", "auc"]).splitlines()[0] == f"hit: {MEASURES['hit']}."
