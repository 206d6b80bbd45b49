"""What a decision scores, and what it missed, in words for the teacher. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selectllm.core.types import Decision
from selectllm.evaluation.metrics.agreement import Agreement, Choice, agreement
from selectllm.prompting.prompt import Prompt, labels_for
from selectllm.prompting.replies.parse import PROBLEMS


@dataclass(frozen=True, slots=True)
class DecisionScore:
    """`score`: range capture G in [0, 1], higher is better (agreement.py). `feedback`: why."""

    score: float
    feedback: str


@dataclass(frozen=True)
class Metric:
    """What decisions by `prompt`, or any version of it, are scored by.

    `utility`: by item id. `k`: the picks asked for.
    """

    prompt: Prompt
    utility: Mapping[str, float]
    k: int

    def __call__(self, decision: Decision) -> DecisionScore:
        """G of one decision, and what it missed.

        Raises ValueError for status `error`, which is never scored, and for a cluster that
        decides nothing.
        """
        found = agreement([Choice.of(decision)], self.utility, self.k)
        if decision.cluster not in found.gain:
            raise ValueError(f"cluster {decision.cluster}: no picks in it are better than others")
        return DecisionScore(found.gain[decision.cluster], self._feedback(decision, found))

    def _feedback(self, decision: Decision, found: Agreement) -> str:
        gain, chance = found.gain[decision.cluster], found.chance[decision.cluster]
        sentences = [
            f"Score {gain:.2f}, where 0 is the worst possible choice, 1 the best possible one and "
            f"{chance:.2f} what choosing at random gets."
        ]
        if decision.status not in ("ok", "repaired"):
            sentences.append(_invalid(decision))
        sentences += self._missed(decision)
        return " ".join(sentences)

    def _missed(self, decision: Decision) -> list[str]:
        """Which candidates carried the value that was missed, and what was chosen instead."""
        ordered = sorted(
            decision.shown, key=lambda each: (-self.utility[each], each not in decision.picks)
        )
        best = ordered[: self.k]
        missed = [each for each in best if each not in decision.picks]
        instead = [each for each in decision.picks if each not in best]
        if not missed:
            return [f"The best possible choice: {self._listed(decision, best)}."]
        told = f"The best choice was {self._listed(decision, best)}"
        chosen = f"chosen instead: {self._listed(decision, instead)}" if instead else "none instead"
        return [f"{told}; missed: {self._listed(decision, missed)}; {chosen}."]

    def _listed(self, decision: Decision, ids: Sequence[str]) -> str:
        labels = dict(
            zip(decision.shown, labels_for(self.prompt, len(decision.shown)), strict=True)
        )
        return ", ".join(f"[{labels[each]}] (worth {self.utility[each]:.3g})" for each in ids)


def _invalid(decision: Decision) -> str:
    """Why the reply could not be used, or not all of it."""
    why = "; ".join(PROBLEMS.get(word, word) for word in decision.problems)
    because = f": {why}" if why else ""
    if decision.status == "refused":
        return f"The model refused to answer{because}."
    part = "Not all of the reply" if decision.status == "partial" else "The reply"
    verb = "could be used" if decision.status == "partial" else "could not be used"
    return f"{part} {verb}{because}."
