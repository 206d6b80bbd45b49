"""What a strategy is, and the number per item that some go by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from selectllm.selection.clustering.partition import check_vectors
from selectllm.selection.strategies.candidates import Candidates

MeasureKind = Literal[
    "perplexity", "response-perplexity", "ifd", "rating", "open-endedness", "utility"
]
Pick = Callable[[Candidates, int], list[int]]
"""(candidates, n) -> n different positions (0-based), best first."""

WITH_RESPONSES: frozenset[MeasureKind] = frozenset({"response-perplexity", "ifd"})


@dataclass(frozen=True, slots=True)
class Measure:
    """A number per item that has to be got before a strategy can go by it (scorers/item_scorer.py).

    `of`: the language model of perplexities and IFD, "" for the embedded one; PROMPT+MODEL of a
    rating; the model of open-endedness; the name of a utility.
    """

    kind: MeasureKind
    of: str = ""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A named strategy.

    `pick`: n different positions (0-based) of the candidates, 1 <= n <= candidates, best first.
    `needs_vectors`, `measure`: the candidates must come with vectors, or with values of this
    measure. `ranks`: a larger n only adds to the picks of a smaller one, so that all of them make
    a ranking. `analytic`: `eval` reports its exact expectation instead of one draw.
    `descending`: it goes from the highest value of its measure down, so that a threshold is a
    number of picks.
    """

    name: str
    pick: Pick
    needs_vectors: bool = False
    ranks: bool = True
    analytic: bool = False
    measure: Measure | None = None
    descending: bool = False

    def choose(self, candidates: Candidates, n: int) -> list[int]:
        """The picks among the candidates that could be measured: n, or fewer where they are fewer.

        What could not be measured is never picked. Raises EncoderError for vectors that do not
        fit the items or are not finite.
        """
        if self.needs_vectors and candidates.vectors is not None:
            check_vectors(candidates.vectors, len(candidates.items))
        if self.measure is None or candidates.values is None:
            return self.pick(candidates, n)
        known = np.flatnonzero(~np.isnan(candidates.values))
        if not len(known):
            return []
        picked = self.pick(candidates.only(known), min(n, len(known)))
        return [int(known[position]) for position in picked]

    @property
    def needs_responses(self) -> bool:
        """Whether it goes by the items' responses, which an unlabelled pool has not."""
        return self.measure is not None and self.measure.kind in WITH_RESPONSES
