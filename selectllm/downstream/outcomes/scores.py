"""One number for every arm: what its sets were worth downstream, and what foretells it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from selectllm.core.errors import UtilityError
from selectllm.core.names import listed, unknown
from selectllm.downstream.outcomes.exported import Exported
from selectllm.downstream.outcomes.schema import Result
from selectllm.evaluation.sets.log import SetKey
from selectllm.evaluation.sets.schema import SetsResults

Runs = Mapping[str, float]
"""The score of each run of an arm: of one selection and one training."""
Test = tuple[str, str | None]
Cells = Mapping[tuple[str, str], Mapping[Test, float]]
"""(arm, run) -> test -> value."""


@dataclass(frozen=True, slots=True)
class ArmScores:
    """`runs`: arm -> run -> score; higher is better, so that losses have their sign turned.

    `sets`: what was trained on. `tests`: how many every run was scored on, a whole benchmark being
    one; `left_out`: how many only some of them were, which do not count.
    """

    metric: str
    budget: int
    benchmarks: tuple[str, ...]
    runs: Mapping[str, Runs]
    sets: frozenset[SetKey]
    tests: int
    left_out: int


def arm_scores(
    results: Iterable[Result],
    metric: str | None = None,
    budget: int | None = None,
    benchmarks: Sequence[str] = (),
) -> ArmScores:
    """The scores of all arms at one budget by one metric: a mean over tests, then benchmarks.

    `metric`, `budget`: may be None if the results have only one. `benchmarks`: only these. Means
    over other tests cannot be compared, so only those that every run was scored on count.

    Raises UtilityError if one has to be named or is not there; if a run lacks a benchmark, or less
    than half of a benchmark's tests are left; and if higher is better on some benchmarks only.
    """
    left = list(results)
    if benchmarks:
        for name in benchmarks:
            _one("benchmark", name, [each.benchmark for each in left])
        left = [each for each in left if each.benchmark in benchmarks]
    metric = _one("metric", metric, [each.metric for each in left])
    left = [each for each in left if each.metric == metric]
    budget = _one("budget", budget, [each.budget for each in left])
    left = [each for each in left if each.budget == budget]
    signs = {each.higher_is_better for each in left}
    if len(signs) > 1:
        raise UtilityError(
            f"metric {metric!r}: higher is better on some benchmarks and lower on others. Name the "
            "benchmarks"
        )
    sign = 1.0 if signs == {True} else -1.0
    cells = _by_run(left)
    there = dict.fromkeys(test for tests in cells.values() for test in tests)
    shared = _shared(cells, there)
    runs: dict[str, dict[str, float]] = {}
    for (arm, run), tests in cells.items():
        runs.setdefault(arm, {})[run] = sign * _mean({test: tests[test] for test in shared})
    return ArmScores(
        metric=metric,
        budget=budget,
        benchmarks=tuple(sorted({each.benchmark for each in left})),
        runs=runs,
        sets=frozenset((each.arm, each.budget, each.seed) for each in left),
        tests=len(shared),
        left_out=len(there) - len(shared),
    )


def captured_by_arm(compared: SetsResults, utility: str, budget: int) -> dict[str, float]:
    """Utility captured by each selector's sets at `budget`, their mean, as sets.json has it.

    Selectors whose sets are the whole pool are left out.
    Raises UtilityError for a utility or budget that it does not have.
    """
    _one("utility", utility, [utility.name for utility in compared.utilities])
    _one("budget", budget, compared.budgets)
    known = {row.selector: row.captured[utility] for row in compared.at(budget)}
    return {arm: summary.mean for arm, summary in known.items() if summary is not None}


def set_values_by_arm(compared: SetsResults, utility: str, budget: int) -> dict[str, float]:
    """What each selector's sets at `budget` are worth as a whole, their mean, by sets.json.

    Empty for utilities that only know single items, and in folders from before it was kept.
    """
    known = {row.selector: row.set_value.get(utility) for row in compared.at(budget)}
    return {arm: summary.mean for arm, summary in known.items() if summary is not None}


def tokens_by_arm(exported: Exported, budget: int) -> dict[str, float]:
    """Tokens of each arm's sets at `budget`, the mean over its seeds, estimated."""
    tokens: dict[str, list[int]] = {}
    for each in exported.sets:
        if each.budget == budget:
            tokens.setdefault(each.arm, []).append(each.tokens)
    return {arm: fmean(counts) for arm, counts in tokens.items()}


def tokens_of_sets(compared: SetsResults, budget: int) -> dict[str, float] | None:
    """The same from the content of sets.json; None where items of the pool have no response."""
    tokens = {}
    for row in compared.at(budget):
        if row.tokens_read is None or row.tokens_written is None:
            return None
        tokens[row.selector] = row.tokens_read.mean + row.tokens_written.mean
    return tokens


def _one(what: str, wanted: Any, there: Iterable[Any]) -> Any:
    """`wanted` if it is there, or the only one that is."""
    names = sorted(set(there))
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is None:
        shown = listed([str(name) for name in names]) or "none"
        raise UtilityError(
            f"the results have more than one {what}: {shown}. Name one with `{what}`", argument=what
        )
    if wanted not in names:
        raise UtilityError(unknown(what, str(wanted), map(str, names)))
    return wanted


def _by_run(results: Iterable[Result]) -> dict[tuple[str, str], dict[Test, float]]:
    cells: dict[tuple[str, str], dict[Test, float]] = {}
    for each in results:
        training = "" if each.training_seed is None else f", training {each.training_seed}"
        tests = cells.setdefault((each.arm, f"seed {each.seed}{training}"), {})
        tests[each.benchmark, each.test_id] = each.value
    return cells


def _shared(cells: Cells, there: Iterable[Test]) -> list[Test]:
    """Those of the tests `there` that every run has; errors as `arm_scores`."""
    by_benchmark: dict[str, list[Test]] = {}
    for test in there:
        by_benchmark.setdefault(test[0], []).append(test)
    return [
        test
        for benchmark, tests in by_benchmark.items()
        for test in _shared_of(benchmark, tests, cells)
    ]


def _shared_of(benchmark: str, tests: Sequence[Test], cells: Cells) -> list[Test]:
    lacking = {key: sum(test not in own for test in tests) for key, own in cells.items()}
    (arm, run), most = max(lacking.items(), key=lambda each: each[1])
    if most == len(tests):
        raise UtilityError(
            f"{arm!r}, {run}: has no result of benchmark {benchmark!r}, but other runs "
            "have. Score every run on it, or name the benchmarks that all runs have"
        )
    shared = [test for test in tests if all(test in own for own in cells.values())]
    if 2 * len(shared) < len(tests):
        raise UtilityError(
            f"benchmark {benchmark!r}: only {len(shared)} of its {len(tests)} tests, less than "
            f"half, are there for every run; {arm!r}, {run} lacks {most}. Score every run on the "
            "same tests, or leave those with few of them out"
        )
    return shared


def _mean(tests: Mapping[Test, float]) -> float:
    """Every benchmark counts the same, and every test of it."""
    by_benchmark: dict[str, list[float]] = {}
    for (benchmark, _), value in tests.items():
        by_benchmark.setdefault(benchmark, []).append(value)
    return fmean(fmean(values) for values in by_benchmark.values())
