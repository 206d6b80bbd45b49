"""`selectllm utility student` and `validate`: what takes training students on parts of the pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import click

from selectllm.cli.options import DIRECTORY, FILE, Common, common_options, grouped
from selectllm.cli.reports import reports, write_reports
from selectllm.cli.session import CommandSession, open_session
from selectllm.cli.student_options import Local, local_options, map_option
from selectllm.cli.student_settings import Settings, settings_options
from selectllm.cli.training import (
    Training,
    Workshop,
    carried_out,
    open_workshop,
    training_options,
)
from selectllm.cli.utility_compute import out_file, told
from selectllm.core.codec import canonical_json
from selectllm.core.errors import UsageError
from selectllm.core.names import for_files
from selectllm.core.types import Pool
from selectllm.data.hub import located
from selectllm.data.pool import load_pool, parse_mapping
from selectllm.downstream.outcomes.validation import lds
from selectllm.downstream.student import items_sha256
from selectllm.downstream.student.template import check_responses
from selectllm.downstream.trials.blocks import block_values, blocks
from selectllm.downstream.trials.gains import AGGREGATIONS, Aggregation, Gains, gains_of
from selectllm.downstream.trials.training_set import TrialSet, random_sets
from selectllm.evaluation.suite import Suite, load_suite
from selectllm.utility.schema import Validation, Validations
from selectllm.utility.sources import UtilitySources, utility_of
from selectllm.utility.utility import Utility
from selectllm.utility.utility_file import write_utility
from selectllm.utility.validation import write_validation

primary_option = click.option(
    "--primary",
    type=click.Choice([by.replace("_", "-") for by in AGGREGATIONS]),
    default="per-token",
    show_default=True,
    help="How a gain is a mean over the test items.",
)


@dataclass(frozen=True, slots=True)
class _Measured:
    """What a student gained on each set that it was trained on; CPU `seconds` of all trainings."""

    student: str
    gains: Sequence[Gains]
    seconds: float


def _measured(shop: Workshop, sets: Sequence[TrialSet]) -> _Measured:
    """Train on every set, score on the test items."""
    with carried_out(shop, sets) as log:
        tokens = shop.test_tokens
        gains = [gains_of(each, shop.seeds, log.latest, tokens) for each in sets]
        seconds = sum(log[each.sha256, seed].seconds for each in sets for seed in shop.seeds)
    return _Measured(shop.student.identity, gains, seconds)


@dataclass(frozen=True, slots=True)
class StudentOptions:
    """Of what items, by what trainings."""

    out: Path | None
    columns: tuple[str, ...]
    name: str
    size: int
    passes: int
    seed: int


@click.command("student")
@click.argument("pool_file", metavar="POOL")
@grouped(
    "options",
    StudentOptions,
    click.option("-o", "--out", type=FILE, help="Utility file [POOL.student.utility.jsonl]."),
    map_option,
    click.option("--name", default="student", show_default=True),
    click.option(
        "--size", type=click.IntRange(1), default=20, show_default=True, help="Items of a block."
    ),
    click.option(
        "--passes",
        type=click.IntRange(1),
        default=4,
        show_default=True,
        help="Times that the pool is divided; two or more tell the reliability.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the blocks."),
)
@primary_option
@training_options
@settings_options
@local_options
def student(
    pool_file: str,
    options: StudentOptions,
    primary: str,
    training: Training,
    settings: Settings,
    local: Local,
) -> None:
    """Values of POOL's items from students trained on blocks of them, as a utility file.

    Every pass divides the pool into blocks, and a student is trained on each: an outcome, but
    a noisy one, with its reliability.
    """
    path = out_file(Path(pool_file), "student", options.out)
    place = located(Path.cwd(), pool_file)
    session = open_session(local.common(), Path.cwd())
    columns = parse_mapping(options.columns)
    pool = load_pool(place, columns=columns).pool
    check_responses(pool.items, pool_file)
    sets = blocks(pool.items, options.size, options.passes, options.seed)
    session.note(f"{len(sets)} blocks, {training.seeds} trainings each")
    shop = open_workshop(session, settings, training, pool, options.size, columns)
    found = _measured(shop, sets)
    by = cast(Aggregation, primary.replace("-", "_"))
    utility = replace(
        block_values(found.gains, by, name=options.name, student=found.student),
        cost={"cpu_seconds": round(found.seconds, 3)},
    )
    header = write_utility(path, utility, pool.sha256)
    click.echo(told(path, utility, header, as_json=local.as_json))


@dataclass(frozen=True, slots=True)
class ValidateOptions:
    """By how many subsets of what size."""

    out: Path | None
    utility: tuple[str, ...]
    subsets: int
    size: int | None


@click.command()
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@grouped(
    "options",
    ValidateOptions,
    click.option("-o", "--out", type=DIRECTORY, help="Folder [validations/ beside SUITE]."),
    click.option("--utility", multiple=True, metavar="NAME", help="Only these; repeatable [all]."),
    click.option(
        "--subsets", type=click.IntRange(4), default=16, show_default=True, help="Random subsets."
    ),
    click.option("--size", type=click.IntRange(1), help="Items of each [the suite's budget]."),
)
@primary_option
@training_options
@settings_options
@reports(Validations)
@common_options
def validate(
    suite_file: Path,
    options: ValidateOptions,
    primary: str,
    training: Training,
    settings: Settings,
    common: Common,
) -> None:
    """Hold SUITE's utilities against training: whether sums foretell what subsets are worth.

    Students are trained on random subsets of the pool, kept in the cache and shared with
    `student compare`; the Spearman correlation of gains and sums (LDS) is written to a file for
    each utility, for its `validation:` in the suite.
    """
    suite = load_suite(suite_file)
    base = suite_file.resolve().parent
    session = open_session(common, base)
    pool = load_pool(located(base, suite.pool), columns=suite.columns).pool
    check_responses(pool.items, str(suite.pool))
    utilities = _utilities(session, suite, pool, base, options.utility)
    size = _size(suite, pool, options.size)
    sets = random_sets(pool.items, size, options.subsets)
    shop = open_workshop(session, settings, training, pool, size, {})
    found = _measured(shop, sets)
    by = cast(Aggregation, primary.replace("-", "_"))
    tests = items_sha256(shop.tests)
    validations = [_validation(each, found, by, pool, tests) for each in utilities]
    folder = options.out or base / "validations"
    for each in validations:
        write_validation(folder / f"{for_files(each.utility)}.validation.json", each)
    if write_reports(Validations(validations=tuple(validations)), session.workspace.root):
        return
    if common.as_json:
        click.echo(canonical_json([each.to_json() for each in validations]))
        return
    from rich.console import Console

    from selectllm.report.validation import print_validations

    print_validations(validations, Console())
    click.echo(f"in the suite, for each utility: validation: {folder}/NAME.validation.json")


def _utilities(
    session: CommandSession, suite: Suite, pool: Pool, base: Path, wanted: Sequence[str]
) -> list[Utility]:
    names = [entry.name for entry in suite.utilities]
    for name in wanted:
        if name not in names:
            raise UsageError(f"--utility {name}: the suite has {', '.join(names) or 'none'}")
    entries = [entry for entry in suite.utilities if not wanted or entry.name in wanted]
    if not entries:
        raise UsageError(f"suite {suite.name}: has no utilities to validate; name some")
    with session.progress("embedding") as advance:
        embedder = session.embedder(advance).of_pool(pool)
        sources = UtilitySources(base, embedder, session.workspace.cache)
        return [utility_of(entry, pool, sources) for entry in entries]


def _size(suite: Suite, pool: Pool, given: int | None) -> int:
    if given is not None:
        return given
    return suite.sets.budgets[0] if suite.sets else max(1, len(pool) // 10)


def _validation(
    utility: Utility, found: _Measured, by: Aggregation, pool: Pool, tests_sha256: str
) -> Validation:
    names = {f"draw {each.of.seed}": each for each in found.gains}
    return lds(
        utility,
        {name: [item.id for item in each.of.items] for name, each in names.items()},
        {name: each.runs(by) for name, each in names.items()},
        {name: float(each.learned) for name, each in names.items()},
        student=found.student,
        pool_sha256=pool.sha256,
        gain=by,
        tests_sha256=tests_sha256,
    )
