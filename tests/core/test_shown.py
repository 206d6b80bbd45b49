"""What a message shows of a value, and what a terminal shows of a stranger's text."""

from __future__ import annotations

import unicodedata
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from selectllm.core.shown import SHOWN, sentence, shortened, visible
from selectllm.report.as_markdown import as_markdown
from selectllm.report.github import command
from selectllm.report.layout import Visible, add_row, table

HOSTILE = "Say \x1b]0;title\x07 \x1b[2J \u202edone\u2066 \x9b1m\x7f"
HARMLESS = r"Say \x1b]0;title\x07 \x1b[2J \u202edone\u2066 \x9b1m\x7f"
ANY = st.text(
    st.characters(codec=None) | st.sampled_from("\x1b\x07\x9b\u202e\u2066\u200e\r\n\ud800")
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", r"'a\nb'"),
        ([1, "b", {"c": None}], "[1, 'b', {'c': None}]"),
        (10**6000, "a number of about 5,979 digits"),
        ("x" * 100, f"'{'x' * 56}..."),
    ],
    ids=["text", "list", "number", "long text"],
)
def test_a_value_is_shown_short(value: object, text: str) -> None:
    assert shortened(value) == text


def test_a_value_of_a_billion_parts_is_not_written_out_first() -> None:
    value: list[object] = ["x"]
    for _ in range(40):
        value = [value, value]
    assert len(shortened(value)) <= SHOWN
    for _ in range(100_000):
        value = [value]
    assert len(shortened(value)) <= SHOWN


def test_controls_are_shown_as_they_are_written() -> None:
    assert visible(HOSTILE) == HARMLESS
    assert visible("a\tb\nc\r\n") == "a\tb\nc\\r\n"
    assert visible("Erkläre 河 — bitte 🙂") == "Erkläre 河 — bitte 🙂"


@given(text=ANY)
def test_no_control_reaches_a_terminal(text: str) -> None:
    shown = visible(text)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in shown if c not in "\t\n")
    assert not any(unicodedata.bidirectional(c) in ("RLO", "LRO", "RLI", "PDF") for c in shown)
    assert visible(shown) == shown


def test_tables_and_lines_on_a_terminal_hold_no_controls_of_their_text() -> None:
    made = table(HOSTILE, HOSTILE, [HOSTILE])
    add_row(made, HOSTILE)
    for shown in (made, Text(HOSTILE)):
        console = Console(file=StringIO(), width=200, color_system=None)
        console.print(Visible(shown))
        said = console.file.getvalue()  # type: ignore[attr-defined]
        assert r"\x1b[2J" in said
        assert said == visible(said)


def test_colours_of_our_own_stay() -> None:
    console = Console(file=StringIO(), force_terminal=True, color_system="standard")
    console.print(Visible(Text("good \x1b[2J", style="green")))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert said.startswith("\x1b[32mgood \\x1b[2J")


def test_markdown_and_annotations_hold_none_either() -> None:
    assert visible(as_markdown(Text(HOSTILE))) == as_markdown(Text(HOSTILE))
    assert command("error", {"title": "a:b"}, "one\n::error::two\x1b[2J\r") == (
        r"::error title=a%3Ab::one%0A::error::two\x1b[2J%0D"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("judge (openai/gpt-4o at 127.0.0.1): too slow", "judge (openai/gpt-4o at 127.0.0.1): too"),
        ("model 'm' has no price", "Model 'm' has no price."),
        ("clusters (13 of 14) are missing", "Clusters (13 of 14) are missing."),
    ],
)
def test_a_sentence_begins_with_a_capital_but_a_name_stays(text: str, said: str) -> None:
    assert sentence(text).startswith(said)
