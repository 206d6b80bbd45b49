"""The kinds of comparison: one record each, and nothing else asks by name which kind it is.

A new kind is its words in core/verdict_words.py, a module like ab.py or swap.py that decides it,
its record here, and its verb in cli/. Runs, plans and reports follow from the records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from selectllm.core.types import Decision
from selectllm.core.verdict_words import KIND_WORDS, OPEN, KindName, KindWords
from selectllm.evaluation.comparison.aa import noise
from selectllm.evaluation.comparison.ab import ab
from selectllm.evaluation.comparison.arm_results import ArmResult, arm_results
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.regress import regress
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign, RunInputs
from selectllm.evaluation.comparison.schema import Noise, Verdict
from selectllm.evaluation.comparison.swap import swap

ArmResults = Mapping[Arm, ArmResult]


def _no_verdict(inputs: RunInputs, arm_results: ArmResults) -> list[Verdict]:
    return []


def _no_noise(inputs: RunInputs, arm_results: ArmResults) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonKind:
    """One kind of comparison.

    `name`: its verb, as manifests, plans and results have it. `words`: how its verdicts read, or
    those of the comparison that its figures are for. `is_planned`: `plan --for` takes it.
    `decide`: from a run's inputs and the results of its arms to the verdicts. `noise`: to what a
    pair differs from itself by, for a kind that asks that.

    `strategies_beside`: the strategies that stand beside its arms; None: the usual controls of
    the pool. `names_arms`: the caller says which arms are compared. `shares_alpha`: several of
    them share the error rate. `may_stop_early`: it can be asked in a sequential design.
    `by_differing`: ratings of the items that exactly one arm picked can decide it. `unassisted`:
    why a judge cannot help people's ratings in it; None: it can. `judges`: the difference d of two
    arms, or x, what is left of the first one's lift.
    """

    name: KindName
    words: KindWords
    is_planned: bool = True
    decide: Callable[[RunInputs, ArmResults], list[Verdict]] = _no_verdict
    noise: Callable[[RunInputs, ArmResults], Noise | None] = _no_noise
    strategies_beside: tuple[str, ...] | None = None
    names_arms: bool = False
    shares_alpha: bool = False
    may_stop_early: bool = False
    by_differing: bool = False
    unassisted: str | None = None
    judges: Literal["difference", "retention"] = "difference"


KINDS: Mapping[KindName, ComparisonKind] = {
    kind.name: kind
    for kind in (
        ComparisonKind(name="eval", words=KIND_WORDS["ab"], by_differing=True),
        ComparisonKind(
            name="ab",
            words=KIND_WORDS["ab"],
            decide=ab,
            names_arms=True,
            shares_alpha=True,
            may_stop_early=True,
            by_differing=True,
        ),
        ComparisonKind(
            name="swap",
            words=KIND_WORDS["swap"],
            decide=swap,
            names_arms=True,
            judges="retention",
            unassisted="how often it would err with a judge has not been measured",
        ),
        ComparisonKind(
            name="regress",
            words=KIND_WORDS["regress"],
            decide=regress,
            strategies_beside=("longest",),  # which is told beside every agreement
            unassisted="a baseline keeps one utility of every item",
        ),
        ComparisonKind(
            name="aa",
            words=KIND_WORDS["ab"],
            is_planned=False,
            noise=noise,
            unassisted="the noise of a pair is read from a utility of every item",
        ),
    )
}


def kind_of(comparison: ComparisonDesign | None) -> ComparisonKind:
    """The kind of a run's comparison; `eval` where it compares nothing."""
    return KINDS["eval" if comparison is None else comparison.kind]


def is_decided(inputs: RunInputs, decisions: Sequence[Decision]) -> bool:
    """Whether no verdict on the clusters that were asked is inconclusive."""
    asked = inputs.first(inputs.asked({decision.cluster for decision in decisions}))
    verdicts = kind_of(inputs.comparison).decide(asked, arm_results(asked, decisions))
    return all(verdict.word != OPEN for verdict in verdicts)
