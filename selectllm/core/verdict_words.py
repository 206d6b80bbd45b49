"""The words that comparisons end with, and what they mean to whoever reads them. No rules.

Reports and exit codes speak of verdicts but compute none, so the words stand here, below both;
the rules by which a word is earned are in evaluation/comparison.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

KindName = Literal["eval", "ab", "aa", "swap", "regress"]
"""The kinds of comparison, by their verb; `eval` compares nothing, `aa` measures noise."""

VerdictKind = Literal["ab", "swap", "regress"]
"""Those that end with a word."""

Word = Literal["better", "worse", "equivalent", "pass", "fail", "safe", "not safe", "inconclusive"]
Polarity = Literal["good", "bad", "open"]
OPEN: Word = "inconclusive"
EqualWord = Literal["equivalent", "safe", "pass"]
"""Those that arms earn which do not differ."""


@dataclass(frozen=True, slots=True)
class KindWords:
    """How the verdicts of one kind of comparison read.

    `arms`: what the reference and the judged arm are called. `bad`, `good`: its words besides
    `inconclusive`, each the worst first, with the reason that goes with the word. `equal`: the
    word for arms that do not differ. `sides`: 2 where a direction may err by alpha in all, so
    that the interval shown is one of 1 - alpha; 1 where it may err by alpha each way, and the
    interval is one of 1 - 2 alpha.
    """

    arms: tuple[str, str]
    bad: Mapping[Word, str]
    good: Mapping[Word, str]
    equal: EqualWord
    sides: Literal[1, 2]


KIND_WORDS: Mapping[VerdictKind, KindWords] = {
    "ab": KindWords(
        arms=("a", "b"),
        bad={"worse": "the interval of the difference lies below 0"},
        good={
            "equivalent": "the interval of the difference lies inside the margin",
            "better": "the interval of the difference lies above 0",
        },
        equal="equivalent",
        sides=2,
    ),
    "swap": KindWords(
        arms=("from", "to"),
        bad={"not safe": "the new model keeps less of the quality than it must"},
        good={"safe": "the new model keeps as much of the quality as it must"},
        equal="safe",
        sides=1,
    ),
    "regress": KindWords(
        arms=("before", "after"),
        bad={"fail": "the difference lies below 0"},
        good={"pass": "a loss as large as the margin is ruled out"},
        equal="pass",
        sides=1,
    ),
}

POLARITY: Mapping[Word, Polarity] = {
    **{word: "bad" for kind in KIND_WORDS.values() for word in kind.bad},
    OPEN: "open",
    **{word: "good" for kind in KIND_WORDS.values() for word in kind.good},
}
"""Whether a word is good news, bad news, or leaves the question open; the worst word first."""

REASONS: Mapping[Word, str] = {
    OPEN: "the interval is too wide to say",
    **{word: why for kind in KIND_WORDS.values() for word, why in kind.bad.items()},
    **{word: why for kind in KIND_WORDS.values() for word, why in kind.good.items()},
}


def worst(words: Iterable[Word]) -> Word | None:
    """The worst of several verdicts' words: a bad one goes before an open one; None of none."""
    return min(words, key=list(POLARITY).index, default=None)


def confidence(kind: VerdictKind, alpha: float) -> float:
    """The confidence of the interval that a verdict shows, at the gate's `alpha`."""
    return 1 - alpha if KIND_WORDS[kind].sides == 2 else 1 - 2 * alpha
