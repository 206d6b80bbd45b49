"""What length, or having an input, captures of the utility by itself: no prompt may owe it that.

Pure. Told for each part of the clusters, beside what parent and winner captured of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selectllm.core.types import Cluster, Decision
from selectllm.evaluation.metrics.agreement import Choice, agreement
from selectllm.evaluation.runs.execute import decide_by_strategy, shown_items
from selectllm.evaluation.runs.run import Run
from selectllm.optimization.splits import NAMES, Splits
from selectllm.selection.strategies import Candidates, Strategy
from selectllm.selection.strategies.controls import BESIDE


def controls(run: Run, splits: Splits, confirmed: Sequence[Cluster]) -> dict[str, dict[str, Any]]:
    """Captured of the utility that decides, by split and control; null where it is undefined.

    `confirmed`: the confirmation clusters that were asked. `has-input` only for pools that have
    inputs.
    """
    used = [strategy for strategy in run.strategies if strategy.name in BESIDE]
    parts = zip(NAMES, (splits.training, splits.validation, confirmed), strict=True)
    return {
        name: {strategy.name: _captured(run, strategy, clusters) for strategy in used}
        for name, clusters in parts
    }


def _captured(
    run: Run, strategy: Strategy, clusters: Sequence[Cluster]
) -> Mapping[str, float] | None:
    """Picked anew: the log of decisions has prompts alone on what the search saw."""
    assert run.headline is not None
    choices = [Choice.of(_decision(run, strategy, cluster)) for cluster in clusters]
    captured = agreement(choices, run.headline.values, run.suite.picks, run.inputs.groups).captured
    return None if captured is None else captured.to_json()


def _decision(run: Run, strategy: Strategy, cluster: Cluster) -> Decision:
    candidates = Candidates(shown_items(run, cluster, 0), run.suite.seed)
    return decide_by_strategy(run, cluster, candidates, strategy)
