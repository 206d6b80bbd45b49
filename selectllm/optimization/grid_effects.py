"""What each part of a prompt does to its picks: effects of variables, with intervals. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.optimization.schema import VariableEffect
from selectllm.prompting.variables import Value
from selectllm.stats.intervals import Estimate, holm, mean_estimate

Settings = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Effect:
    """How much more is captured with a `value` of a variable than with its default.

    An effect is the average over all values of the other variables, for this model and these
    clusters. With one choice of the others the value may do the opposite, and with another model,
    too.

    `estimate` is the mean over the clusters; it is None if there are fewer than two clusters (or
    groups). `p_holm` is two-sided and corrected for all effects together.
    """

    variable: str
    value: Value
    default: Value
    estimate: Estimate | None
    p_holm: float | None = None

    def told(self) -> VariableEffect:
        """As optimize.json has it."""
        estimate = self.estimate
        return VariableEffect(
            variable=self.variable,
            value=self.value,
            default=self.default,
            effect=None if estimate is None else estimate.interval(),
            p=None if estimate is None else estimate.p_two_sided(),
            p_holm=self.p_holm,
        )


def effects(
    settings: Sequence[Settings],
    gains: Sequence[Mapping[int, float]],
    chance: Mapping[int, float],
    groups: Mapping[int, Hashable] | None = None,
) -> list[Effect]:
    """The effect of every value that is not its variable's default.

    `settings`: every combination, the defaults first. `gains`: range capture G of each, by
    cluster; all on the same clusters. `chance`: r of the clusters. `groups`: as in intervals.py.

    Per cluster the mean G over the settings with the value, less that over the settings with the
    default; averaged over clusters with Student's t, and divided by the mean of 1 - r, as in
    paired.py. In a full factorial design this is the coefficient of least squares. Raises
    ValueError if the settings were not asked on the same clusters.
    """
    clusters = sorted(chance)
    if any(sorted(each) != clusters for each in gains):
        raise ValueError("every setting must be asked on the same clusters")
    table = np.array([[each[cluster] for cluster in clusters] for each in gains])
    headroom = float(np.mean([1 - chance[cluster] for cluster in clusters]))
    labels = None if groups is None else [groups[cluster] for cluster in clusters]
    found = []
    for name, default in settings[0].items():
        usual, *others = dict.fromkeys(each[name] for each in settings)
        by_default = _mean(table, settings, name, usual)
        for value in others:
            difference = _mean(table, settings, name, value) - by_default
            estimate = mean_estimate(difference / headroom, labels)
            found.append(Effect(name, value, default, estimate))
    return _adjusted(found)


def _mean(table: Floats, settings: Sequence[Settings], name: str, value: Value) -> Floats:
    """G by cluster, averaged over the settings with this value; shape (n_clusters,)."""
    mean: Floats = table[[each[name] == value for each in settings]].mean(axis=0)
    return mean


def _adjusted(found: Sequence[Effect]) -> list[Effect]:
    """With Holm's p-values; all have an estimate, or none has."""
    known = [each.estimate.p_two_sided() for each in found if each.estimate is not None]
    if len(known) < len(found):
        return list(found)
    return [
        Effect(each.variable, each.value, each.default, each.estimate, p)
        for each, p in zip(found, holm(known), strict=True)
    ]
