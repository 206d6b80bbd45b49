"""`selectllm utility knn`, `ifd`, `student`, `validate`: values computed, or held to training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from selectllm.cli.options import (
    DIRECTORY,
    FILE,
    Common,
    Function,
    common_options,
    grouped,
    map_option,
)
from selectllm.cli.reports import reports, show, write_reports
from selectllm.cli.session import open_session
from selectllm.cli.student_options import (
    Local,
    columns_option,
    drop_leaks_option,
    local_options,
    primary_option,
    student_options,
    test_option,
    trial_options,
)
from selectllm.core.codec import canonical_json
from selectllm.core.errors import UsageError
from selectllm.core.shown import visible
from selectllm.core.strict import Strict
from selectllm.jobs import validating, valuing
from selectllm.jobs.sync import finished
from selectllm.jobs.validating import ValidateSettings
from selectllm.jobs.valuing import BlockSettings, Valued, ValueSettings
from selectllm.jobs.workshop import StudentSettings, TrialSettings
from selectllm.utility.entries import IfdEntry, KnnEntry
from selectllm.utility.schema import Validations

Entry = TypeVar("Entry", bound=Strict)

PRIMARY = primary_option("How a gain is a mean over the test items.")
pool_argument = click.argument("pool_file", metavar="POOL")


def _value_options(source: str, *more: Function) -> Callable[[Function], Function]:
    """Where the utility goes, what it is called and how the pool is read; `source`: the verb."""
    return grouped(
        "settings",
        ValueSettings,
        click.option(
            "-o", "--out", type=FILE, help=f"Utility file to write [POOL.{source}.utility.jsonl]."
        ),
        click.option("--name", default=source, show_default=True, help="What it is called."),
        map_option("Column of the pool that holds instruction, input, response or id; repeatable."),
        *more,
    )


@click.command()
@pool_argument
@test_option
@click.option("--k", type=click.IntRange(1), default=5, show_default=True, help="Neighbours.")
@click.option(
    "--answer",
    type=click.Choice(["cosine", "rouge-l"]),
    default="cosine",
    show_default=True,
    help="How well one response serves for another.",
)
@_value_options("knn", drop_leaks_option)
@common_options
def knn(pool_file: str, settings: ValueSettings, common: Common, **entry: Any) -> None:
    """How well the responses of POOL's items would serve held-out test items: a proxy.

    Exact KNN-Shapley values: an item is worth what its response adds where test items are
    answered with the responses of their k nearest items.
    """
    _value(pool_file, _entry(KnnEntry, source="knn", **entry), settings, common)


@click.command()
@pool_argument
@click.option("--model", metavar="LM", help="local/NAME, a folder or a hub name [smollm2-135m].")
@_value_options("ifd")
@common_options
def ifd(pool_file: str, settings: ValueSettings, common: Common, **entry: Any) -> None:
    """How little the instructions of POOL's items help a language model to respond: a proxy.

    Instruction-following difficulty, turned so that higher is better: what is hard to follow has
    much to teach, and what misleads has nothing.
    """
    _value(pool_file, _entry(IfdEntry, source="ifd", **entry), settings, common)


def _entry(kind: type[Entry], **said: Any) -> Entry:
    """What a suite would say. Raises UsageError for an option that it could not."""
    try:
        return kind(**said)
    except ValidationError as error:
        first = error.errors()[0]
        option = first["loc"][0]
        raise UsageError(f"--{option}: {first['input']!r} is no {option}; name one") from None


def _value(
    pool_file: str, entry: KnnEntry | IfdEntry, settings: ValueSettings, common: Common
) -> None:
    session = open_session(common, Path.cwd())
    _say(finished(valuing.value(pool_file, entry, settings, session=session)), common.as_json)


def _say(valued: Valued, as_json: bool) -> None:
    from selectllm.report.utilities import valued_text

    saved = valued.summary
    click.echo(canonical_json(saved.to_json()) if as_json else visible(valued_text(saved)))


@click.command("student")
@pool_argument
@grouped(
    "settings",
    ValueSettings,
    click.option("-o", "--out", type=FILE, help="Utility file [POOL.student.utility.jsonl]."),
    columns_option,
    click.option("--name", default="student", show_default=True),
    drop_leaks_option,
)
@grouped(
    "divided",
    BlockSettings,
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
    PRIMARY,
)
@trial_options
@student_options
@local_options
def student(
    pool_file: str,
    settings: ValueSettings,
    name: str,
    local: Local,
    divided: BlockSettings,
    trials: TrialSettings,
    student: StudentSettings,
) -> None:
    """Values of POOL's items from students trained on blocks of them, as a utility file.

    Every pass divides the pool into blocks, and a student is trained on each: an outcome, but
    a noisy one, with its reliability.
    """
    session = open_session(local.common(), Path.cwd())
    trainings = (divided, trials, student)
    job = valuing.value_by_training(pool_file, name, trainings, settings, session=session)
    _say(finished(job), local.as_json)


@click.command()
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@grouped(
    "settings",
    ValidateSettings,
    click.option("-o", "--out", type=DIRECTORY, help="Folder [validations/ beside SUITE]."),
    click.option("--utility", multiple=True, metavar="NAME", help="Only these; repeatable [all]."),
    click.option(
        "--subsets", type=click.IntRange(4), default=16, show_default=True, help="Random subsets."
    ),
    click.option("--size", type=click.IntRange(1), help="Items of each [the suite's budget]."),
    PRIMARY,
    drop_leaks_option,
)
@trial_options
@student_options
@reports(Validations)
@common_options
def validate(
    suite_file: Path,
    settings: ValidateSettings,
    trials: TrialSettings,
    student: StudentSettings,
    common: Common,
) -> None:
    """Hold SUITE's utilities against training: whether sums foretell what subsets are worth.

    Students are trained on random subsets of the pool, kept in the cache and shared with
    `student compare`; the Spearman correlation of gains and sums (LDS) is written to a file for
    each utility, for its `validation:` in the suite.
    """
    session = open_session(common, suite_file.resolve().parent)
    job = validating.validate(suite_file, settings, trials, student, session=session)
    validated = finished(job)
    found = Validations(validations=validated.validations)
    if write_reports(found, session.workspace):
        return
    if common.as_json:
        click.echo(canonical_json([one.to_json() for one in validated.validations]))
        return
    show(found, as_json=False)
    click.echo(
        f"in the suite, for each utility: validation: {validated.folder}/NAME.validation.json"
    )
