"""Which measure foretells which, over many strata of published results. Pure.

Within a stratum (the same model, task and budget, say) two measures order the arms, and Spearman's
correlation says how alike. Over strata the mean is taken. Strata that differ in the budget alone
share a base model and a task, and mostly also the items, so they are not independent: the interval
treats them as one group (Student's t on the sums of groups, see stats/intervals.py). The values of
an arm are means over its seeds; what seeds leave of noise is in the spread between groups.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from selectllm.core.errors import UtilityError
from selectllm.core.names import unknown
from selectllm.downstream.outcomes.result_table import ResultTable, Stratum, TableRow
from selectllm.downstream.outcomes.schema import (
    BeyondUntrained,
    Foretelling,
    ForetellingPart,
    ForetoldTable,
)
from selectllm.stats.intervals import mean_estimate
from selectllm.stats.rank_correlation import decision_accuracy, spearman
from selectllm.utility.annotation.rater_agreement import reliability

FEWEST_ARMS = 3
LOWER = ("loss", "perplexity", "error")
"""A measure with one of these in its name is better when it is lower."""
UNTRAINED = ("untrained", "base", "none")

Where = tuple[Stratum, str]
"""A stratum with its budget."""
Values = Mapping[Where, Mapping[str, Mapping[str, float]]]
"""Of one measure, by stratum and arm: by seed the value, higher is better."""


@dataclass(frozen=True, slots=True)
class _Correlated:
    """Two measures in one stratum."""

    where: Where
    rho: float
    decisions: float
    reliabilities: tuple[float | None, float | None]


def foretold(
    table: ResultTable,
    outcome: str | None = None,
    lower: Sequence[str] = (),
    untrained: str | None = None,
) -> ForetoldTable:
    """How far each other measure foretells `outcome`, within strata, and what beats no training.

    `outcome`: None for the only measure that is better when it is higher. `lower`: measures that
    are better when they are lower, beside those whose names say so (LOWER). `untrained`: the arm
    that is the model before training; None for one that is called so (UNTRAINED), if there is any.

    Raises UtilityError for a measure or arm that the table lacks, where the outcome is not clear,
    and where no stratum has FEWEST_ARMS arms.
    """
    falling = _falling(table.measures, lower)
    target = _outcome(table.measures, outcome, falling)
    base = _untrained(table, untrained)
    by_measure = {name: _values(table.rows, name, name in falling) for name in table.measures}
    arms = {name: _without(values, base) for name, values in by_measure.items()}
    rows = []
    for name in table.measures:
        if name != target:
            rows.append(_foretelling(name, name in falling, arms[name], arms[target], table))
    if not any(row.strata for row in rows):
        if any(row.undefined for row in rows):
            raise UtilityError(
                f"{target!r}, or each measure beside it, has one value for all arms wherever "
                "these could be compared, so there is no order to compare"
            )
        raise UtilityError(
            f"no two measures have values of {FEWEST_ARMS} arms or more in the same circumstances "
            f"(the same {', '.join(table.columns) or 'file'} and budget), so there is no order to "
            "compare"
        )
    return ForetoldTable(
        outcome=target,
        strata_of=table.columns,
        rows=len(table.rows),
        arms=tuple(sorted({row.arm for row in table.rows} - {base})),
        measures=tuple(rows),
        untrained=base,
        beyond_untrained=tuple(_beyond(by_measure[target], base, table.columns)) if base else (),
    )


def _falling(measures: Sequence[str], lower: Sequence[str]) -> frozenset[str]:
    """The measures that are better when they are lower."""
    named = set()
    for name in lower:
        alike = [each for each in measures if each == name or each.startswith(f"{name} (")]
        if not alike:
            raise UtilityError(f"`lower`: {unknown('measure', name, measures)}", argument="lower")
        named |= set(alike)
    return frozenset(named | {each for each in measures if any(w in each.lower() for w in LOWER)})


def _outcome(measures: Sequence[str], given: str | None, falling: frozenset[str]) -> str:
    rising = [each for each in measures if each not in falling]
    alike = [each for each in measures if given in (each, each.partition(" (")[0])]
    if given is not None and not alike:
        raise UtilityError(f"`outcome`: {unknown('measure', given, measures)}", argument="outcome")
    chosen = alike if given is not None else rising
    if len(chosen) != 1:
        raise UtilityError(
            "it is not clear which measure to predict: it could be any of "
            f"{', '.join(map(repr, chosen or measures))}. Name one with `outcome`",
            argument="outcome",
        )
    return chosen[0]


def _untrained(table: ResultTable, given: str | None) -> str | None:
    arms = {row.arm for row in table.rows}
    if given is not None and given not in arms:
        raise UtilityError(f"`untrained`: {unknown('arm', given, arms)}", argument="untrained")
    return given or next((arm for arm in sorted(arms) if arm.lower() in UNTRAINED), None)


def _values(rows: Sequence[TableRow], measure: str, falls: bool) -> Values:
    found: dict[Where, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if row.measure == measure:
            found[row.stratum, row.budget][row.arm][row.seed] = -row.value if falls else row.value
    return found


def _without(values: Values, arm: str | None) -> Values:
    kept = {
        where: {name: runs for name, runs in arms.items() if name != arm}
        for where, arms in values.items()
    }
    return {where: arms for where, arms in kept.items() if arms}


def _foretelling(
    name: str, falls: bool, foretelling: Values, outcome: Values, table: ResultTable
) -> Foretelling:
    found, undefined = [], 0
    for where in foretelling.keys() & outcome.keys():
        one = _correlated(where, foretelling[where], outcome[where])
        if one is not None:
            found.append(one)
        elif len(foretelling[where].keys() & outcome[where].keys()) >= FEWEST_ARMS:
            undefined += 1
    found.sort(key=lambda each: each.where)
    parts = []
    for place, column in enumerate(table.columns):
        for value in dict.fromkeys(each.where[0][place][1] for each in found):
            of = [each for each in found if each.where[0][place][1] == value]
            parts.append(_part(column, value, of))
    for budget in sorted({each.where[1] for each in found} - {""}, key=_as_number):
        parts.append(_part("budget", budget, [each for each in found if each.where[1] == budget]))
    return Foretelling(
        measure=name,
        lower_is_better=falls,
        strata=len(found),
        groups=len({each.where[0] for each in found}),
        undefined=undefined,
        overall=_part("", "", found),
        parts=tuple(parts),
        reliability=_mean(each.reliabilities[0] for each in found),
        outcome_reliability=_mean(each.reliabilities[1] for each in found),
    )


def _correlated(
    where: Where, x: Mapping[str, Mapping[str, float]], y: Mapping[str, Mapping[str, float]]
) -> _Correlated | None:
    """One stratum; None where there are too few arms, or one side has all arms equal."""
    arms = sorted(x.keys() & y.keys())
    if len(arms) < FEWEST_ARMS:
        return None
    a, b = (np.array([fmean(side[arm].values()) for arm in arms]) for side in (x, y))
    no_orders = np.empty((1, len(arms)), dtype=np.intp)
    no_orders[:] = np.arange(len(arms))
    rho = spearman(a, b, no_orders).value
    if rho is None:
        return None
    decisions = decision_accuracy(a, b, no_orders).value
    repeats = tuple(reliability({arm: side[arm] for arm in arms}) for side in (x, y))
    assert decisions is not None
    return _Correlated(where, rho, decisions, (repeats[0], repeats[1]))


def _part(column: str, value: str, found: Sequence[_Correlated]) -> ForetellingPart:
    """The mean over these strata; groups are strata that differ in the budget alone."""
    groups = [each.where[0] for each in found]
    estimate = mean_estimate([each.rho for each in found], groups) if found else None
    ends = None if estimate is None else estimate.interval(0.95)
    return ForetellingPart(
        column=column,
        value=value,
        strata=len(found),
        groups=len(set(groups)),
        spearman=_mean(each.rho for each in found),
        low=None if ends is None else max(-1.0, ends.low),
        high=None if ends is None else min(1.0, ends.high),
        decisions=_mean(each.decisions for each in found),
    )


def _beyond(outcome: Values, base: str, columns: Sequence[str]) -> Iterator[BeyondUntrained]:
    """Of each value of each column and each budget: how many arms end above the untrained model.

    Means over the strata in which the arm and the untrained model both have a value.
    """
    before = {
        where[0]: fmean(arms[base].values()) for where, arms in outcome.items() if base in arms
    }
    for place, column in enumerate(columns):
        gains: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for (stratum, budget), arms in outcome.items():
            for arm, runs in arms.items():
                if arm != base and stratum in before:
                    gain = fmean(runs.values()) - before[stratum]
                    gains[stratum[place][1], budget][arm].append(gain)
        for value, budget in sorted(gains, key=lambda key: (key[0], _as_number(key[1]))):
            means = {arm: fmean(each) for arm, each in gains[value, budget].items()}
            best = max(means, key=lambda arm: means[arm])
            yield BeyondUntrained(
                column=column,
                value=value,
                budget=budget,
                arms=len(means),
                above=sum(gain > 0 for gain in means.values()),
                best=best,
                best_gain=means[best],
            )


def _mean(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _as_number(text: str) -> tuple[float, str]:
    """So that 500 stands before 1000."""
    try:
        return float(text), text
    except ValueError:
        return 0.0, text
