"""What length, or having an input, captures of the utility by itself: no prompt may owe it that.

Pure. Told for each part of the clusters, beside what parent and winner captured of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from selectllm.core.types import Cluster, Decision
from selectllm.evaluation.metrics.agreement import Choice, agreement
from selectllm.evaluation.runs.execute import decide_by_strategy, shown_items
from selectllm.evaluation.runs.run import Run
from selectllm.optimization.schema import ControlsBySplit
from selectllm.optimization.splits import NAMES, Splits
from selectllm.selection.strategies import Candidates, Strategy
from selectllm.selection.strategies.controls import BESIDE
from selectllm.stats.interval import Interval

CONTROLS = ("longest", "has-input")


def controls(run: Run, splits: Splits, confirmed: Sequence[Cluster]) -> ControlsBySplit:
    """Captured of the utility that decides, by split and control; null where it is undefined.

    `confirmed`: the confirmation clusters that were asked. `has-input` only for pools that have
    inputs.
    """
    used = [strategy for strategy in run.strategies if strategy.name in BESIDE]
    parts = zip(NAMES, (splits.training, splits.validation, confirmed), strict=True)
    captured = {name: {s.name: _captured(run, s, part) for s in used} for name, part in parts}
    return ControlsBySplit(**captured)


def _captured(run: Run, strategy: Strategy, clusters: Sequence[Cluster]) -> Interval | None:
    """Picked anew: the log of decisions has prompts alone on what the search saw."""
    assert run.headline is not None
    choices = [Choice.of(_decision(run, strategy, cluster)) for cluster in clusters]
    return agreement(choices, run.headline.values, run.suite.picks, run.inputs.groups).captured


def _decision(run: Run, strategy: Strategy, cluster: Cluster) -> Decision:
    candidates = Candidates(shown_items(run, cluster, 0), run.suite.seed)
    return decide_by_strategy(run, cluster, candidates, strategy)
