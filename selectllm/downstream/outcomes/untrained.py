"""Imported results beside those of the model before training: which arms end below it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from selectllm.core.errors import UtilityError
from selectllm.core.names import listed
from selectllm.downstream.outcomes.formats import read_result_file
from selectllm.downstream.outcomes.schema import ImportedUntrained, Result
from selectllm.downstream.outcomes.scores import ArmScores
from selectllm.stats.intervals import mean_estimate

BEFORE = "the untrained model"
"""What it is called among the arms; no selector has this name."""


def with_untrained(results: Sequence[Result], path: Path, budget: int | None) -> tuple[Result, ...]:
    """`results`, and the untrained model's as those of one more arm.

    `path`: a result file as `utility import` takes them, of one model. `budget`: at which arms are
    compared; None for the only one. Raises UtilityError, naming file and place, for a file that
    cannot be read, and for one of several models.
    """
    found = read_result_file(path)
    named = sorted({str(each.of or each.models) for each in found})
    if len(named) > 1:
        raise UtilityError(
            f"{path} has the results of {len(named)} models ({listed(named)}). Name a file of the "
            "untrained model alone",
            argument="untrained_results",
        )
    budgets = sorted({each.budget for each in results})
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    before = [
        Result(
            arm=BEFORE,
            budget=budgets[0] if budget is None else budget,
            seed=0,
            training_seed=None,
            benchmark=each.benchmark,
            test_id=each.test_id,
            metric=each.metric,
            value=each.value,
            higher_is_better=each.higher_is_better,
            source_file_sha256=sha256,
        )
        for each in found
        if each.value is not None
    ]
    return (*results, *before)


def beside_untrained(scores: ArmScores) -> tuple[ArmScores, ImportedUntrained | None]:
    """The scores of the arms alone, and what the untrained model's say of them, if it is there."""
    if BEFORE not in scores.runs:
        return scores, None
    runs = {arm: each for arm, each in scores.runs.items() if arm != BEFORE}
    sets = frozenset(each for each in scores.sets if each[0] != BEFORE)
    score = fmean(scores.runs[BEFORE].values())
    means = {arm: fmean(each.values()) for arm, each in runs.items()}
    below = {arm: score - mean for arm, mean in sorted(means.items()) if mean < score}
    clearly = []
    for arm in below:
        estimate = mean_estimate(list(runs[arm].values()))
        if estimate is not None and estimate.interval(0.95).high < score:
            clearly.append(arm)
    found = ImportedUntrained(score=score, below=below, clearly=tuple(clearly))
    return replace(scores, runs=runs, sets=sets), found
