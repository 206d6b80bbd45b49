"""The numbers that strategies go by, from where they come from: models, texts, utilities.

Nothing is kept here: replies are in the reply cache and likelihoods in their store, so that what
was paid for once is there when the same is measured again.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selectllm.core.errors import UsageError
from selectllm.core.names import listed, unknown
from selectllm.core.types import Attempt, Item, Progress, empty
from selectllm.models.connect import Connections
from selectllm.models.model import Model, ModelSpec
from selectllm.prompting.library import PromptLibrary
from selectllm.selection.scorers.ask_items import Rated
from selectllm.selection.scorers.language_model import LanguageModel, load_language_model
from selectllm.selection.scorers.likelihood import (
    ifd_scores,
    instruction_perplexity,
    response_perplexity,
    responses_of,
)
from selectllm.selection.scorers.open_endedness import (
    REPLIES,
    Sampler,
    open_endedness,
    open_sampler,
)
from selectllm.selection.scorers.rating import check_rating, rate
from selectllm.selection.selector import Selector, open_selector
from selectllm.selection.strategies import Measure, Strategy
from selectllm.selection.strategies.strategy import MeasureKind
from selectllm.selection.task import AskSettings

LIKELIHOODS: Mapping[MeasureKind, Callable[..., dict[str, float]]] = {
    "perplexity": instruction_perplexity,
    "response-perplexity": response_perplexity,
    "ifd": ifd_scores,
}
CALLS_PER_ITEM: Mapping[MeasureKind, int] = {"rating": 1, "open-endedness": REPLIES}


@dataclass(frozen=True, slots=True)
class Measured:
    """`values`: of every item, NaN where it could not be measured. `attempts`: calls, by item."""

    values: Mapping[str, float]
    attempts: Mapping[str, tuple[Attempt, ...]] = field(default_factory=empty)


def calls_per_item(measure: Measure) -> int:
    """Calls of a model that one item takes; 0 where none is asked."""
    return CALLS_PER_ITEM.get(measure.kind, 0)


@dataclass(frozen=True, slots=True)
class Meter:
    """Measures items for the strategies of one command.

    `specs`: models by the name that a strategy may call them by; others are taken as ids.
    `utilities`: values by item id, by the name of the utility. `base`: what paths of prompts are
    relative to. `folder`: where likelihoods and converted weights are kept. `seed`: of sampled
    replies; a rating is asked with the same one always, so that it serves every selection.
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

    def check(self, strategy: Strategy, items: Sequence[Item]) -> None:
        """Raise a UsageError for what cannot be measured, before anything is spent."""
        measure = strategy.measure
        if measure is None:
            return
        if strategy.needs_responses:
            responses_of(strategy.name, items)
        if measure.kind == "rating":
            check_rating(self.rater(measure).prompt, items)
        elif measure.kind == "open-endedness":
            self.sampler(measure)
        elif measure.kind == "utility":
            self._check_utility(measure.of, items)
        else:
            self._language_model(measure)

    def describe(self, measure: Measure) -> dict[str, Any]:
        """What its values depend on besides the items, for manifests."""
        if measure.kind == "rating":
            rater = self.rater(measure)
            model = rater.spec.fields() | {"endpoint": rater.endpoint}
            return {"prompt_sha256": rater.prompt.sha256, "model": model}
        if measure.kind == "open-endedness":
            sampler = self.sampler(measure)
            return {"model": sampler.spec.fields() | {"endpoint": sampler.endpoint}}
        if measure.kind == "utility":
            return {"utility": measure.of}
        return {"language_model": self._language_model(measure).identity}

    async def measure(self, measure: Measure, items: Sequence[Item]) -> Measured:
        """The values of `items`. Raises as one_by_one does; what succeeded is kept."""
        if measure.kind == "utility":
            values = self.utilities[measure.of]
            return Measured({item.id: values[item.id] for item in items})
        if measure.kind == "rating":
            rater = self.rater(measure)
            asked = rate(items, rater, self.settings, self._tick(len(items)))
            return await _closing(rater.model, asked)
        if measure.kind == "open-endedness":
            sampler = self.sampler(measure)
            tick = self._tick(len(items))
            asked = open_endedness(items, sampler, self.settings, tick, self.seed)
            return await _closing(sampler.model, asked)
        score = LIKELIHOODS[measure.kind]
        return Measured(score(items, self._language_model(measure), self.folder, self.progress))

    def _tick(self, total: int) -> Callable[[object], None]:
        done = itertools.count(1)
        return lambda rated: self.progress(next(done), total) if self.progress else None

    def sampler(self, measure: Measure) -> Sampler:
        """The model of an open-endedness, ready to be asked."""
        return open_sampler(self._spec(measure.of), self.shared)

    def rater(self, measure: Measure) -> Selector:
        """The prompt and model of a rating, ready to be asked."""
        reference, _, model = measure.of.partition("+")
        prompt = self.library.load(reference, self.base)
        return open_selector(prompt, self._spec(model), self.shared)

    def _spec(self, name: str) -> ModelSpec:
        """The suite's model of that name, else the model with that id."""
        if name in self.specs:
            return self.specs[name]
        if "/" not in name:
            raise UsageError(unknown("model", name, self.specs))
        return ModelSpec(name=name, id=name)

    def _language_model(self, measure: Measure) -> LanguageModel:
        return load_language_model(measure.of or None, self.folder)

    def _check_utility(self, name: str, items: Sequence[Item]) -> None:
        if name not in self.utilities:
            raise UsageError(unknown("utility", name, self.utilities))
        values = self.utilities[name]
        missing = [item.id for item in items if item.id not in values]
        if missing:
            raise UsageError(
                f"oracle:{name}: no value for {len(missing)} of {len(items)} items: "
                f"{listed(missing)}"
            )


async def _closing(model: Model, asked: Awaitable[Mapping[str, Rated]]) -> Measured:
    try:
        found = await asked
    finally:
        await model.close()
    return Measured(
        {item_id: rated.value for item_id, rated in found.items()},
        {item_id: rated.attempts for item_id, rated in found.items()},
    )
