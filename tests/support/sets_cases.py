"""A sets.json for the tests of what reads one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selectllm.evaluation.sets.schema import (
    PoolDivision,
    SelectorSets,
    SetsResults,
    SetsUtility,
    Summary,
    WholePool,
)

MEASURES = (
    *("mean_pairwise_cosine", "vendi", "coverage", "category_entropy", "tokens_read"),
    *("tokens_written", "filled", "calls", "tokens_in", "tokens_out", "cost_usd", "self_overlap"),
)


def compared_sets(
    captured: Mapping[str, float | None], utility: str = "u", budgets: Sequence[int] = (1,)
) -> SetsResults:
    """Of two seeds; by selector, what its sets of the first budget captured of `utility`."""
    return SetsResults(
        suite="demo",
        budgets=tuple(budgets),
        seeds=(0, 1),
        clusters=PoolDivision(by="random", size=10),
        category=None,
        encoder="e",
        utility=utility,
        utilities=(SetsUtility(name=utility, kind="human", rater=None, sha256="0" * 64),),
        pool=WholePool(
            items=9,
            sha256="1" * 64,
            mean_value={utility: 1.0},
            tokens_read=9,
            **dict.fromkeys(
                (
                    "groups",
                    "mean_pairwise_cosine",
                    "vendi",
                    "category_entropy",
                    "tokens_written",
                )
            ),
        ),
        random=(),
        sets=tuple(_sets(name, mean, utility, budgets[0]) for name, mean in captured.items()),
        overlaps=(),
        left_out=(),
        notes=(),
    )


def _sets(selector: str, mean: float | None, utility: str, budget: int) -> SelectorSets:
    return SelectorSets(
        selector=selector,
        prompt=None,
        model=None,
        strategy=selector.removeprefix("strategy:"),
        budget=budget,
        captured={utility: None if mean is None else Summary(mean, mean - 0.1, mean + 0.1, 2)},
        mean_value={},
        **dict.fromkeys(MEASURES),
    )
