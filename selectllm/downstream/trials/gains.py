"""What trials gained: how much less the test responses cost a student after training. Pure.

In nats, higher is better. A gain is counted per token (long responses count more) or per item (a
short response counts as much as a long one): on 135M students the two ranked random sets almost
independently, so that both are reported, and one is named as the primary before anything is run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selectllm.core.arrays import Counts, Floats
from selectllm.core.choices import Aggregation
from selectllm.downstream.student.score import length_edges
from selectllm.downstream.trials.log import BASE, Trial, TrialKey
from selectllm.downstream.trials.training_set import TrialSet
from selectllm.stats.intervals import ratio_estimate
from selectllm.utility.annotation.rater_agreement import reliability

FEWEST_TESTS = 4  # items, of which two halves of two say something


@dataclass(frozen=True, slots=True, eq=False)
class Gains:
    """What students trained on one set saved on each test response, in nats.

    `saved`: (n_seeds, n_tests), one row per training seed in `seeds`. `tokens`: (n_tests,) of the
    test responses. `learned`: tokens of the responses that were trained on.
    """

    of: TrialSet
    seeds: tuple[int, ...]
    saved: Floats
    tokens: Counts
    learned: int

    def value(self, by: Aggregation) -> float:
        """The gain, a mean over training seeds; in nats per token."""
        return float(np.mean([*self.runs(by).values()]))

    def runs(self, by: Aggregation) -> dict[str, float]:
        """The gain of every training, by its seed."""
        return {
            str(seed): mean_gain(row, self.tokens, by)
            for seed, row in zip(self.seeds, self.saved, strict=True)
        }

    def bands(self, by: Aggregation) -> list[float]:
        """The gain on short, middling and long test responses, about as many each."""
        inside = np.digitize(self.tokens, length_edges(self.tokens), right=True)
        saved = self.saved.mean(axis=0)
        return [
            mean_gain(saved[inside == band], self.tokens[inside == band], by)
            for band in np.unique(inside)
        ]


def mean_gain(saved: Floats, tokens: Counts, by: Aggregation) -> float:
    """Over test items, in nats per token: of all tokens together, or the mean of the items' own."""
    if by == "per_token":
        return float(saved.sum() / tokens.sum())
    return float((saved / tokens).mean())


def gains_of(
    of: TrialSet, seeds: Sequence[int], trials: Mapping[TrialKey, Trial], tokens: Counts
) -> Gains:
    """The gains on one set, of finished `trials`; `tokens`: (n_tests,) of the test responses."""
    base = np.array(trials[BASE].nats)
    found = [trials[of.sha256, seed] for seed in seeds]
    saved = np.stack([base - np.array(trial.nats) for trial in found])
    return Gains(of, tuple(seeds), saved, tokens, found[0].tokens)


def item_error(saved: Floats, tokens: Counts, by: Aggregation) -> float:
    """Standard error of a gain for the draw of the test items; `saved`: (n_tests,).

    Of a ratio of sums per token, of a mean per item. Infinite for a single test item.
    """
    weights = tokens if by == "per_token" else np.ones(len(tokens))
    found = ratio_estimate(saved / tokens * weights, weights)
    return np.inf if found is None else found.std_error


def seed_error(found: Sequence[Gains], by: Aggregation) -> float | None:
    """Standard deviation of a single training about the mean of its set, pooled over all sets.

    None where no set was trained twice.
    """
    rows = [np.array([*each.runs(by).values()]) for each in found if len(each.seeds) > 1]
    if not rows:
        return None
    squares = sum(float(np.square(row - row.mean()).sum()) for row in rows)
    return float(np.sqrt(squares / sum(len(row) - 1 for row in rows)))


def seed_reliability(found: Sequence[Gains], by: Aggregation) -> float | None:
    """How far training again with other seeds would order the sets alike, 0 to 1: ICC(1, k)."""
    return reliability({each.of.sha256: each.runs(by) for each in found})


def test_reliability(found: Sequence[Gains], by: Aggregation) -> float | None:
    """How far other test items would order the sets alike, 0 to 1; None below 3 sets or 4 items.

    The correlation over sets of the gains on every other test item with those on the rest,
    stepped up to all of them (Spearman 1910, Brown 1910); not below 0.
    """
    if len(found) < 3 or len(found[0].tokens) < FEWEST_TESTS:
        return None
    a, b = (
        [mean_gain(each.saved.mean(axis=0)[at::2], each.tokens[at::2], by) for each in found]
        for at in (0, 1)
    )
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    r = max(0.0, float(np.corrcoef(a, b)[0, 1]))
    return 2 * r / (1 + r)
