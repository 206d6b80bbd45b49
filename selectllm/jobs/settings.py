"""What jobs on one pool are asked for: frozen values, by the names of the Python API."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from selectllm.core.choices import OnInvalid
from selectllm.core.errors import UsageError, check_number, check_whole
from selectllm.core.types import Pool, empty
from selectllm.jobs.session_settings import Settings
from selectllm.models.model import ModelSpec
from selectllm.prompting.prompt import Prompt
from selectllm.selection.strategies import Strategy

Distinct = Literal["exact"] | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectRequest:
    """What is to be selected from a pool, and how.

    `budget`: the number of items to select. `threshold`: instead of a budget, select every item
    that the strategy scores at least this. `prompt` and `model`: what selects; the prompt as
    `NAME@VERSION`, a path or a Prompt, and the model as PROVIDER/MODEL or a ModelSpec. Or
    `strategy`: its name, `module:attr` or a Strategy. `models`: settings of models that `strategy`
    or `prefilter` names, by these names; other names are taken as PROVIDER/MODEL.

    `by`: how the pool is divided into clusters, a name of PARTITIONS or `module:attr`.
    `cluster_size`: candidates per cluster; None divides the pool's size by the budget and keeps the
    result between 5 and 50. `on_invalid`: what to do if the model gives no valid pick: pick at
    random (`fill`), select fewer items (`skip`), or raise an error (`fail`). `max_filled`: the
    largest share of picks, 0 to 1, that may be random; above it nothing is selected. `reask`: how
    often to ask again after an invalid reply. `seed`: the seed of clusters, orders, ties and random
    picks.

    `columns`: canonical column (id, instruction, input, response) -> the pool file's; `turns` ->
    which turns of chats are shown (first, last, all). `skip_bad`: leave bad rows out. `distinct`:
    first leave out repeated items: `exact` for the same text, or a cosine for near-duplicates.
    `prefilter`: STRATEGY:SHARE, first keep only the share of the pool that a strategy ranks
    highest. `sort`: return the best item of every cluster first, then the second best, and so on,
    with random picks at the end, instead of pool order.
    `per`: a column; with a strategy, `budget` is divided among its values in proportion to their
    items (see strategies/quota.py). `given`: items that are already annotated, as a Pool or a pool
    file; they are not selected again, and count as covered. `rounds`: a log of annotation rounds;
    items of earlier rounds count as given, and this round is added. `log`: a file of JSON lines for
    the decisions, so that the same call can continue after an interruption; None keeps them in
    memory.
    """

    budget: int | None = None
    threshold: float | None = None
    prompt: str | Prompt | None = None
    model: str | ModelSpec | None = None
    strategy: str | Strategy | None = None
    models: Mapping[str, ModelSpec] | None = None
    by: str = "diverse"
    cluster_size: int | None = None
    on_invalid: OnInvalid = "fill"
    max_filled: float = 0.2
    reask: int = 2
    seed: int = 0
    columns: Mapping[str, str] = field(default_factory=empty)
    skip_bad: bool = False
    distinct: Distinct | None = None
    prefilter: str | None = None
    sort: bool = False
    per: str | None = None
    given: Pool | Path | str | None = None
    rounds: Path | str | None = None
    log: Path | str | None = None

    @property
    def cosine(self) -> float | None:
        """`distinct` as a cosine; None for exact duplicates alone, or without it."""
        if self.distinct in (None, "exact"):
            return None
        try:
            cosine = float(self.distinct)
        except ValueError:
            cosine = math.nan
        if not 0 < cosine <= 1:
            raise UsageError(
                f"`distinct` {self.distinct!r} must be exact, or a cosine above 0 and at most 1, "
                "such as 0.95",
                argument="distinct",
            )
        return cosine

    @property
    def narrowing(self) -> dict[str, str]:
        """What leaves items out first, as the decision log has it."""
        asked = {"distinct": self.distinct, "prefilter": self.prefilter}
        return {name: str(value) for name, value in asked.items() if value is not None}

    def check(self) -> None:
        """Raise UsageError for arguments that do not fit together, or cannot be."""
        for name in ("budget", "cluster_size", "reask", "seed"):
            check_whole(name, getattr(self, name))
        check_number("threshold", self.threshold)
        check_number("max_filled", self.max_filled)
        by_model = bool(self.prompt and self.model)
        if (self.budget is None) == (self.threshold is None):
            raise UsageError(
                "Say how much to select: either `budget`, or `strategy` with `threshold`",
                argument="budget" if self.budget is None else "threshold",
            )
        if by_model and self.budget is None:
            raise UsageError(
                "`threshold` goes with `strategy`. With a model, give `budget`",
                argument="threshold",
            )
        if by_model == (self.strategy is not None) or (
            self.strategy is not None and (self.prompt or self.model)
        ):
            lacking = "model" if self.prompt else "prompt" if self.model else "strategy"
            raise UsageError(
                "Say what selects: either `prompt` and `model`, or `strategy`",
                argument="strategy" if self.strategy is not None else lacking,
            )
        if self.per is not None and self.strategy is None:
            raise UsageError(
                "`per` goes with `strategy`, since a model is shown clusters of the whole pool. To "
                "hold a model to a quota, let it rate each item: choose a `strategy` such as "
                "rating:quality@1+MODEL",
                argument="per",
            )
        self._check_values()

    def _check_values(self) -> None:
        if self.cluster_size is not None and self.cluster_size < 1:
            raise UsageError(
                f"`cluster_size` {self.cluster_size!r} must be a whole number above 0, or auto",
                argument="cluster_size",
            )
        known = get_args(OnInvalid)
        if self.on_invalid not in known:
            raise UsageError(
                f"`on_invalid` {self.on_invalid!r} must be one of {', '.join(known)}",
                argument="on_invalid",
            )
        if not 0 <= self.max_filled <= 1:
            raise UsageError(
                f"`max_filled` {self.max_filled:g} must be a share from 0 to 1, such as 0.2",
                argument="max_filled",
            )
        if self.reask < 0:
            raise UsageError(f"`reask` {self.reask} must be 0 or more", argument="reask")


class SelectArguments(Settings, total=False):
    """A SelectRequest as keyword arguments, with the settings of a session."""

    budget: int | None
    threshold: float | None
    prompt: str | Prompt | None
    model: str | ModelSpec | None
    strategy: str | Strategy | None
    models: Mapping[str, ModelSpec] | None
    by: str
    cluster_size: int | None
    on_invalid: OnInvalid
    max_filled: float
    reask: int
    seed: int
    columns: Mapping[str, str]
    skip_bad: bool
    distinct: Distinct | None
    prefilter: str | None
    sort: bool
    per: str | None
    given: Pool | Path | str | None
    rounds: Path | str | None
    log: Path | str | None
