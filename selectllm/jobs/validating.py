"""Utilities held against training: what `utility validate` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from selectllm.core.choices import Aggregation
from selectllm.core.errors import UsageError
from selectllm.core.files import real
from selectllm.core.names import for_files
from selectllm.core.types import Pool
from selectllm.downstream.outcomes.validation import lds
from selectllm.downstream.student.adapter import items_sha256
from selectllm.downstream.student.template import check_responses
from selectllm.downstream.trials.gains import Gains, gains_of
from selectllm.downstream.trials.training_set import TrialSet, random_sets
from selectllm.evaluation.suite import Suite, load_suite
from selectllm.evaluation.suite_columns import suite_pool, suite_words
from selectllm.jobs.computing import interruptible
from selectllm.jobs.contents import VALIDATION
from selectllm.jobs.leaks import Dropping, Source
from selectllm.jobs.outputs import check_written, read_by
from selectllm.jobs.training_options import StudentSettings, TrialSettings, ValidateSettings
from selectllm.jobs.workshop import Workshop, carried_out, held_out, open_workshop
from selectllm.utility.entries import UtilityEntry
from selectllm.utility.schema import Validation
from selectllm.utility.sources import UtilitySources, utility_of
from selectllm.utility.utility import Utility
from selectllm.utility.validation import write_validation

if TYPE_CHECKING:
    from selectllm.jobs.session import Session


@dataclass(frozen=True, slots=True)
class ByTraining:
    """What a student gained on each set that it was trained on; CPU `seconds` of all trainings."""

    student: str
    gains: Sequence[Gains]
    seconds: float


def gains_by_training(shop: Workshop, sets: Sequence[TrialSet]) -> ByTraining:
    """Train on every set, score on the test items."""
    with carried_out(shop, sets) as log:
        tokens = shop.test_tokens
        gains = [gains_of(one, shop.seeds, log.latest, tokens) for one in sets]
        seconds = sum(log[one.sha256, seed].seconds for one in sets for seed in shop.seeds)
    return ByTraining(shop.student.identity, gains, seconds)


@dataclass(frozen=True, slots=True)
class Validated:
    """Validations, each in a file of `folder` that is named for its utility."""

    folder: Path
    validations: tuple[Validation, ...]


async def validate(
    suite_file: Path,
    settings: ValidateSettings,
    trials: TrialSettings,
    student: StudentSettings | None = None,
    *,
    session: Session,
) -> Validated:
    """Hold a suite's utilities against training: whether sums foretell what subsets are worth.

    Students are trained on random subsets of the pool, kept in the cache and shared with
    `compare_students`; the Spearman correlation of gains and sums (LDS) is written to a file for
    each utility, for its `validation:` in the suite.
    """
    place = session.path(suite_file)
    suite = load_suite(place)
    base = real(place).parent
    pool = suite_pool(suite)
    session.note_pool(pool)
    check_responses(pool.items, str(suite.pool))
    folder = base / "validations" if settings.out is None else settings.out
    student = student or StudentSettings()
    student.check(trials.dev)
    entries = _entries(suite, settings.utility)
    for entry in entries:
        file = session.path(folder) / _file_name(entry.name)
        check_written("out", file, VALIDATION, read_by(suite) - {real(file)}, session.workspace)
    dropping = Dropping(settings.drop_leaks, folder, (str(place), pool.source))
    with interruptible():
        whole = Source("the pool", pool.source, pool.items)
        held = held_out(session, trials, whole, dropping, suite.columns)
        utilities = _utilities(session, suite, pool, entries)
        size = settings.size or _size(suite, pool)
        sets = random_sets(held.rest, size, settings.subsets)
        shop = open_workshop(session, student, trials, held, size)
        trained = gains_by_training(shop, sets)
    tests = items_sha256(shop.tests)
    validations = tuple(
        _validation(one, trained, settings.primary, pool, tests) for one in utilities
    )
    for done in validations:
        write_validation(session.path(folder) / _file_name(done.utility), done)
    return Validated(folder, validations)


def _file_name(utility: str) -> str:
    return f"{for_files(utility)}.validation.json"


def _entries(suite: Suite, wanted: Sequence[str]) -> list[UtilityEntry]:
    """Those of the suite that are to be validated. Raises UsageError if there are none."""
    names = [entry.name for entry in suite.utilities]
    for name in wanted:
        if name not in names:
            raise UsageError(
                f"`utility` {name}: the suite has no such utility. It has "
                f"{', '.join(names) or 'none'}",
                argument="utility",
            )
    entries = [entry for entry in suite.utilities if not wanted or entry.name in wanted]
    if not entries:
        raise UsageError(
            f"suite {suite.name} has no utilities to validate. Add them under `utilities:`"
        )
    return entries


def _utilities(
    session: Session, suite: Suite, pool: Pool, entries: Sequence[UtilityEntry]
) -> list[Utility]:
    with session.progress("embedding") as progress:
        embedder = session.embedder(progress, suite.encoder_name).of_pool(pool)
        cache = session.workspace.cache
        sources = UtilitySources(suite.folder, embedder, cache, columns=suite.columns)
        with suite_words():
            return [utility_of(entry, pool, sources) for entry in entries]


def _size(suite: Suite, pool: Pool) -> int:
    return suite.sets.budgets[0] if suite.sets else max(1, len(pool) // 10)


def _validation(
    utility: Utility, trained: ByTraining, by: Aggregation, pool: Pool, tests_sha256: str
) -> Validation:
    names = {f"draw {gains.of.seed}": gains for gains in trained.gains}
    return lds(
        utility,
        {name: [item.id for item in gains.of.items] for name, gains in names.items()},
        {name: gains.runs(by) for name, gains in names.items()},
        {name: float(gains.learned) for name, gains in names.items()},
        student=trained.student,
        pool_sha256=pool.sha256,
        gain=by,
        tests_sha256=tests_sha256,
    )
