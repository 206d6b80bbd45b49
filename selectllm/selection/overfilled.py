"""The limit on picks that chance makes in a selector's place: beyond it nothing is selected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selectllm.core.errors import SelectionOverFilled
from selectllm.core.shown import excerpt
from selectllm.core.types import Attempt
from selectllm.prompting.replies.parse import PROBLEMS

SHOWN = 200  # characters of a reply


@dataclass(frozen=True, slots=True)
class Filled:
    """How many of `picks` picks are filled at random, and `why`, as a sentence's beginning.

    `reply`, `problems`: the first reply that was of no use, and what was wrong with it (words of
    parse.PROBLEMS); None if there was none.
    """

    filled: int
    picks: int
    why: str
    reply: Attempt | None = None
    problems: Sequence[str] = ()

    def check(self, limit: float, log: Path | None) -> None:
        """Raise SelectionOverFilled if their share is above `limit`; `log` holds all replies."""
        if self.filled / self.picks <= limit:
            return
        told = [
            f"{self.why} for {self.filled} of {self.picks} picks, so they would have been chosen "
            "at random. Nothing was selected.",
            *self._shown(log),
            f"The largest share that is allowed is {limit:g}. To accept random picks, run the same "
            "command again with `max_filled` 1; replies that are already there are used again",
        ]
        raise SelectionOverFilled(" ".join(told), filled=self.filled, picks=self.picks)

    def nothing_reaches(self, threshold: float, log: Path | None) -> SelectionOverFilled:
        """The error where a `threshold` is asked for and none of `picks` items has a value."""
        told = [
            f"{self.why} for any of the {self.picks} items, so none of them can reach `threshold` "
            f"{threshold:g}. Nothing was selected.",
            *self._shown(log),
            "Use another prompt or model, or another strategy",
        ]
        return SelectionOverFilled(" ".join(told), filled=self.filled, picks=self.picks)

    def _shown(self, log: Path | None) -> list[str]:
        """The reply that was of no use and what is wrong with it, and where all replies are."""
        told = []
        if self.reply is not None:
            said = excerpt(" ".join(self.reply.reply.split()), SHOWN)
            wrong = "; ".join(PROBLEMS.get(word, word) for word in self.problems)
            shown = f'was: "{said}"' if said else "was empty"
            if self.reply.finish_reason == "refused":
                wrong = "refused, by the model or by a filter of its provider"
            told.append(f"Its first unusable reply {shown} ({wrong}).")
        if log is not None:
            told.append(f"All replies are in {log}.")
        return told
