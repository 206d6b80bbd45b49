"""What a strategy is, and the number per item that some go by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.core.types import Item
from selectllm.selection.clustering.partition import check_vectors
from selectllm.selection.scorers.item_scorer import ItemScorer, Meter
from selectllm.selection.scorers.likelihood import responses_of
from selectllm.selection.strategies.candidates import Candidates
from selectllm.selection.strategies.columns import check_column

Pick = Callable[[Candidates, int], list[int]]
"""(candidates, n) -> n different positions (0-based), best first."""
Score = Callable[[Candidates], Sequence[float] | Floats]
"""candidates -> the number of each, in their order."""
Told = Callable[[Candidates, int], Sequence[str]]
"""(candidates, n) -> what there is to say of picking n of them."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A named strategy.

    `pick`: n different positions (0-based) of the candidates, 1 <= n <= candidates, best first.
    `needs_vectors`, `scorer`: the candidates must come with vectors, or with values of this
    scorer. `ranks`: a larger n only adds to the picks of a smaller one, so that all of them make
    a ranking. `analytic`: `eval` reports its exact expectation instead of one draw.
    `descending`: it goes from the highest value of its scorer down, so that a threshold is a
    number of picks; `ascending`: from the lowest value up. `columns`: of the pool, that it reads.
    `blind`: it compares the candidates with each other alone, never with what is chosen already.
    `told(candidates, n)`: sentences about picking n. `score`: the number of each candidate
    that it goes by, where no scorer has to give it first. `code_sha256`: of the code
    of a strategy of one's own, see find_strategy.
    """

    name: str
    pick: Pick
    needs_vectors: bool = False
    ranks: bool = True
    analytic: bool = False
    scorer: ItemScorer | None = None
    descending: bool = False
    code_sha256: str | None = None
    score: Score | None = None
    ascending: bool = False
    columns: tuple[str, ...] = ()
    told: Told | None = None
    blind: bool = False

    def choose(self, candidates: Candidates, n: int) -> list[int]:
        """The picks among the candidates that could be measured: n, or fewer where they are fewer.

        What could not be measured is never picked. Raises EncoderError for vectors that do not
        fit the items or are not finite.
        """
        if self.needs_vectors and candidates.vectors is not None:
            check_vectors(candidates.vectors, len(candidates.items))
        if self.scorer is None or candidates.values is None:
            return self.pick(candidates, n)
        known = np.flatnonzero(~np.isnan(candidates.values))
        if not len(known):
            return []
        picked = self.pick(candidates.only(known), min(n, len(known)))
        return [int(known[position]) for position in picked]

    def scores(self, candidates: Candidates) -> Floats | None:
        """The number of each candidate that it goes by, NaN where there is none.

        None if it goes by no number, or by one that is not finite and that JSON cannot carry.
        """
        if self.score is not None:
            return np.asarray(self.score(candidates), dtype=np.float64)
        if self.scorer is None or candidates.values is None or np.isinf(candidates.values).any():
            return None
        return candidates.values

    @property
    def needs_responses(self) -> bool:
        """Whether it goes by the items' responses, which an unlabelled pool has not."""
        return self.scorer is not None and self.scorer.needs_responses

    @property
    def calls_per_item(self) -> int:
        """Calls of a model that measuring one item takes, if every reply is valid."""
        return 0 if self.scorer is None else self.scorer.calls_per_item

    def check(self, items: Sequence[Item], meter: Meter) -> None:
        """Raise a UsageError for what cannot be measured, before anything is spent."""
        for column in self.columns:
            check_column(self.name, column, items)
        if self.scorer is None:
            return
        if self.needs_responses:
            responses_of(self.name, items)
        self.scorer.check(items, meter)

    def describe(self, meter: Meter) -> Mapping[str, Any]:
        """What it depends on besides the items and its name, for manifests; empty for most."""
        scored = {} if self.scorer is None else dict(self.scorer.describe(meter))
        return (
            scored if self.code_sha256 is None else {"strategy_sha256": self.code_sha256, **scored}
        )
