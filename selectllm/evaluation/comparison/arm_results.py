"""One selector's side of a run: its decisions, and how they agree with every utility. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from selectllm.core.types import Decision, Status
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.run_inputs import RunInputs
from selectllm.evaluation.metrics.agreement import Agreement, Choice, agreement, random_agreement
from selectllm.selection.strategies import is_analytic
from selectllm.utility.utility import Utility

VALID: tuple[Status, ...] = ("ok", "repaired")


@dataclass(frozen=True)
class ArmResult:
    """`measured`: agreement by the name of the utility, of those that cover the clusters.

    `sampled`: agreement with people's ratings in the clusters that they rated, where a judge
    assists them; else None.
    """

    name: str
    decisions: Sequence[Decision]
    measured: Mapping[str, Agreement]
    sampled: Agreement | None = None

    @property
    def valid_rate(self) -> float | None:
        """Share of the decisions with status ok or repaired; None without decisions."""
        if not self.decisions:
            return None
        counts = Counter(decision.status for decision in self.decisions)
        return sum(counts[status] for status in VALID) / len(self.decisions)

    @property
    def calls(self) -> int:
        """Requests behind the decisions, re-asked ones included."""
        return sum(len(decision.replies) for decision in self.decisions)

    @property
    def cost_usd(self) -> float | None:
        """What the replies cost when they were made; None if any is not priced."""
        costs = [a.cost_usd for decision in self.decisions for a in decision.replies]
        return None if None in costs else float(sum(cost or 0.0 for cost in costs))

    @property
    def seconds(self) -> float:
        """Seconds of all its requests, one after the other."""
        return sum(a.seconds for decision in self.decisions for a in decision.replies)


def arm_results(inputs: RunInputs, decisions: Iterable[Decision]) -> dict[Arm, ArmResult]:
    """Every pair and strategy of a run, as arms. `decisions`: none with status `error`."""
    by_arm: dict[Arm, list[Decision]] = defaultdict(list)
    for decision in decisions:
        by_arm[Arm(decision.prompt, decision.model, decision.strategy)].append(decision)
    arms = [Arm(*pair) for pair in inputs.pairs]
    arms += [Arm(strategy=name) for name in inputs.strategies]
    return {arm: _arm_result(inputs, arm, by_arm[arm]) for arm in arms}


def arm_result_of(inputs: RunInputs, name: str, decisions: Sequence[Decision]) -> ArmResult:
    """The side of decisions that were made elsewhere, such as a baseline's."""
    choices = [Choice.of(decision) for decision in decisions]
    return ArmResult(
        name,
        decisions,
        _measured(inputs, lambda u: _agreement(inputs, choices, u)),
        _of_sample(
            inputs,
            lambda u, sample: _agreement(inputs, [c for c in choices if c.cluster in sample], u),
        ),
    )


def _arm_result(inputs: RunInputs, arm: Arm, decisions: Sequence[Decision]) -> ArmResult:
    if arm.strategy is None or not is_analytic(arm.strategy):
        return arm_result_of(inputs, arm.name, decisions)
    members = {cluster.id: cluster.members for cluster in inputs.clusters}

    def expected(utility: Utility, clusters: Container[int] = members) -> Agreement:
        within = {number: ids for number, ids in members.items() if number in clusters}
        return random_agreement(within, utility.values, inputs.picks, inputs.groups)

    return ArmResult(arm.name, (), _measured(inputs, expected), _of_sample(inputs, expected))


def _agreement(inputs: RunInputs, choices: Sequence[Choice], utility: Utility) -> Agreement:
    return agreement(choices, utility.values, inputs.picks, inputs.groups)


def _measured(inputs: RunInputs, measure: Callable[[Utility], Agreement]) -> dict[str, Agreement]:
    return {utility.name: measure(utility) for utility in inputs.covering}


def _of_sample(
    inputs: RunInputs, measure: Callable[[Utility, Container[int]], Agreement]
) -> Agreement | None:
    """Of people's ratings, which cover the sampled clusters; None where no such ratings decide."""
    utility, design = inputs.headline, inputs.comparison
    if utility is None or inputs.judge is None or (design is not None and design.differing):
        return None
    return measure(utility, frozenset(inputs.sample))
