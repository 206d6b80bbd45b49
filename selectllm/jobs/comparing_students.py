"""What every selector's set is worth to a student: what `student compare` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from selectllm.core.errors import UsageError
from selectllm.core.types import Pool
from selectllm.downstream.outcomes.training_sets import sets_of_run
from selectllm.downstream.student import items_sha256
from selectllm.downstream.student.schema import Aggregation
from selectllm.downstream.trials.schema import RecordedStudent, StudentsCompared
from selectllm.downstream.trials.study import foretellings, study
from selectllm.downstream.trials.training_set import (
    RANDOM,
    TrialSet,
    matched_set,
    random_sets,
    selectors_sets,
)
from selectllm.evaluation.sets.schema import DAMAGED, SetsResults
from selectllm.jobs.computing import interruptible
from selectllm.jobs.workshop import (
    StudentSettings,
    TrialSettings,
    Workshop,
    answered_pool,
    carried_out,
    open_workshop,
)

if TYPE_CHECKING:
    from selectllm.jobs.session import Session

NONE = "none"  # what `matched` names for no matched sets at all


@dataclass(frozen=True, slots=True)
class ComparedSets:
    """Which sets are compared.

    `pool`: the file that they were selected from, `columns` canonical name -> the file's column.
    `out`: the folder to write, students/ in that of the sets if None. `budget`: the size of the
    sets, None for the only one. `random`: random sets, at least 2. `only`: selectors, () for all.
    `matched`: those beside which random items of as many tokens are trained on, () for all,
    ("none",) for none. `primary`: the gain that verdicts are about.
    """

    pool: str
    out: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    budget: int | None = None
    random: int = 8
    only: tuple[str, ...] = ()
    matched: tuple[str, ...] = ()
    primary: Aggregation = "per_token"


@dataclass(frozen=True, slots=True)
class ComparedStudents:
    """The comparison in `folder`; `results`: as its compare.json has them."""

    folder: Path
    results: StudentsCompared


async def compare_students(
    sets_folder: Path,
    settings: ComparedSets,
    trials: TrialSettings,
    student: StudentSettings | None = None,
    *,
    session: Session,
) -> ComparedStudents:
    """Train a student on every set in `sets_folder`, beside random sets of the same size.

    Every set is trained with each seed and scored on the same held-out responses. Finished
    trainings are kept in the cache: run again, or with more selectors, seeds or random sets, it
    goes on.
    """
    place = session.path(sets_folder)
    pool = answered_pool(session, settings.pool, settings.columns)
    chosen, budget = _selectors(place, pool, settings)
    compared = SetsResults.read(place / "sets.json", DAMAGED)
    with interruptible():
        student = student or StudentSettings()
        shop = open_workshop(session, student, trials, pool, budget, settings.columns)
        sets = [*chosen, *_yardsticks(chosen, pool, settings, budget, shop)]
        with carried_out(shop, sets) as log:
            figures, gains = study(sets, shop.seeds, log.latest, shop.test_tokens, settings.primary)
    config = {name: value for name, value in asdict(shop.config).items() if name != "seed"}
    results = StudentsCompared(
        **dict(figures),
        suite=compared.suite,
        pool_sha256=pool.sha256,
        budget=budget,
        tests=len(shop.tests),
        tests_sha256=items_sha256(shop.tests),
        student=shop.student.identity,
        config=RecordedStudent(**config),
        learning_rate=shop.choice,
        agreement=foretellings(gains, compared, budget),
    )
    folder = sets_folder / "students" if settings.out is None else settings.out
    results.write(session.path(folder) / "compare.json")
    return ComparedStudents(folder, results)


def _selectors(folder: Path, pool: Pool, settings: ComparedSets) -> tuple[list[TrialSet], int]:
    """The selectors' sets that are wanted, those of `random` among them, and their size."""
    sets = sets_of_run(folder, pool).sets
    budgets = sorted({one.budget for one in sets})
    budget = settings.budget or budgets[0]
    if settings.budget is None and len(budgets) > 1:
        raise UsageError(
            f"{folder}: has sets of {', '.join(map(str, budgets))}; name one with `budget`",
            argument="budget",
        )
    if budget not in budgets:
        raise UsageError(
            f"`budget` {budget}: {folder} has sets of {', '.join(map(str, budgets))}",
            argument="budget",
        )
    arms = list(dict.fromkeys(one.arm for one in sets))
    _check_names(folder, settings, arms)
    wanted = set(settings.only or arms) | {RANDOM}
    return [one for one in selectors_sets(sets, budget) if one.arm in wanted], budget


def _check_names(folder: Path, settings: ComparedSets, arms: Sequence[str]) -> None:
    if NONE in settings.matched and len(settings.matched) > 1:
        raise UsageError(
            f"`matched` {NONE}: and others are named; leave one of them out", argument="matched"
        )
    matched = [name for name in settings.matched if name != NONE]
    for argument, names in (("only", settings.only), ("matched", matched)):
        for name in names:
            if name not in arms:
                raise UsageError(
                    f"{name}: {folder} has no such selector; it has {', '.join(arms)}",
                    argument=argument,
                )


def _yardsticks(
    chosen: Sequence[TrialSet], pool: Pool, settings: ComparedSets, budget: int, shop: Workshop
) -> list[TrialSet]:
    """Random sets, beside those of the strategy `random`, and sets of as many tokens."""
    there = sum(one.role == "random" for one in chosen)
    more = random_sets(pool.items, budget, max(0, settings.random - there))
    encoded = shop.student.encode(pool.items, shop.config)
    tokens = {one.id: len(one.response) for one in encoded}
    matched = [
        matched_set(one, pool.items, tokens)
        for one in chosen
        if one.role == "selector" and (not settings.matched or one.arm in settings.matched)
    ]
    return [*more, *matched]
