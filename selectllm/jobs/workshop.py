"""What jobs share that train students: settings, the items of files, learning rate and trials."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from selectllm.core.codec import sha256_json
from selectllm.core.errors import renaming
from selectllm.core.shown import counted
from selectllm.core.types import EMPTY, Item, Pool
from selectllm.data.hub import located
from selectllm.data.pool import load_beside, load_pool
from selectllm.downstream.student.adapter import items_sha256
from selectllm.downstream.student.config import StudentConfig
from selectllm.downstream.student.learning_rate import GRID, RateChoice, choose_learning_rate
from selectllm.downstream.student.network import Student, open_student
from selectllm.downstream.student.pace import student_plan
from selectllm.downstream.student.schema import LearningRateChoice, StudentPlan
from selectllm.downstream.student.template import check_responses
from selectllm.downstream.trials.log import BASE, TrialLog, trial_manifest
from selectllm.downstream.trials.train_sets import Bench, carry_out
from selectllm.downstream.trials.training_set import TrialSet, random_sets
from selectllm.jobs.leaks import Dropping, Found, Source, found_in, remaining, settle
from selectllm.jobs.training_options import StudentSettings, TrialSettings
from selectllm.report.student import plan_text

if TYPE_CHECKING:
    from selectllm.jobs.session import Session

DAMAGED_RATE = "is damaged ({why}). Remove it to choose again"


class HeldFiles(Protocol):
    """Settings that name files of held-out items; None: there are none."""

    @property
    def test(self) -> str | None:
        """Of test items."""
        ...

    @property
    def dev(self) -> str | None:
        """Of items that choose the learning rate."""
        ...

    @property
    def test_columns(self) -> Mapping[str, str]:
        """Of both, canonical name -> the file's column; those of the pool if there are none."""
        ...


@dataclass(frozen=True, slots=True)
class Workshop:
    """A student, how it is trained, and the items that it is tested on.

    `choice`: of the learning rate (see `recorded_choice`), None if nobody asked for one.
    """

    session: Session
    student: Student
    config: StudentConfig
    tests: tuple[Item, ...]
    trials: TrialSettings
    choice: LearningRateChoice | None = None

    @property
    def test_tokens(self) -> NDArray[np.int64]:
        """(n_tests,) tokens of the test responses."""
        encoded = self.student.encode(self.tests, self.config)
        return np.array([len(example.response) for example in encoded])

    @property
    def seeds(self) -> range:
        """Of the trainings on one set."""
        return range(self.trials.seeds)


def read_pool(session: Session, file: str, columns: Mapping[str, str]) -> Pool:
    """A pool file, or a pool on the hub, seen from the session's folder."""
    pool = load_pool(located(Path.cwd() / session.path("."), file), columns=columns).pool
    session.note_pool(pool)
    return pool


def answered_items(session: Session, file: str, columns: Mapping[str, str]) -> tuple[Item, ...]:
    """The items of a pool file. Raises UsageError, which names the file, without responses."""
    return tuple(answered_pool(session, file, columns).items)


def answered_pool(session: Session, file: str, columns: Mapping[str, str]) -> Pool:
    """The same with what it is read from."""
    pool = read_pool(session, file, columns)
    check_responses(pool.items, file)
    return pool


def _beside(
    session: Session, file: str, files: HeldFiles, columns: Mapping[str, str]
) -> tuple[Item, ...]:
    """The items of the test or dev file `file`; `columns`: those of the pool."""
    path = located(Path.cwd() / session.path("."), file)
    with renaming("columns", "test_columns"):
        if files.test_columns and file == files.test:
            pool = load_pool(path, columns=files.test_columns).pool
        else:
            pool = load_beside(path, files.test_columns or columns)
    session.note_pool(pool)
    check_responses(pool.items, file)
    return tuple(pool.items)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Items to measure by, and the `rest` of the pool, none of which is one of them.

    `dev`: those that choose the learning rate, none of them a test item. `found`: what was left
    out of the pool for it.
    """

    tests: tuple[Item, ...]
    dev: tuple[Item, ...]
    rest: tuple[Item, ...]
    found: tuple[Found, ...] = ()


def held_out(
    session: Session,
    files: HeldFiles,
    pool: Source,
    dropping: Dropping,
    columns: Mapping[str, str] = EMPTY,
) -> HeldOut:
    """The items of test and dev files (`columns`: the pool's), and the pool without them.

    Raises UsageError for items that are in two of the three, unless they are to be dropped from
    the pool and from the dev items. All of them are named in a file.
    """
    tests, dev = (
        Source(name, file or "", () if file is None else _beside(session, file, files, columns))
        for name, file in (("test", files.test), ("dev", files.dev))
    )
    read = (*dropping.read, pool.file, *filter(None, (files.test, files.dev)))
    both = found_in(tests, replace(dev, name="the dev items"))
    found = [*found_in(tests, pool), *found_in(dev, pool)]
    settle(session, [*found, *both], replace(dropping, read=read))
    return HeldOut(
        tests=tuple(tests.items),
        dev=remaining(dev.items, both),
        rest=remaining(pool.items, found),
        found=tuple(found),
    )


def open_workshop(
    session: Session, student: StudentSettings, trials: TrialSettings, held: HeldOut, size: int
) -> Workshop:
    """What sets of `size` items are trained with.

    With dev items the learning rate is chosen on them, by a random set of the pool; what was
    chosen once is kept in the cache. Raises UsageError as `open_student` and `train` do.
    """
    shop, drawn = _unsettled(session, student, trials, held, size)
    if not held.dev:
        return shop
    return _with_rate(shop, _chosen_rate(shop, drawn, held.dev))


def planned_workshop(
    session: Session, student: StudentSettings, trials: TrialSettings, held: HeldOut, size: int
) -> tuple[Workshop, StudentPlan | None]:
    """The same without training: and what the learning rate takes, None if that is settled."""
    shop, drawn = _unsettled(session, student, trials, held, size)
    if not held.dev:
        return shop, None
    kept = _kept_rate(shop, drawn, held.dev)
    if not kept.is_file():
        return shop, _rate_plan(shop, drawn, held.dev)
    return _with_rate(shop, LearningRateChoice.read(kept, DAMAGED_RATE)), None


def _unsettled(
    session: Session, student: StudentSettings, trials: TrialSettings, held: HeldOut, size: int
) -> tuple[Workshop, TrialSet]:
    """The workshop before a learning rate is chosen, and the set by which it would be."""
    config = student.config()
    (drawn,) = random_sets(held.rest, size, 1, seed=-1)
    opened = open_student(config.model, session.workspace.cache)
    return Workshop(session, opened, config, held.tests, trials), drawn


def _with_rate(shop: Workshop, choice: LearningRateChoice) -> Workshop:
    return replace(shop, config=replace(shop.config, learning_rate=choice.rate), choice=choice)


def _kept_rate(shop: Workshop, drawn: TrialSet, dev: Sequence[Item]) -> Path:
    """The file that the choice is kept in, beside its trainings."""
    name = sha256_json([shop.student.identity, asdict(shop.config), drawn.sha256])[:16]
    folder = shop.session.workspace.cache / "student" / "rates" / name
    return folder / f"choice-{items_sha256(dev)[:16]}.json"


def _rate_plan(shop: Workshop, drawn: TrialSet, dev: Sequence[Item]) -> StudentPlan:
    """A training for every rate; each is scored, and so is no training."""
    return student_plan(shop.student, shop.config, [drawn.items] * len(GRID), dev, len(GRID) + 1)


def trials_plan(
    shop: Workshop, sets: Sequence[TrialSet], done: TrialLog | None = None
) -> StudentPlan:
    """What the trials of `sets` take that `done` lacks; see `carry_out`."""
    due = {(each.sha256, seed): each.items for seed in shop.seeds for each in sets}
    missing = [items for key, items in due.items() if done is None or key not in done]
    scorings = len(missing) + (done is None or BASE not in done)
    return student_plan(shop.student, shop.config, missing, shop.tests, scorings)


def trial_log(shop: Workshop) -> TrialLog:
    """The log of the trials of this student, with these settings, on these test items."""
    manifest = trial_manifest(shop.student.identity, shop.config, shop.tests)
    return TrialLog(shop.session.workspace.cache / "student" / "trials", manifest)


def _chosen_rate(shop: Workshop, drawn: TrialSet, dev: Sequence[Item]) -> LearningRateChoice:
    kept = _kept_rate(shop, drawn, dev)
    folder = kept.parent
    if not kept.is_file():
        shop.session.note(f"To choose a learning rate: {plan_text(_rate_plan(shop, drawn, dev))}")
        with shop.session.progress("learning rates (trainings)") as progress:
            chosen = choose_learning_rate(
                shop.student, drawn.items, dev, shop.config, folder, progress=progress
            )
        recorded_choice(chosen).write(kept)
    choice = LearningRateChoice.read(kept, DAMAGED_RATE)
    shop.session.note(
        f"The learning rate is {choice.rate:g}, chosen on {counted(len(dev), 'dev item')}."
    )
    if choice.edge is not None:
        shop.session.note(
            f"Note: It is the {choice.edge} rate that was tried, so a better one may lie beyond it"
        )
    best = choice.losses[f"{choice.rate:g}"]
    if best is None or best >= choice.base_loss:
        shop.session.note("Note: On the dev items, no rate was better than no training")
    return choice


@contextlib.contextmanager
def carried_out(shop: Workshop, sets: Sequence[TrialSet]) -> Iterator[TrialLog]:
    """The log with every trial of `sets`, made if need be."""
    cache = shop.session.workspace.cache
    with trial_log(shop) as log:
        plan = trials_plan(shop, sets, log)
        if plan.trainings or plan.scored_tokens:
            shop.session.note(plan_text(plan))
        folder = cache / "student" / "trained" / log.name
        bench = Bench(shop.config, cache, folder, shop.tests)
        with shop.session.progress("trainings") as progress:
            carry_out(
                sets,
                shop.seeds,
                bench,
                log,
                jobs=shop.trials.jobs,
                tick=progress,
                workers=shop.session.engine,
            )
        yield log


def recorded_choice(choice: RateChoice) -> LearningRateChoice:
    """The choice as compare.json has it; losses are per token, on the dev items."""
    return LearningRateChoice(
        rate=choice.rate,
        edge=choice.edge,
        base_loss=choice.base.token_weighted,
        losses={
            f"{rate:g}": None if loss is None else loss.token_weighted
            for rate, loss in choice.losses.items()
        },
    )
