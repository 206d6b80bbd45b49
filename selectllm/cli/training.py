"""How verbs train students on one set after another: their options, learning rate and trials."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from selectllm.cli.options import grouped
from selectllm.cli.session import CommandSession
from selectllm.cli.student_options import answered_items
from selectllm.cli.student_settings import Settings
from selectllm.core.codec import pretty_json, sha256_json
from selectllm.core.files import write_text
from selectllm.core.types import Item, Pool
from selectllm.downstream.student import (
    RateChoice,
    Student,
    StudentConfig,
    check_no_leak,
    choose_learning_rate,
    items_sha256,
    open_student,
)
from selectllm.downstream.trials.log import TrialLog, trial_manifest
from selectllm.downstream.trials.train_sets import Bench, carry_out
from selectllm.downstream.trials.training_set import TrialSet, random_sets


@dataclass(frozen=True, slots=True)
class Training:
    """On what items students are tested, and how often sets are trained."""

    test: str
    dev: str | None
    seeds: int
    jobs: int


training_options = grouped(
    "training",
    Training,
    click.option("--test", metavar="FILE", required=True, help="Held-out items with responses."),
    click.option("--dev", metavar="FILE", help="Choose the learning rate on these items."),
    click.option(
        "--seeds", type=click.IntRange(1), default=2, show_default=True, help="Trainings a set."
    ),
    click.option(
        "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Trainings at a time."
    ),
)


@dataclass(frozen=True, slots=True)
class Workshop:
    """A student, how it is trained, and the items that it is tested on.

    `choice`: of the learning rate (see `choice_json`), None if nobody asked for one.
    """

    session: CommandSession
    student: Student
    config: StudentConfig
    tests: tuple[Item, ...]
    training: Training
    choice: Mapping[str, Any] | None = None

    @property
    def test_tokens(self) -> NDArray[np.int64]:
        """(n_tests,) tokens of the test responses."""
        encoded = self.student.encode(self.tests, self.config)
        return np.array([len(example.response) for example in encoded])

    @property
    def seeds(self) -> range:
        """Of the trainings on one set."""
        return range(self.training.seeds)


def open_workshop(
    session: CommandSession,
    settings: Settings,
    training: Training,
    pool: Pool,
    size: int,
    columns: Mapping[str, str],
) -> Workshop:
    """What sets of `size` items of `pool` are trained with; `columns`: of test and dev files.

    With dev items the learning rate is chosen on them, by a random set of the pool; what was
    chosen once is kept in the cache. Raises UsageError for test or dev items that are also in the
    pool or in each other, and as `open_student` and `train` do.
    """
    config = settings.config()
    tests = answered_items(training.test, columns)
    check_no_leak(tests, pool.items, "the pool")
    dev: tuple[Item, ...] = ()
    if training.dev is not None:
        settings.check_free_rate()
        dev = answered_items(training.dev, columns)
        check_no_leak(tests, dev, "the dev items")
        check_no_leak(dev, pool.items, "the pool")
    (drawn,) = random_sets(pool.items, size, 1, seed=-1)
    student = open_student(config.model, session.workspace.cache)
    made = Workshop(session, student, config, tests, training)
    if not dev:
        return made
    choice = _chosen_rate(made, drawn, dev)
    return replace(made, config=replace(config, learning_rate=choice["rate"]), choice=choice)


def _chosen_rate(shop: Workshop, drawn: TrialSet, dev: Sequence[Item]) -> Mapping[str, Any]:
    name = sha256_json([shop.student.identity, asdict(shop.config), drawn.sha256])[:16]
    folder = shop.session.workspace.cache / "student" / "rates" / name
    kept = folder / f"choice-{items_sha256(dev)[:16]}.json"
    if not kept.is_file():
        with shop.session.progress("learning rates") as advance:
            made = choose_learning_rate(
                shop.student, drawn.items, dev, shop.config, folder, progress=advance
            )
        write_text(kept, pretty_json(choice_json(made)))
    choice: Mapping[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    shop.session.note(f"learning rate {choice['rate']:g}, chosen on {len(dev)} dev items")
    if choice["edge"] is not None:
        shop.session.note(f"note: it is the {choice['edge']} rate that was tried")
    if choice["losses"][f"{choice['rate']:g}"] >= choice["base_loss"]:
        shop.session.note("note: on the dev items no rate was better than no training")
    return choice


@contextlib.contextmanager
def carried_out(shop: Workshop, sets: Sequence[TrialSet]) -> Iterator[TrialLog]:
    """The log with every trial of `sets`, made if need be."""
    cache = shop.session.workspace.cache
    manifest = trial_manifest(shop.student.identity, shop.config, shop.tests)
    with TrialLog(cache / "student" / "trials", manifest) as log:
        folder = cache / "student" / "trained" / log.name
        bench = Bench(shop.config, cache, folder, shop.tests)
        with shop.session.progress("training") as advance:
            carry_out(sets, shop.seeds, bench, log, jobs=shop.training.jobs, tick=advance)
        yield log


def choice_json(choice: RateChoice) -> Mapping[str, Any]:
    """The choice as compare.json has it; losses are per token, on the dev items."""
    losses = choice.losses.items()
    return {
        "rate": choice.rate,
        "edge": choice.edge,
        "base_loss": choice.base.token_weighted,
        "losses": {f"{rate:g}": loss and loss.token_weighted for rate, loss in losses},
    }
