"""Sets: what every selector selects of the whole pool, at every budget and with every seed.

The protocol of SelectLLM (arXiv 2401.16553), with one difference: there the seeds vary the
fine-tuning alone, here they vary the selection, in its partitions, orders, ties and fills.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from selectllm.core.arrays import Vectors
from selectllm.core.codec import sha256_json
from selectllm.core.errors import ReplyMissing, SuiteError
from selectllm.core.names import for_files
from selectllm.core.types import Attempt, Decision, Pool
from selectllm.core.workers import HERE, Workers
from selectllm.data.stored_items import ids_of
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.runs.run import Run
from selectllm.evaluation.sets.log import SelectedSet, SetLog, spent
from selectllm.evaluation.sets.schema import SelectorLeftOut
from selectllm.evaluation.suite import Suite
from selectllm.evaluation.suite_entries import SetsEntry
from selectllm.selection.by_model import (
    Chosen,
    Divide,
    SelectSettings,
    rounds_ahead,
    select_by_model,
)
from selectllm.selection.by_strategy import select_by_strategy
from selectllm.selection.clustering.partition import named
from selectllm.selection.decision_log import DecisionLog
from selectllm.selection.output import manifest_by_model
from selectllm.selection.scorers.item_scorer import Measured
from selectllm.selection.selector import Selector
from selectllm.selection.strategies import Candidates, Strategy
from selectllm.selection.task import AskSettings

FORMAT = 1
OF_CLUSTERS = ("limit", "group", "file")  # what a suite says for runs alone

Tick = Callable[[Decision], None]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A strategy that cannot select from this pool, and why."""

    arm: Arm
    reason: str

    def told(self) -> SelectorLeftOut:
        """As files have it."""
        return SelectorLeftOut(selector=self.arm.name, reason=self.reason)


def sets_entry(suite: Suite) -> SetsEntry:
    """The `sets` of a suite. Raises SuiteError if it has none, or clusters that are for eval."""
    if suite.sets is None:
        raise SuiteError(
            f"suite {suite.name}: 'sets' is missing. Say how many items a set has, such as sets: "
            f"{{budgets: [1000, 2000, 3000]}}"
        )
    for name in OF_CLUSTERS:
        if (value := getattr(suite.clusters, name)) is not None:
            raise SuiteError(
                f"suite {suite.name}: clusters.{name}: {value!r} makes no sense for sets, which "
                "are selected from the whole pool, divided anew with every seed. Leave it out"
            )
    for name in ("orders", "repeats"):
        if (value := getattr(suite, name)) > 1:
            raise SuiteError(
                f"suite {suite.name}: {name}: {value} makes no sense for sets, which hold one "
                f"answer for each cluster. Give a model a vote instead: vote: {{{name}: {value}}}"
            )
    return suite.sets


@dataclass(frozen=True)
class Protocol:
    """Everything that the sets of a suite are made from.

    `run`: its pool, utilities, prompts and models; its clusters are not used. `entry`: budgets
    and seeds. `strategies`: those that can be measured on the pool. `encoder`: its identity.

    Raises SuiteError for a budget above the pool.
    """

    run: Run
    entry: SetsEntry
    strategies: tuple[Strategy, ...]
    encoder: str

    def __post_init__(self) -> None:
        largest, items = max(self.entry.budgets), len(self.pool)
        if largest > items:
            raise SuiteError(
                f"suite {self.run.suite.name}: sets.budgets: {largest} is more than the {items} "
                f"items of {self.pool.source or 'the pool'}. Use smaller budgets, in the suite "
                "or with `budgets`"
            )

    @property
    def pool(self) -> Pool:
        """What is selected from."""
        return self.run.pool

    @property
    def arms(self) -> list[Arm]:
        """Every selector: the pairs, then the strategies."""
        return [*map(arm_of, self.run.selectors), *map(arm_of, self.strategies)]

    @property
    def budgets(self) -> list[int]:
        """In ascending order."""
        return sorted(self.entry.budgets)

    @property
    def draws(self) -> Iterator[tuple[int, int]]:
        """(budget, seed) of every set of one selector."""
        return ((budget, seed) for seed in self.entry.seeds for budget in self.budgets)

    @cached_property
    def place(self) -> Mapping[str, int]:
        """The position of each item in the pool, by id."""
        return {name: position for position, name in enumerate(ids_of(self.pool.items))}

    def settings(self, budget: int, seed: int, ask: AskSettings) -> SelectSettings:
        """How a pair selects one set; where it gives no valid picks, random ones fill up."""
        size = self.run.suite.clusters.size
        return SelectSettings(budget, size=size, seed=seed, on_invalid="fill", ask=ask)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the sets and their measures depend on: equal ones give equal results."""
        run, suite = self.run, self.run.suite
        specs = {selector.spec.name: selector for selector in run.selectors}
        return {
            "format": FORMAT,
            "verb": "sets",
            "suite": suite.name,
            "pool_sha256": self.pool.sha256,
            "sets": self.entry.model_dump(mode="json"),
            "clusters": {
                **named(suite.clusters.by, suite.folder),
                "size": suite.clusters.size,
            },
            "seed": suite.seed,
            "reask": suite.reask,
            "structured": suite.structured,
            "encoder": self.encoder,
            "utility": run.headline and run.headline.name,
            "utilities": {utility.name: utility.sha256 for utility in run.utilities},
            "prompts": {selector.prompt.ref: selector.prompt.sha256 for selector in run.selectors},
            "models": {
                name: selector.spec.recorded(selector.endpoint) for name, selector in specs.items()
            },
            "measures": self._measures(),
            "selectors": [arm.name for arm in self.arms],
        }

    def _measures(self) -> dict[str, Any]:
        """What the values that strategies go by depend on besides the items."""
        meter = self.run.meter
        described = ((strategy.name, strategy.describe(meter)) for strategy in self.strategies)
        return {name: measure for name, measure in described if measure}

    @property
    def default_name(self) -> str:
        """SUITE-sets-<first 12 digits of the manifest's hash>."""
        return f"{self.run.suite.name}-sets-{sha256_json(self.manifest)[:12]}"


def arm_of(selector: Selector | Strategy) -> Arm:
    """What a pair or a strategy is called."""
    if isinstance(selector, Strategy):
        return Arm(strategy=selector.name)
    return Arm(selector.prompt.ref, selector.spec.name)


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the sets of a protocol that the log does not hold yet, and logs each when finished.

    `vectors`: (n_items, dim) of the pool, None if nothing needs them. `divide`: how it is divided
    for prompts. `decisions`: the folder of the decision logs, one for every set of a pair, from
    which a set that was not finished goes on. `workers`: of the engine, for strategies.
    """

    protocol: Protocol
    vectors: Vectors | None
    divide: Divide
    ask: AskSettings
    log: SetLog
    decisions: Path
    workers: Workers = HERE

    def missing(self, arm: Arm) -> list[tuple[int, int]]:
        """(budget, seed) of the sets that are not finished."""
        draws = self.protocol.draws
        return [draw for draw in draws if (arm.name, *draw) not in self.log]

    def calls_ahead(self) -> int:
        """About how many decisions the pairs have to make yet."""
        items = len(self.protocol.pool)
        return sum(
            clusters
            for selector in self.protocol.run.selectors
            for draw in self.missing(arm_of(selector))
            for clusters, _ in rounds_ahead(items, self.protocol.settings(*draw, self.ask))
        )

    def by_strategy(self, strategy: Strategy, measured: Measured | None = None) -> None:
        """The sets of one strategy; `measured`: the values that it goes by.

        Raises UsageError if it cannot select from so large a pool.
        """
        items = self.protocol.pool.items
        arm, missing = arm_of(strategy), self.missing(arm_of(strategy))
        values, attempts = None, list[Attempt]()
        if measured is not None:
            values = np.array([measured.values[item.id] for item in items])
            attempts = [attempt for item in items for attempt in measured.attempts.get(item.id, ())]
        for seed in dict.fromkeys(seed for _, seed in missing):
            candidates = Candidates(items, seed, self.vectors, values, self.workers)
            budgets = [budget for budget, of in missing if of == seed]
            started = time.monotonic()
            for budget, chosen in chosen_by_strategy(candidates, strategy, budgets):
                self._finish(arm, (budget, seed), chosen, attempts, started)

    async def by_model(self, selector: Selector, tick: Tick) -> None:
        """The sets of one pair. Raises as select_by_model does; closes its model.

        ReplyMissing only after all sets were gone through, so that a batch asks for all of them.
        """
        missing: ReplyMissing | None = None
        try:
            for budget, seed in self.missing(arm_of(selector)):
                try:
                    await self._by_model(selector, budget, seed, tick)
                except ReplyMissing as error:
                    missing = missing or error
        finally:
            await selector.model.close()
        if missing is not None:
            raise missing

    async def _by_model(self, selector: Selector, budget: int, seed: int, tick: Tick) -> None:
        """One set of a pair."""
        protocol, arm = self.protocol, arm_of(selector)
        suite = protocol.run.suite
        by = named(suite.clusters.by, suite.folder)
        settings = protocol.settings(budget, seed, self.ask)
        manifest = manifest_by_model(protocol.pool, selector, settings, by, protocol.encoder)
        path = self.decisions / _file_name(arm, budget, seed)
        started = time.monotonic()
        with DecisionLog(path, manifest) as log:
            chosen = await select_by_model(
                protocol.pool, selector, settings, self.divide, log, tick
            )
            attempts = [attempt for decision in log.decisions() for attempt in decision.attempts]
        self._finish(arm, (budget, seed), chosen, attempts, started)

    def _finish(
        self,
        arm: Arm,
        draw: tuple[int, int],
        chosen: Sequence[Chosen],
        attempts: Sequence[Attempt],
        started: float,
    ) -> None:
        ids = {choice.item.id for choice in chosen}
        budget, seed = draw
        self.log.append(
            SelectedSet(
                selector=arm.name,
                budget=budget,
                seed=seed,
                ids=tuple(name for name in ids_of(self.protocol.pool.items) if name in ids),
                filled=sum(choice.filled for choice in chosen),
                spent=spent(attempts),
                seconds=time.monotonic() - started,
            )
        )


def chosen_by_strategy(
    candidates: Candidates, strategy: Strategy, budgets: Sequence[int]
) -> Iterator[tuple[int, list[Chosen]]]:
    """What a strategy selects at each of `budgets`, from 1 to the number of candidates.

    One that ranks picks once, since what it picks for less is the beginning of that; fills come
    last, so that they are cut first.
    """
    if strategy.ranks:
        most = SelectSettings(max(budgets), seed=candidates.seed)
        ranked = select_by_strategy(candidates, strategy, most)
        yield from ((budget, ranked[:budget]) for budget in budgets)
        return
    for budget in budgets:
        settings = SelectSettings(budget, seed=candidates.seed)
        yield budget, select_by_strategy(candidates, strategy, settings)


def _file_name(arm: Arm, budget: int, seed: int) -> str:
    """Readable, and different for every set: names may hold what a file's may not."""
    readable = for_files(arm.name)
    return f"{readable}-{budget}-seed{seed}-{sha256_json([arm.name, budget, seed])[:8]}.jsonl"
