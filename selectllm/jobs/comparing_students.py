"""What every selector's set is worth to a student: what `student compare` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from selectllm.core.errors import UsageError
from selectllm.core.types import Item, Pool
from selectllm.downstream.outcomes.training_sets import sets_of_run
from selectllm.downstream.student.adapter import items_sha256
from selectllm.downstream.student.schema import StudentPlan
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
from selectllm.jobs.leaks import Dropping, Source, remaining, write_rest
from selectllm.jobs.training_options import ComparedSets, StudentSettings, TrialSettings
from selectllm.jobs.workshop import (
    HeldOut,
    Workshop,
    answered_pool,
    carried_out,
    held_out,
    open_workshop,
    planned_workshop,
    trial_log,
    trials_plan,
)

if TYPE_CHECKING:
    from selectllm.jobs.session import Session

NONE = "none"  # what `matched` names for no matched sets at all


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
    goes on. Raises UsageError for items that are in two of pool, test and dev file, unless they
    are to be dropped.
    """
    student = student or StudentSettings()
    ready = _ready(sets_folder, settings, trials, student, session)
    folder, pool, budget, held = ready.folder, ready.pool, ready.budget, ready.held
    compared = SetsResults.read(session.path(sets_folder) / "sets.json", DAMAGED)
    with interruptible():
        shop = open_workshop(session, student, trials, held, budget)
        sets = ready.sets(settings, shop)
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
    results.write(session.path(folder) / "compare.json")
    return ComparedStudents(folder, results)


@dataclass(frozen=True, slots=True)
class ComparisonPlan:
    """What a comparison is going to compute.

    `rate`: for the choice of a learning rate, None if none is chosen or one is kept; `trials`: for
    the sets themselves, those that are kept left out.
    """

    rate: StudentPlan | None
    trials: StudentPlan


async def plan_comparison(
    sets_folder: Path,
    settings: ComparedSets,
    trials: TrialSettings,
    student: StudentSettings | None = None,
    *,
    session: Session,
) -> ComparisonPlan:
    """What `compare_students` would compute, and how long that takes here.

    Nothing is trained but a few timed steps. Raises as `compare_students` does.
    """
    student = student or StudentSettings()
    ready = _ready(sets_folder, settings, trials, student, session)
    with interruptible():
        shop, rate = planned_workshop(session, student, trials, ready.held, ready.budget)
        sets = ready.sets(settings, shop)
        if rate is not None:  # at which rate sets will be trained is not known: none is kept of it
            return ComparisonPlan(rate, trials_plan(shop, sets))
        with trial_log(shop) as log:
            return ComparisonPlan(None, trials_plan(shop, sets, log))


@dataclass(frozen=True, slots=True)
class _Ready:
    """A comparison that was checked and not begun; `chosen`: the selectors' sets."""

    folder: Path
    pool: Pool
    budget: int
    held: HeldOut
    chosen: tuple[TrialSet, ...]

    def sets(self, settings: ComparedSets, shop: Workshop) -> list[TrialSet]:
        """Every set that is trained on."""
        yardsticks = _yardsticks(self.chosen, self.held.rest, settings, self.budget, shop)
        return [*self.chosen, *yardsticks]


def _ready(
    sets_folder: Path,
    settings: ComparedSets,
    trials: TrialSettings,
    student: StudentSettings,
    session: Session,
) -> _Ready:
    student.check(trials.dev)
    folder = sets_folder / "students" if settings.out is None else settings.out
    pool = answered_pool(session, settings.pool, settings.columns)
    chosen, budget = _selectors(session.path(sets_folder), pool, settings)
    whole = Source("the pool", settings.pool, pool.items)
    dropping = Dropping(settings.drop_leaks, folder)
    held = held_out(session, trials, whole, dropping, settings.columns)
    rest = write_rest(session, pool, held.found, dropping)
    return _Ready(folder, pool, budget, held, tuple(_without(session, chosen, held, rest)))


def _selectors(folder: Path, pool: Pool, settings: ComparedSets) -> tuple[list[TrialSet], int]:
    """The selectors' sets that are wanted, those of `random` among them, and their size."""
    sets = sets_of_run(folder, pool).sets
    budgets = sorted({one.budget for one in sets})
    budget = settings.budget or budgets[0]
    if settings.budget is None and len(budgets) > 1:
        raise UsageError(
            f"{folder} contains sets of several sizes: {', '.join(map(str, budgets))}. "
            "Choose one with `budget`",
            argument="budget",
        )
    if budget not in budgets:
        raise UsageError(
            f"`budget` {budget}: {folder} contains no sets of that size, only of "
            f"{', '.join(map(str, budgets))}",
            argument="budget",
        )
    arms = list(dict.fromkeys(one.arm for one in sets))
    _check_names(folder, settings, arms)
    wanted = set(settings.only or arms) | {RANDOM}
    return [one for one in selectors_sets(sets, budget) if one.arm in wanted], budget


def _without(
    session: Session, chosen: Sequence[TrialSet], held: HeldOut, rest: Path | None
) -> list[TrialSet]:
    """The sets without what is held out; tells which of them are smaller than the others now.

    `rest`: the file of the pool without it.

    Raises UsageError for a set of which nothing is left.
    """
    clean = [replace(one, items=remaining(one.items, held.found)) for one in chosen]
    lost = {
        f"{old.arm} seed {old.seed}: {len(old.items) - len(new.items)} of {len(old.items)}"
        for old, new in zip(chosen, clean, strict=True)
        if len(new.items) < len(old.items)
    }
    if not lost:
        return clean
    empty = [one.arm for one in clean if not one.items]
    if empty:
        raise UsageError(
            f"every item of the sets of {', '.join(dict.fromkeys(empty))} is also a test or dev "
            "item, so there is nothing to train on. Give other items for `test`, or select anew "
            "from a pool without them",
            argument="test",
        )
    session.note(
        f"Note: sets have lost items ({'; '.join(sorted(lost))}). They are smaller than the random "
        "sets beside them, and gains grow with the number of items: to compare selectors at one "
        f"size, select anew from {rest}, the pool without what is held out"
    )
    return clean


def _check_names(folder: Path, settings: ComparedSets, arms: Sequence[str]) -> None:
    if NONE in settings.matched and len(settings.matched) > 1:
        raise UsageError(
            f"`matched` names {NONE} and selectors as well. Leave one of them out",
            argument="matched",
        )
    matched = [name for name in settings.matched if name != NONE]
    for argument, names in (("only", settings.only), ("matched", matched)):
        for name in names:
            if name not in arms:
                raise UsageError(
                    f"{name}: {folder} has no such selector. It has {', '.join(arms)}",
                    argument=argument,
                )


def _yardsticks(
    chosen: Sequence[TrialSet],
    items: Sequence[Item],
    settings: ComparedSets,
    budget: int,
    shop: Workshop,
) -> list[TrialSet]:
    """Random sets, beside those of the strategy `random`, and sets of as many tokens."""
    there = sum(one.role == "random" for one in chosen)
    more = random_sets(items, budget, max(0, settings.random - there))
    encoded = shop.student.encode(items, shop.config)
    tokens = {one.id: len(one.response) for one in encoded}
    matched = [
        matched_set(one, items, tokens)
        for one in chosen
        if one.role == "selector" and (not settings.matched or one.arm in settings.matched)
    ]
    return [*more, *matched]
