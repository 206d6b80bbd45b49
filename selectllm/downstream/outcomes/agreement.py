"""Set-level agreement: do numbers had before training order the arms as training does? Pure.

`set_agreement` holds any two numbers of the same arms against each other; `agreement_by_utility`
does so for what the compared sets capture of each utility. The unit is the arm, and few arms can
be trained, so most differences are noise. Arms that share a model are not independent, which no
figure here allows for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.core.names import listed
from selectllm.downstream.outcomes.schema import (
    UNDEFINED,
    AgreementFigure,
    ForetellingUtility,
    SetAgreement,
)
from selectllm.downstream.outcomes.scores import Runs, captured_by_arm, set_values_by_arm
from selectllm.evaluation.sets.schema import SetsResults
from selectllm.stats.rank_correlation import (
    FEWEST_FOR_INTERVAL,
    Figure,
    decision_accuracy,
    kendall,
    orders_of,
    partial_spearman,
    spearman,
)
from selectllm.utility.annotation.rater_agreement import mean_ratings, reliability

FEWEST = 4  # arms: of 3, no order is rarer than one in six
LEAST_RELIABILITY = 0.5


def set_agreement(
    foretold: Mapping[str, Runs],
    outcomes: Mapping[str, Runs],
    tokens: Mapping[str, float] | None = None,
    seed: int = 0,
    called: str = "arms",
) -> SetAgreement:
    """Agreement over the arms that both sides have; each is the mean of its runs, higher better.

    `foretold`: such as what the picks capture of a utility. `tokens`: of each arm's sets, for the
    partial correlation and the control. `seed`: of the orders that are drawn for many arms.
    `called`: what the notes call arms that are something else.

    Status `too few arms` below FEWEST, and `no spread` where one side has all arms equal: then
    there are no figures. The reliability is ICC(1, k), the Spearman-Brown step-up of the
    correlation of single runs (see utility/annotation/rater_agreement.py). Raises ValueError for
    numbers that are not finite, and for an arm that `tokens` lacks.
    """
    arms = tuple(sorted(foretold.keys() & outcomes.keys()))
    x, y = _means(foretold, arms), _means(outcomes, arms)
    lengths = None if tokens is None else _lengths(tokens, arms)
    if len(arms) < FEWEST:
        note = f"{len(arms)} {called} are on both sides, and at least {FEWEST} are needed"
        return SetAgreement(status="too few arms", arms=arms, notes=(note,))
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        side = "foretold numbers" if np.ptp(x) == 0 else "outcomes"
        note = f"the {side} of all {called} are equal, so there is no order"
        return SetAgreement(status="no spread", arms=arms, notes=(note,))
    repeats = [reliability({arm: side[arm] for arm in arms}) for side in (outcomes, foretold)]
    known = [each for each in repeats if each is not None]
    orders = orders_of(len(arms), seed)
    return SetAgreement(
        status="ok",
        arms=arms,
        spearman=_told(spearman(x, y, orders)),
        kendall=_told(kendall(x, y, orders)),
        decisions=_told(decision_accuracy(x, y, orders)),
        partial=UNDEFINED if lengths is None else _told(partial_spearman(x, y, lengths, orders)),
        tokens=UNDEFINED if lengths is None else _told(spearman(lengths, y, orders)),
        reliability=repeats[0],
        foretold_reliability=repeats[1],
        ceiling=math.sqrt(math.prod(known)) if known else None,
        notes=tuple(_notes(len(arms), called, repeats[0])),
    )


def agreement_by_utility(
    compared: SetsResults,
    outcomes: Mapping[str, Runs],
    budget: int,
    tokens: Mapping[str, float] | None = None,
    names: Sequence[str] = (),
) -> list[ForetellingUtility]:
    """What sets.json says of each utility, or of those called `names`, and its `agreement`.

    `captured`: of the utility by each selector's sets, a mean over their seeds. A utility that
    knows what sets are worth as a whole (knn) has a second row, whose `captured` is that worth.

    `outcomes`: of the selectors, arm -> run -> score, higher
    is better. `tokens`: of each arm's sets at `budget`. `agreement`: see `SetAgreement`.

    Raises UtilityError for a utility or budget that sets.json does not have.
    """
    known = {utility.name: utility for utility in compared.utilities}
    rows = []
    for name in names or known:
        by_arm = captured_by_arm(compared, name, budget)
        told = {key: value for key, value in known[name] if key != "length"}
        rows.append(_foretelling(told, by_arm, outcomes, tokens))
        if whole := set_values_by_arm(compared, name, budget):
            of_sets = {"name": f"{name} of whole sets", "validation": None, "ceiling": None}
            rows.append(_foretelling(told | of_sets, whole, outcomes, tokens))
    return rows


def _foretelling(
    utility: Mapping[str, Any],
    by_arm: Mapping[str, float],
    outcomes: Mapping[str, Runs],
    tokens: Mapping[str, float] | None,
) -> ForetellingUtility:
    found = set_agreement({arm: {"": value} for arm, value in by_arm.items()}, outcomes, tokens)
    return ForetellingUtility(**utility, captured=dict(by_arm), agreement=found)


def _told(figure: Figure) -> AgreementFigure:
    """A figure as files have it."""
    ends = figure.interval
    return AgreementFigure(
        value=figure.value,
        p=figure.p,
        low=None if ends is None else ends.low,
        high=None if ends is None else ends.high,
    )


def _means(side: Mapping[str, Runs], arms: tuple[str, ...]) -> Floats:
    found = mean_ratings({arm: side[arm] for arm in arms})
    values = np.array([found.get(arm, math.nan) for arm in arms])
    if not np.isfinite(values).all():
        raise ValueError("need a finite number for every run of every arm")
    return values


def _lengths(tokens: Mapping[str, float], arms: tuple[str, ...]) -> Floats:
    if missing := [arm for arm in arms if arm not in tokens]:
        raise ValueError(f"tokens: need those of every arm, and lack {listed(missing)}")
    return _means({arm: {"": tokens[arm]} for arm in arms}, arms)


def _notes(arms: int, called: str, repeats: float | None) -> list[str]:
    """What keeps the figures from being a verdict; `repeats`: the outcomes' reliability."""
    notes = []
    if arms < FEWEST_FOR_INTERVAL:
        least = 2 / math.factorial(arms)
        notes.append(
            f"{arms} {called}: no interval below {FEWEST_FOR_INTERVAL}, and no two-sided p-value "
            f"can be below {least:.2g}"
        )
    if repeats is None:
        notes.append(
            f"none of the {called} has two runs, so how far the outcomes would repeat is not known"
        )
    elif repeats < LEAST_RELIABILITY:
        notes.append(
            f"the outcomes have a reliability of {repeats:.2f}, below {LEAST_RELIABILITY:g}: "
            f"training again would order the {called} otherwise"
        )
    return notes
