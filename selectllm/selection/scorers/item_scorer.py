"""What a scorer is: whatever gives every item the number that a strategy goes by.

A model's rating, a perplexity, a column of the pool: each is an `ItemScorer`, and `Meter` holds
what they measure with. Nothing is kept here: replies are in the reply cache and likelihoods in
their store, so that what was paid for once is there when the same is measured again.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selectllm.core.errors import UsageError
from selectllm.core.names import unknown
from selectllm.core.types import Attempt, Item, Progress, empty
from selectllm.data.embedder import Embedder
from selectllm.models.connect import Connections
from selectllm.models.model import Model, ModelSpec, Request
from selectllm.prompting.library import PromptLibrary
from selectllm.selection.scorers.ask_items import Rated
from selectllm.selection.selector import Selector
from selectllm.selection.task import AskSettings, Task


@dataclass(frozen=True, slots=True)
class Measured:
    """`values`: of every item, NaN where it could not be measured. `attempts`: calls, by item."""

    values: Mapping[str, float]
    attempts: Mapping[str, tuple[Attempt, ...]] = field(default_factory=empty)


@dataclass(frozen=True, slots=True)
class Meter:
    """What the scorers of one command measure with.

    `specs`: models by the name that a strategy may call them by; others are taken as ids.
    `utilities`: values by item id, by the name of the utility. `base`: what paths of prompts are
    relative to. `folder`: where likelihoods and converted weights are kept. `seed`: of sampled
    replies; a rating is asked with the same one always, so that it serves every selection.
    `embedder`: of texts that models write; None where nothing can be embedded.
    """

    library: PromptLibrary
    base: Path
    shared: Connections
    folder: Path
    specs: Mapping[str, ModelSpec] = field(default_factory=empty)
    utilities: Mapping[str, Mapping[str, float]] = field(default_factory=empty)
    settings: AskSettings = field(default_factory=AskSettings)
    seed: int = 0
    progress: Progress | None = None
    embedder: Embedder | None = None

    def tick(self, total: int) -> Callable[[object], None]:
        """What to call after each of `total` items, for the progress that is shown."""
        done = itertools.count(1)
        return lambda rated: self.progress(next(done), total) if self.progress else None

    def spec(self, name: str) -> ModelSpec:
        """The model of that name, else the model with that id. Raises UsageError for neither."""
        if name in self.specs:
            return self.specs[name]
        if "/" not in name:
            raise UsageError(unknown("model", name, self.specs))
        return ModelSpec(name=name, id=name)


@dataclass(frozen=True, slots=True)
class Ahead:
    """What scoring some items will ask: `tasks` of a `selector`, or else `requests` of `spec`."""

    spec: ModelSpec
    selector: Selector | None = None
    tasks: Sequence[Task] = ()
    requests: Sequence[Request] = ()


class ItemScorer(ABC):
    """Gives items the number that a strategy goes by. Equal scorers give equal values.

    `name`: what is measured, in a word. `calls_per_item`: calls of a model that one item takes if
    every reply is valid, 0 where none is asked; `asks_again`: more where one is not.
    `needs_responses`: it reads the items' responses. `reads_items`: a language model on this
    machine reads every item, which takes time and no call.
    """

    name: str = "score"
    calls_per_item: int = 0
    asks_again: bool = False
    needs_responses: bool = False
    reads_items: bool = False

    def check(self, items: Sequence[Item], meter: Meter) -> None:  # noqa: B027
        """Raise a UsageError for what cannot be measured, before anything is spent."""

    def describe(self, meter: Meter) -> Mapping[str, Any]:
        """What its values depend on besides the items, as JSON, for manifests."""
        return {}

    def problems(self, reply: Attempt, meter: Meter) -> Sequence[str]:
        """Why a reply gives no value (words of parse.PROBLEMS); nothing if it does, or unknown."""
        return ()

    @abstractmethod
    async def score(self, items: Sequence[Item], meter: Meter) -> Measured:
        """The value of every item by its id; NaN where there is none, which is never picked.

        Raises ProviderError when an item could not be asked about, after all others were;
        BudgetReached, ReplyMissing.
        """

    def ahead(self, items: Sequence[Item], meter: Meter) -> Ahead:
        """What `score` will ask; for scorers that ask (`calls_per_item`).

        Raises UsageError for a scorer that asks and does not say what.
        """
        raise UsageError(
            f"{type(self).__name__} asks a model but does not say what it will ask, so its "
            "calls cannot be planned. Add a method `ahead`"
        )


async def answered(model: Model, asked: Awaitable[Mapping[str, Rated]]) -> Measured:
    """What came of asking about items one by one; the model is closed afterwards."""
    try:
        rated = await asked
    finally:
        await model.close()
    return Measured(
        {item_id: one.value for item_id, one in rated.items()},
        {item_id: one.attempts for item_id, one in rated.items()},
    )
