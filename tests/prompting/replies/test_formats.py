"""Forms of replies: what every record holds to, and what is said of one that does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selectllm.core.errors import PromptError
from selectllm.core.types import Item, Parsed, Question
from selectllm.prompting.replies.formats import (
    REPLY_FORMATS,
    ReplyFormat,
    load_reply_format,
    reply_format,
    write_reply,
)
from selectllm.prompting.replies.parse import complaint, parse


def question(kind: str, m: int = 5, k: int = 2) -> Question:
    labels = tuple(str(number + 1) for number in range(m))
    k = k if REPLY_FORMATS.get(kind, REPLY_FORMATS["indices"]).shows == "cluster" else 1
    return Question(tuple(Item(f"c{i}", f"Task {i}") for i in range(m)), labels, k, kind)


@pytest.mark.parametrize("kind", [kind for kind in REPLY_FORMATS if kind != "digit"])
def test_what_a_form_writes_it_reads(kind: str) -> None:
    asked = question(kind)
    parsed = parse(write_reply(asked, [3, 0, 4, 1, 2]), asked)
    assert (parsed.status, parsed.picks) == ("ok", (3, 0)[: asked.k])


@pytest.mark.parametrize("kind", REPLY_FORMATS)
def test_a_complaint_says_what_is_needed(kind: str) -> None:
    asked = question(kind)
    assert REPLY_FORMATS[kind].needed(asked) in complaint(Parsed((), "invalid"), asked)


def test_tokens_of_a_reply_are_those_of_the_labels_that_it_names() -> None:
    tokens = {
        kind: tuple(form.tokens(question(kind), constrained=limited) for limited in (False, True))
        for kind, form in REPLY_FORMATS.items()
    }
    named = {"indices": (2, 2), "ranking": (5, 2), "scores": (5, 5), "json": (2, 2)}
    named |= {"digit": (1, 1), "choice": (1, 1)}
    assert tokens == {kind: (8 * a + 16, 8 * b + 16) for kind, (a, b) in named.items()}


# A form of one's own

MODULE = "own_reply_form"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which a module holds `FORM`; see `own`."""
    return tmp_path


def own(folder: Path, read: str) -> ReplyFormat:
    """A form whose `read` is this expression of text and question."""
    (folder / f"{MODULE}.py").write_text(
        "from selectllm.core.types import Parsed\n"
        "from selectllm.prompting.replies.formats import ReplyFormat\n"
        f"FORM = ReplyFormat(read=lambda text, question, cut: {read},\n"
        "    needed=lambda question: 'nothing', write=lambda question, preference: 'nothing')\n",
        encoding="utf-8",
    )
    load_reply_format(f"{MODULE}:FORM", (folder,))
    return reply_format(f"{MODULE}:FORM", (folder,))


def test_it_is_read_by_its_name_once_it_was_loaded(folder: Path) -> None:
    own(folder, "Parsed((1, 0), 'ok')")
    asked = replace(question(f"{MODULE}:FORM"), folders=(folder,))
    assert parse("whatever", asked).picks == (1, 0)
    own(folder, "Parsed((0, 1), 'ok')")
    assert parse("whatever", asked).picks == (0, 1)


@pytest.mark.parametrize(
    ("read", "says"),
    [
        ("3", "read returned int. Return a selectllm.core.types.Parsed"),
        (
            "Parsed((0, 0), 'ok')",
            "the positions (0, 0). They must be different whole numbers from 0 to 4",
        ),
        ("Parsed((0, 5), 'ok')", "from 0 to 4"),
        ("Parsed((0,), 'ok')", "read returned 1 picks with status ok"),
        ("Parsed((0, 1, 2), 'repaired')", "read returned 3 picks with status repaired"),
        ("Parsed((0, 1), 'ok', scores=(1.0,))", "read returned 1 scores for 5 candidates"),
        ("Parsed((0, 1), 'ok', ranking=(0, 1, 9, 2, 3))", "positions (0, 1, 9, 2, 3)"),
        ("text.nothing", "failed: AttributeError: 'str' object has no attribute 'nothing'"),
    ],
)
def test_what_it_reads_is_held_to_the_question(folder: Path, read: str, says: str) -> None:
    form: Any = own(folder, read)
    with pytest.raises(PromptError) as raised:
        form.read("text", question(f"{MODULE}:FORM"), False)
    assert str(raised.value).startswith(f"reply kind {MODULE}:FORM")
    assert says in str(raised.value)
