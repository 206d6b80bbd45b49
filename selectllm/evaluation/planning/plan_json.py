"""A plan as one JSON object (schema.py): its figures, and what they take for granted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import cast

from selectllm.core.shown import counted
from selectllm.core.types import Cluster
from selectllm.evaluation.planning.forecast import ESTIMATE
from selectllm.evaluation.planning.plan import EvaluationPlan, PairPlan
from selectllm.evaluation.planning.prices import table_behind
from selectllm.evaluation.planning.reach import INCUMBENT
from selectllm.evaluation.planning.schema import PlannedKind, PlanResults
from selectllm.stats.binomial import n_to_rule_out
from selectllm.stats.sequential import LEAST_CAP

SAVED = (
    f"From {LEAST_CAP} counted clusters on, --design sequential is expected to save about 17 % of "
    "the calls at the planned effect (measured by eval/benchmarks/verdicts.py)."
)


def plan_json(plan: EvaluationPlan) -> PlanResults:
    """What `plan` prints; null where something is not known."""
    suite, utility = plan.run.suite, plan.run.headline
    return PlanResults(
        suite=suite.name,
        for_=cast("PlannedKind", plan.aim.kind.name),  # aa is not planned
        arms=tuple(each.name for each in plan.aim.arms or plan.pairs),
        picks=suite.picks,
        orders=suite.orders,
        repeats=suite.repeats,
        concurrency=plan.aim.concurrency,
        utility=None if utility is None else utility.summary(),
        clusters=plan.clusters,
        pairs=tuple(pair.asking for pair in plan.pairs),
        strategies=plan.strategies_asking,
        total=plan.total(),
        price_table=table_behind(pair.priced for pair in plan.pairs),
        ratings=plan.ratings,
        spread=plan.spread,
        power=plan.power,
        reach=plan.reach,
        swap=plan.swap(),
        sequential=SAVED if plan.may_stop_early() else None,
        assumptions=tuple(_assumptions(plan)),
        destinations=plan.destinations,
        shared_budgets=(),
    )


def _assumptions(plan: EvaluationPlan) -> Iterator[str]:
    """Everything that the figures take for granted, one sentence each."""
    yield from _assumed_of_calls([*plan.pairs, *plan.strategies.values()])
    yield from _assumed_of_clusters(plan)
    yield from _assumed_of_spread(plan)
    yield from _assumed_of_pilot(plan)
    if plan.aim.kind.judges == "retention" and plan.lifts is None:
        yield f"The model to be replaced captures {INCUMBENT:g}, because no pilot says how much."
    if plan.aim.kind.names_arms and not plan.aim.arms and len(plan.pairs) > 2:
        yield f"All {len(plan.pairs)} pairs are asked, because you did not say which to compare."
    if plan.aim.contrasts > 1:
        yield (
            f"Each of the {plan.aim.contrasts} comparisons gets an equal share of alpha. The Holm "
            "correction asks less of all but the first."
        )
    yield from _assumed_of_severe_losses(plan)
    assisted = plan.ratings.assisted
    if assisted is not None and assisted.source != "pilot":
        how = (
            f"that of {assisted.judge} with people's ratings for two random pickers, in the "
            "clusters that people rated"
            if assisted.source == "random picks"
            else "assumed, since no cluster is rated by people yet. A first sample of 20 shows it"
        )
        yield f"The judge's correlation of {assisted.correlation:.2f} is {how}."
    differing = plan.ratings.differing
    if differing and differing.source != "pilot":
        yield (
            "As many items are picked by exactly one arm as if the arms picked independently. Arms "
            "that agree more than by chance differ in fewer."
        )


def _assumed_of_severe_losses(plan: EvaluationPlan) -> Iterator[str]:
    """What the guard's `strict` takes: clusters enough to rule out that more lose severely."""
    severe = plan.run.suite.gate.severe
    if severe is None or not severe.strict:
        return
    several = len(plan.pairs) if plan.aim.kind.name == "regress" else plan.aim.contrasts
    alpha = plan.run.suite.gate.alpha / max(1, several)
    least = n_to_rule_out(severe.share, alpha)
    half = n_to_rule_out(severe.share, alpha, severe.share / 2)
    if least is None or half is None:
        yield f"No number of clusters rules out severe losses in {severe.share:.1%} of them."
        return
    counted = f"this suite has {plan.clusters.counted:,}"
    if plan.ratings.assisted is not None:
        counted = f"only those that people rated count, now {plan.ratings.assisted.rated:,}"
    yield (
        f"The gate's strict guard takes {least:,} counted clusters if none of them loses "
        f"{severe.loss:g} or more, and {half:,} if {severe.share / 2:.1%} of them do; {counted}."
    )


def _assumed_of_calls(pairs: Sequence[PairPlan]) -> Iterator[str]:
    asking = [pair for pair in pairs if pair.forecast.unasked]
    estimated = {p.forecast.spec.name for p in asking if p.forecast.tokens_by == ESTIMATE}
    if estimated:
        yield (
            f"The prompt tokens of {', '.join(sorted(estimated))} are an estimate, because their "
            "tokenizer is not at hand. For English text it is off by about 13 % at most."
        )
    unknown: dict[tuple[str, str], list[str]] = defaultdict(list)
    for pair in asking:
        if pair.pace.source == "assumption":
            tokens, seconds = f"{pair.pace.tokens_out:.0f}", f"{pair.pace.seconds:.1f}"
            unknown[tokens, seconds].append(pair.name)
    for (tokens, seconds), names in unknown.items():
        yield (
            f"A reply of {', '.join(names)} takes {tokens} tokens, which is the length of its "
            f"format alone, and {seconds} seconds, and no question has to be asked again. No "
            "reply is known yet; reasons or thinking would take more."
        )


def _assumed_of_clusters(plan: EvaluationPlan) -> Iterator[str]:
    if plan.run.headline is None:
        yield "Every cluster counts, because no utility shows which ones do not."
    elif plan.clusters.unrated:
        clusters = counted(plan.clusters.unrated, "cluster")
        yield f"The {clusters} in which ratings are missing count, too."
    if plan.clusters.groups:
        yield (
            "The clusters of one group do not depend on each other. If they are alike, the "
            f"{counted(plan.clusters.groups, 'group')} show less than this."
        )


def _assumed_of_spread(plan: EvaluationPlan) -> Iterator[str]:
    spread = plan.spread
    if spread.source == "random picks":
        assert plan.run.headline is not None
        yield (
            f"sd(d) is that of two random pickers on {plan.run.headline.name} in "
            f"{counted(spread.clusters, 'cluster')}. Arms that share picks usually differ less "
            "than that, and good arms differ more if few items have a high value. A pilot run "
            "would show it."
        )
    elif spread.source == "assumption":
        yield (
            f"sd(d) is {spread.sd:g} captured ({spread.sd * spread.scale:g} on the scale of d), as "
            "in a simulation, because neither a rated utility nor a pilot shows it."
        )
    elif spread.sd == 0:
        yield "The arms differ in no cluster, as in the pilot."


def _assumed_of_pilot(plan: EvaluationPlan) -> Iterator[str]:
    """Where the pilot is not quite what is planned."""
    pilot, run = plan.pilot, plan.run
    if pilot is None:
        return
    if pilot.arms is None:
        yield "The pilot has only one pair, so it does not show how much two pairs differ."
    elif missing := [arm.name for arm in plan.aim.arms if arm not in pilot.sides]:
        used = " and ".join(arm.name for arm in pilot.arms)
        yield (
            f"The arms differ as {used} do in the pilot, which does not have {', '.join(missing)}."
        )
    theirs, ours = pilot.inputs.headline, run.headline
    if theirs and ours and theirs.name != ours.name:
        yield (
            f"The differences in {ours.name} vary as much as those in {theirs.name}, the utility "
            "of the pilot."
        )
    shape = _shape(pilot.inputs.clusters, pilot.inputs.picks)
    if shape != _shape(run.clusters, run.suite.picks):
        yield f"The clusters of the suite behave as those of the pilot do, which are {shape}."


def _shape(clusters: Sequence[Cluster], k: int) -> str:
    """`2 of 10`: the picks and the median size."""
    sizes = sorted(len(cluster.members) for cluster in clusters)
    return f"{k} of {sizes[len(sizes) // 2]}"
