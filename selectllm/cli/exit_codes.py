"""Exit codes of verdicts; those of errors stand at the errors (core/errors.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from selectllm.core.verdict_words import POLARITY, Polarity, Word, worst

EXIT_CODES: Mapping[Polarity, int] = {"bad": 1, "open": 3, "good": 0}
INCONCLUSIVE = EXIT_CODES["open"]


def exit_code(words: Iterable[Word]) -> int:
    """What a command with verdicts of these words ends with: the code of the worst, 0 of none."""
    word = worst(words)
    return 0 if word is None else EXIT_CODES[POLARITY[word]]
