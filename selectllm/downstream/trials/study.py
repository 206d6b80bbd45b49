"""From finished trials to compare.json. Pure: the same trials give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from selectllm.core.arrays import Counts
from selectllm.core.choices import Aggregation
from selectllm.downstream.outcomes.agreement import agreement_by_utility
from selectllm.downstream.outcomes.schema import ForetellingUtility
from selectllm.downstream.trials.comparison import compare, described
from selectllm.downstream.trials.gains import (
    Gains,
    gains_of,
    mean_gain,
)
from selectllm.downstream.trials.log import BASE, Trial, TrialKey
from selectllm.downstream.trials.schema import (
    DRAWN,
    BothGains,
    Foretellings,
    GainComparisons,
    TrialFigures,
)
from selectllm.downstream.trials.training_set import TrialSet
from selectllm.evaluation.sets.schema import SetsResults


def study(
    sets: Sequence[TrialSet],
    seeds: Sequence[int],
    trials: Mapping[TrialKey, Trial],
    tokens: Counts,
    primary: Aggregation,
) -> tuple[TrialFigures, list[Gains]]:
    """What trials of `sets` show, and the gains behind it.

    `tokens`: (n_tests,) of the test responses. `primary`: the aggregation whose verdicts count.
    """
    found = [gains_of(each, seeds, trials, tokens) for each in sets]
    base = np.array(trials[BASE].nats)
    return TrialFigures(
        primary=primary,
        training_seeds=tuple(seeds),
        test_tokens=int(tokens.sum()),
        base_loss=BothGains(
            per_token=mean_gain(base, tokens, "per_token"),
            per_item=mean_gain(base, tokens, "per_item"),
        ),
        comparisons=GainComparisons(
            per_token=compare(found, "per_token"), per_item=compare(found, "per_item")
        ),
        sets=tuple(described(each) for each in found),
    ), found


def foretellings(found: Sequence[Gains], compared: SetsResults, budget: int) -> Foretellings:
    """What foretells the gains, by both aggregations; see `agreements`."""
    return Foretellings(
        per_token=agreements(found, "per_token", compared, budget),
        per_item=agreements(found, "per_item", compared, budget),
    )


def agreements(
    found: Sequence[Gains], by: Aggregation, compared: SetsResults, budget: int
) -> tuple[ForetellingUtility, ...]:
    """How far each utility of sets.json (`compared`) foretells the gains of the selectors.

    A selector stands for the mean of its sets; `strategy:random` is one, by its own sets, of which
    `compared` says what they capture. The tokens are those of the responses that were trained on.
    """
    runs: dict[str, dict[str, float]] = {}
    tokens: dict[str, list[int]] = {}
    for each in found:
        if each.of.role == "matched" or each.of.arm == DRAWN:
            continue
        own = runs.setdefault(each.of.arm, {})
        own.update({f"{each.of.seed}/{seed}": gain for seed, gain in each.runs(by).items()})
        tokens.setdefault(each.of.arm, []).append(each.learned)
    learned = {arm: float(np.mean(counts)) for arm, counts in tokens.items()}
    return tuple(agreement_by_utility(compared, runs, budget, learned))
