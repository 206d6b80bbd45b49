"""From the finished sets of a protocol to sets.json: pure, and the same bytes for the same sets.

What depends on clocks is not here; it stays in sets.jsonl.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean

import numpy as np

from selectllm.core.arrays import Counts, Vectors
from selectllm.core.errors import ExtraMissing, PoolError
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.sets.diversity import categories_of, expected_coverage, kmeans_groups
from selectllm.evaluation.sets.log import SelectedSet, SetLog
from selectllm.evaluation.sets.measures import (
    PoolFacts,
    captured_spread,
    mean_and_range,
    measure_set,
    overlap,
)
from selectllm.evaluation.sets.protocol import LeftOut, Protocol
from selectllm.evaluation.sets.schema import (
    ByBudget,
    PoolDivision,
    RandomSets,
    SelectorSets,
    SetOverlap,
    SetsResults,
    SetsUtility,
    Summary,
    WholePool,
)
from selectllm.models.tokens import estimate_tokens
from selectllm.selection.strategies import Candidates
from selectllm.selection.strategies.candidates import seeded_rows
from selectllm.utility.utility import Utility

MEASURES = (
    *("mean_pairwise_cosine", "vendi", "coverage", "category_entropy"),
    *("tokens_read", "tokens_written"),
)
LONGEST = Arm(strategy="longest").name
SPENT = ("calls", "tokens_in", "tokens_out", "cost_usd")


def pool_facts(protocol: Protocol, vectors: Vectors | None) -> tuple[PoolFacts, list[str]]:
    """What the sets are measured by, and notes on what is lacking for that.

    Responses are counted where every item has one. The k-means groups are those of the suite's
    seed, whatever the sets' seeds, so that all sets are held against the same groups.
    """
    items, entry, seed = protocol.pool.items, protocol.entry, protocol.run.suite.seed
    categories, notes = None, list[str]()
    if entry.category is not None:
        try:
            categories = categories_of(items, entry.category)
        except PoolError as error:  # another copy of the pool may go without
            notes.append(f"no entropy of {entry.category}: {error}")
    responses = [item.response for item in items if item.response is not None]
    answered = len(responses) == len(items)
    groups = None
    if vectors is not None:
        rows = seeded_rows(Candidates(items, seed, vectors))
        try:
            groups = kmeans_groups(rows, min(entry.groups, len(items)), seed)
        except ExtraMissing as error:
            notes.append(f"Which groups of items the sets cover is not known. {error}")
    facts = PoolFacts(
        tokens_read=_tokens([item.text for item in items]),
        tokens_written=_tokens(responses) if answered else None,
        vectors=vectors,
        groups=groups,
        categories=categories,
        utilities={
            utility.name: np.array([utility.values[item.id] for item in items])
            for utility in protocol.run.utilities
        },
    )
    return facts, notes


def _tokens(texts: Sequence[str]) -> Counts:
    return np.array([estimate_tokens(text) for text in texts], dtype=np.int64)


def set_results(
    protocol: Protocol,
    facts: PoolFacts,
    log: SetLog,
    left_out: Sequence[LeftOut],
    notes: Sequence[str] = (),
) -> SetsResults:
    """The content of sets.json.

    `log` holds every set of the protocol's arms but of those `left_out`.
    """
    run, entry = protocol.run, protocol.entry
    without = {out.arm for out in left_out}
    arms = [arm for arm in protocol.arms if arm not in without]
    sets_of = {
        (arm.name, budget): [log[arm.name, budget, seed] for seed in entry.seeds]
        for arm in arms
        for budget in protocol.budgets
    }
    rows = [
        _row(protocol, facts, arm, sets_of[arm.name, budget])
        for budget in protocol.budgets
        for arm in arms
    ]
    return SetsResults(
        suite=run.suite.name,
        budgets=tuple(protocol.budgets),
        seeds=tuple(entry.seeds),
        clusters=PoolDivision(by=run.suite.clusters.by, size=run.suite.clusters.size),
        category=None if facts.categories is None else entry.category,
        encoder=protocol.encoder,
        utility=None if run.headline is None else run.headline.name,
        utilities=tuple(_utility(utility, rows) for utility in run.utilities),
        pool=_pool(protocol, facts),
        random=tuple(_random(facts, budget) for budget in protocol.budgets),
        sets=tuple(rows),
        overlaps=tuple(
            SetOverlap(
                budget=budget,
                a=a.name,
                b=b.name,
                overlap=_overlap(protocol, sets_of[a.name, budget], sets_of[b.name, budget]),
            )
            for budget in protocol.budgets
            for a, b in combinations(arms, 2)
        ),
        left_out=tuple(out.told() for out in left_out),
        notes=tuple(notes),
    )


def _utility(utility: Utility, rows: Sequence[SelectorSets]) -> SetsUtility:
    """What is told beside all that sets captured of it; `length`: what those of longest did."""
    length = [
        ByBudget(budget=row.budget, captured=row.captured[utility.name])
        for row in rows
        if row.selector == LONGEST
    ]
    return SetsUtility(
        name=utility.name,
        sha256=utility.sha256,
        length=tuple(length) or None,
        **utility.origin,
    )


def _pool(protocol: Protocol, facts: PoolFacts) -> WholePool:
    """The pool as if all of it were the set."""
    whole = measure_set(range(len(facts)), facts)
    return WholePool(
        items=len(facts),
        sha256=protocol.pool.sha256,
        groups=None if facts.groups is None else len(facts.groups),
        mean_value=dict(whole.mean_value),
        **{name: getattr(whole, name) for name in MEASURES if name != "coverage"},
    )


def _random(facts: PoolFacts, budget: int) -> RandomSets:
    """What random sets of a budget expect, exactly: the yardstick of the others."""
    return RandomSets(
        budget=budget,
        coverage=None if facts.groups is None else expected_coverage(facts.groups, budget),
        captured_sd={
            name: captured_spread(values, budget) for name, values in facts.utilities.items()
        },
    )


def _row(
    protocol: Protocol, facts: PoolFacts, arm: Arm, sets: Sequence[SelectedSet]
) -> SelectorSets:
    """One selector at one budget, over its seeds."""
    place = protocol.place
    measured = [measure_set([place[item_id] for item_id in one.ids], facts) for one in sets]
    utilities = facts.utilities
    among = [overlap(a.ids, b.ids, len(facts)) for a, b in combinations(sets, 2)]
    return SelectorSets(
        selector=arm.name,
        prompt=arm.prompt,
        model=arm.model,
        strategy=arm.strategy,
        budget=sets[0].budget,
        captured={name: _summary([one.captured[name] for one in measured]) for name in utilities},
        mean_value={
            name: _summary([one.mean_value[name] for one in measured]) for name in utilities
        },
        set_value={
            utility.name: _summary([utility.of_set(one.ids) for one in sets])
            for utility in protocol.run.utilities
            if utility.of_set is not None
        },
        **{name: _summary([getattr(one, name) for one in measured]) for name in MEASURES},
        filled=_summary([one.filled for one in sets]),
        **{name: _summary([getattr(one.spent, name) for one in sets]) for name in SPENT},
        self_overlap=_summary(among),
    )


def _summary(values: Sequence[float | None]) -> Summary | None:
    """Mean and range; None without values, and if one is not known."""
    return None if None in values or not values else mean_and_range(values)


def _overlap(
    protocol: Protocol, a: Sequence[SelectedSet], b: Sequence[SelectedSet]
) -> float | None:
    """The mean over seeds; None where every set is the whole pool."""
    items = len(protocol.pool)
    overlaps = [overlap(of_a.ids, of_b.ids, items) for of_a, of_b in zip(a, b, strict=True)]
    known = [value for value in overlaps if value is not None]
    return fmean(known) if known else None
