"""How a result was made, as far as it says so itself: sets, searches and trained students.

Of a run, its folder knows more: see jobs/provenance.py.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from selectllm.core.document import Document
from selectllm.downstream.trials.schema import StudentsCompared
from selectllm.evaluation.sets.schema import SetsResults
from selectllm.optimization.schema import GridResults, SearchResults
from selectllm.report.html.evidence import Provenance

HASH = 12  # digits of a hash that are shown


def made(result: Document) -> Provenance | None:
    """The command that makes `result` again, its hashes and its seeds; None where it has none.

    Words in capitals in the command are for the reader to fill in: no result knows its files.
    """
    kind = next((kind for kind in TOLD if isinstance(result, kind)), None)
    return None if kind is None else TOLD[kind](result)


def _sets(results: SetsResults) -> Provenance:
    words = ["selectllm", "sets", f"{results.suite}.yaml"]
    words += [word for budget in results.budgets for word in ("--budget", str(budget))]
    words += [word for seed in results.seeds for word in ("--seed", str(seed))]
    facts = [
        ("pool", f"{results.pool.items:,} items ({_short(results.pool.sha256)})"),
        ("clusters", f"by {results.clusters.by}, of {results.clusters.size}"),
        ("selectors", ", ".join(dict.fromkeys(each.selector for each in results.sets))),
        ("encoder", results.encoder),
        ("seeds", ", ".join(map(str, results.seeds))),
        *(("utility", f"{each.name} ({_short(each.sha256)})") for each in results.utilities),
    ]
    return Provenance(shlex.join(words), "", tuple(facts))


def _students(results: StudentsCompared) -> Provenance:
    words = ["selectllm", "student", "compare", "SETS_FOLDER", "--pool", "POOL", "--test", "TEST"]
    drawn = sum(each.role == "random" for each in results.sets)
    words += ["--budget", str(results.budget), "--seeds", str(len(results.training_seeds))]
    words += ["--random", str(drawn)]
    config = results.config.to_json()
    for name in ("model", "mode", "epochs", "batch_size", "max_length"):
        words += [f"--{name.replace('_', '-')}", str(config[name])]
    if results.learning_rate is None:
        words += ["--learning-rate", str(config["learning_rate"])]
    else:
        words += ["--dev", "DEV"]
    facts = [
        ("pool", _short(results.pool_sha256)),
        ("test items", f"{results.tests:,} ({_short(results.tests_sha256)})"),
        ("student", results.student),
        *((name.replace("_", " "), str(value)) for name, value in config.items()),
        ("training seeds", ", ".join(map(str, results.training_seeds))),
    ]
    return Provenance(shlex.join(words), "", tuple(facts), "with your own files")


def _optimized(results: SearchResults | GridResults) -> Provenance:
    return Provenance(
        shlex.join(_searching(results)), "", tuple(_searched(results)), "with your own suite"
    )


def _searching(results: SearchResults | GridResults) -> Iterator[str]:
    plan = results.plan
    yield from ("selectllm", "optimize", "SUITE.yaml", "--prompt", plan.parent)
    yield from ("--model", plan.model)
    if isinstance(results, SearchResults):
        yield from ("--teacher", results.plan.teacher)
        if results.plan.demonstrations:
            yield from ("--demonstrations", str(results.plan.demonstrations))
    else:
        yield "--grid"
    yield from ("--budget", str(plan.budget), "--seed", str(plan.seed))


def _searched(results: SearchResults | GridResults) -> Iterator[tuple[str, str]]:
    splits = results.splits
    yield "clusters", f"{splits.training} + {splits.validation} + {splits.confirmation}"
    yield "splits", _short(splits.sha256)
    yield "seed", str(results.plan.seed)
    if isinstance(results, SearchResults):
        versions = (f"{name} {each}" for name, each in results.packages.items() if each)
        yield "versions", ", ".join(versions)


def _short(sha256: object) -> str:
    return f"sha256 {str(sha256)[:HASH]}"


TOLD: Mapping[type[Document], Callable[[Any], Provenance]] = {
    SetsResults: _sets,
    StudentsCompared: _students,
    SearchResults: _optimized,
    GridResults: _optimized,
}
"""By the kind of result."""
