"""The linear datamodelling score: how far sums of a utility foretell what training gains.

Students are trained on random subsets of one size, and the subsets ordered by what they gained.
Additive utilities foretell that order by their sums (Ilyas et al. 2022, Datamodels; the score:
Park et al. 2023, TRAK). Few subsets can be trained on, so that the p-value is by permutation.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Literal

import numpy as np

from selectllm.downstream.outcomes.agreement import set_agreement
from selectllm.downstream.outcomes.schema import AgreementFigure, SetAgreement
from selectllm.downstream.outcomes.scores import Runs
from selectllm.stats.rank_correlation import orders_of, p_above
from selectllm.utility.annotation.rater_agreement import mean_ratings
from selectllm.utility.schema import Correlation, Validation
from selectllm.utility.utility import Utility, check_covered

ALPHA = 0.05


def lds(
    utility: Utility,
    subsets: Mapping[str, Collection[str]],
    gains: Mapping[str, Runs],
    tokens: Mapping[str, float] | None = None,
    *,
    student: str,
    pool_sha256: str,
    gain: Literal["per_token", "per_item"] | None = None,
    tests_sha256: str | None = None,
) -> Validation:
    """Hold `utility` against what training gained on random subsets of the pool.

    `subsets`: the item ids of each, as many in all; `gains`: of each the gain of every training,
    higher is better; `tokens`: how many were learned from each. `student`: what was trained.
    `gain`, `tests_sha256`: see `Validation`.

    Validated if the score is above 0 with a one-sided permutation p of at most ALPHA; fewer than
    4 subsets never are. Raises UtilityError where an item has no value; ValueError for
    subsets of several sizes, or without a finite gain or tokens.
    """
    sizes = {len(items) for items in subsets.values()}
    if len(sizes) != 1 or gains.keys() != subsets.keys():
        raise ValueError("need subsets of one size, and the gains on each of them")
    for items in subsets.values():
        check_covered(items, utility.values, f"utility {utility.name}")
    sums = {name: math.fsum(utility.values[i] for i in items) for name, items in subsets.items()}
    found = set_agreement({n: {"": s} for n, s in sums.items()}, gains, tokens, called="subsets")
    p = _p_above(sums, gains) if found.status == "ok" else None
    doubt = _doubt(found, p)
    return Validation(
        utility=utility.name,
        utility_sha256=utility.sha256,
        pool_sha256=pool_sha256,
        student=student,
        size=sizes.pop(),
        subsets=len(subsets),
        status="unvalidated" if doubt else "validated",
        lds=_correlation(found.spearman),
        p_above=p,
        partial=_correlation(found.partial),
        tokens=_correlation(found.tokens),
        reliability=found.reliability,
        gain=gain,
        tests_sha256=tests_sha256,
        notes=tuple(_notes(found, doubt)),
    )


def _p_above(sums: Mapping[str, float], gains: Mapping[str, Runs]) -> float | None:
    names = sorted(sums)
    mean = mean_ratings(gains)
    x, y = (np.array([side[name] for name in names]) for side in (sums, mean))
    return p_above(x, y, orders_of(len(names)))


def _doubt(found: SetAgreement, p: float | None) -> str | None:
    """Why the utility is not validated; None if it is."""
    value = found.spearman.value
    if found.status != "ok" or value is None or p is None:
        return "there is no score"
    if value <= 0:
        return f"its score is {value:.2f}, not above 0"
    if p > ALPHA:
        return f"{len(found.arms)} subsets may come in such an order by chance (p = {p:.3f})"
    return None


def _notes(found: SetAgreement, doubt: str | None) -> Iterator[str]:
    if doubt is not None:
        yield f"unvalidated: {doubt}"
    yield from found.notes


def _correlation(figure: AgreementFigure) -> Correlation:
    return Correlation(**dict(figure))
