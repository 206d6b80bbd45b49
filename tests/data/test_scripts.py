"""Whether an encoder knows what items are written in, as far as their letters tell."""

from __future__ import annotations

import pytest

from selectllm.core.types import Item
from selectllm.data.scripts import unknown_script

ENGLISH = "all-MiniLM-L6-v2@53aa51172d14"


def pool(*texts: str) -> list[Item]:
    return [Item(str(number), text) for number, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Назови цвет.", "Cyrillic"),
        ("说出一种颜色。", "Chinese, Japanese"),
        ("색깔을 말해 보세요.", "Hangul"),
        ("اذكر لونا.", "Arabic"),
        ("Πες ένα χρώμα.", "Greek"),
    ],
)
def test_most_items_in_another_script_are_told(text: str, script: str) -> None:
    told = unknown_script(ENGLISH, pool(text, text, "Name a colour.", "1 + 1"))
    assert told is not None
    assert told.startswith("2 of 3 items")
    assert script in told
    assert "`encoder`" in told


@pytest.mark.parametrize(
    "texts",
    [
        ("Name a colour.", "Назови цвет."),
        ("Nenne eine Farbe, Ärger gibt es nicht.", "Cite une couleur, s'il te plaît."),
        ("12 + 30 = ?", "***"),
        (),
    ],
)
def test_what_letters_cannot_tell_is_not_said(texts: tuple[str, ...]) -> None:
    assert unknown_script(ENGLISH, pool(*texts)) is None


@pytest.mark.parametrize(
    ("encoder", "told"),
    [
        ("sentence-transformers/all-MiniLM-L6-v2", True),
        ("sentence-transformers/all-mpnet-base-v2@main", True),
        ("BAAI/bge-small-en-v1.5", True),
        ("intfloat/e5-base-v2", True),
        ("BAAI/bge-small-zh-v1.5", False),
        ("BAAI/bge-m3", False),
        ("intfloat/multilingual-e5-base", False),
        ("sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", False),
        ("sentence-transformers/paraphrase-MiniLM-L6-v2", True),
        ("my-own@1", False),
    ],
)
def test_an_encoder_that_may_know_it_is_left_alone(encoder: str, told: bool) -> None:
    assert (unknown_script(encoder, pool("说出一种颜色。")) is not None) == told
