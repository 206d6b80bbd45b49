"""Whether an encoder knows the language of items in Latin letters."""

from __future__ import annotations

import sys

import pytest

from selectllm.core.types import Item
from selectllm.data.languages import unknown_language

ENGLISH = "all-MiniLM-L6-v2@53aa51172d14"

GERMAN = (
    "Erkläre einem Kind, warum der Himmel blau ist.",
    "Schreibe eine höfliche Absage auf eine Einladung zum Abendessen.",
    "Nenne drei Flüsse, die durch Deutschland fließen.",
    "Fasse den folgenden Text in zwei Sätzen zusammen.",
)
OTHERS = {
    "Spanish": "Explica con tus propias palabras por qué el cielo es azul.",
    "French": "Écris une lettre à un ami pour lui annoncer une bonne nouvelle.",
    "Italian": "Spiegami la differenza tra un lago e un fiume in poche righe.",
    "Portuguese": "Escreva uma receita simples de bolo de cenoura para iniciantes.",
    "Dutch": "Leg in eenvoudige woorden uit hoe een fiets werkt.",
    "Polish": "Wyjaśnij krótko, dlaczego liście jesienią zmieniają kolor.",
    "Swedish": "Förklara kort varför löven byter färg på hösten.",
    "Turkish": "Kısa bir cümleyle gökyüzünün neden mavi olduğunu açıkla.",
    "Vietnamese": "Hãy giải thích ngắn gọn tại sao bầu trời có màu xanh.",
}
CODE = (
    "for (let i = 0; i < items.length; i++) { total += items[i].price * items[i].count; }",
    "SELECT name, count(*) FROM orders JOIN people USING (id) GROUP BY name ORDER BY 2 DESC;",
    "def mean(xs):\n    return sum(xs) / len(xs) if xs else None",
    '#include <stdio.h>\nint main(void) { printf("%d\\n", 42); return 0; }',
)
NAMED = (
    "Johann Wolfgang von Goethe",
    "Rio de Janeiro",
    "Who wrote the opera Die Entführung aus dem Serail?",
    "Translate 'Je ne sais pas' into English.",
    "Is Château d'Yquem a red wine?",
    "Fix this: print('hello wrld')",
)


def pool(*texts: str) -> list[Item]:
    return [Item(str(number), text) for number, text in enumerate(texts)]


def test_most_items_in_german_are_told_with_what_helps() -> None:
    told = unknown_language(ENGLISH, pool(*GERMAN, "Name a colour.", "1 + 1"))
    assert told is not None
    assert told.startswith("4 of 6 items")
    for words in ("German 4", "all-minilm-l6-v2", "`encoder`", "multilingual"):
        assert words in told


@pytest.mark.parametrize(("language", "text"), OTHERS.items())
def test_each_language_is_named(language: str, text: str) -> None:
    told = unknown_language(ENGLISH, pool(text))
    assert told is not None
    assert f"{language} 1" in told


@pytest.mark.parametrize(
    "texts",
    [
        ("Explain why the sky is blue.", "Name a colour.", *GERMAN[:2]),
        CODE,
        NAMED,
        ("12 + 30 = ?", "***", "Bonjour"),
        ("Назови три реки в Европе.",),  # other letters are told by scripts.py
        (),
    ],
)
def test_english_code_and_names_are_left_alone(texts: tuple[str, ...]) -> None:
    assert unknown_language(ENGLISH, pool(*texts)) is None


@pytest.mark.parametrize(
    "encoder", ["paraphrase-multilingual-MiniLM-L12-v2", "BAAI/bge-m3", "my-own@1"]
)
def test_an_encoder_of_several_languages_is_left_alone(encoder: str) -> None:
    assert unknown_language(encoder, pool(*GERMAN)) is None


def test_a_large_pool_is_looked_at_evenly() -> None:
    english = ["Explain in your own words why the sky is blue."] * 400
    told = unknown_language(ENGLISH, pool(*english, *GERMAN * 150))
    assert told is not None
    assert told.startswith("120 of 200 items")


def test_without_the_library_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py3langid", None)
    assert unknown_language(ENGLISH, pool(*GERMAN)) is None
