"""`selectllm utility knn`, `ifd`, `student`, `validate`: values computed, or held to training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import (
    DIRECTORY,
    FILE,
    SEED,
    SUITE,
    Common,
    Function,
    common_options,
    grouped,
    map_option,
    test_map_option,
)
from selectllm.cli.reports import reports, show, write_reports
from selectllm.cli.session import open_session, real
from selectllm.cli.student_options import (
    LOADED,
    Local,
    drop_leaks_option,
    local_options,
    primary_option,
    student_options,
    test_option,
    trial_options,
)
from selectllm.cli.terminal import say
from selectllm.core.codec import canonical_json
from selectllm.jobs.sync import finished
from selectllm.jobs.training_options import (
    BlockSettings,
    StudentSettings,
    TrialSettings,
    ValidateSettings,
    ValueSettings,
)

if TYPE_CHECKING:
    from selectllm.utility.entries import IfdEntry, KnnEntry

pool_argument = click.argument("pool_file", metavar="POOL")


def _value_options(source: str, *more: Function) -> Callable[[Function], Function]:
    """Where the utility goes, what it is called and how the pool is read; `source`: the verb."""
    return grouped(
        "settings",
        ValueSettings,
        option("-o", "--out", type=FILE, show_default=f"POOL.{source}.utility.jsonl"),
        option("--name", default=source),
        map_option,
        *more,
    )


@click.command(epilog=example("utility knn pool.jsonl --test test.jsonl"))
@pool_argument
@test_option
@test_map_option
@option(
    "--k",
    type=click.IntRange(1),
    default=5,
    help="The number of neighbours that answer each test item.",
)
@option(
    "--answer",
    type=click.Choice(["cosine", "rouge-l"]),
    default="cosine",
    help="How to measure how well one response can stand in for another.",
)
@_value_options("knn", drop_leaks_option)
@common_options
def knn(
    pool_file: str,
    settings: ValueSettings,
    common: Common,
    test_columns: Mapping[str, str],
    **entry: Any,
) -> None:
    """Compute how well the responses of POOL's items would answer held-out test items.

    Every test item is answered with the responses of its k nearest items. The value of an item is
    what its response adds to that (the exact KNN-Shapley value). This utility is a proxy.
    """
    from selectllm.jobs.valuing import entry_of
    from selectllm.utility.entries import KnnEntry

    knn_entry = entry_of(KnnEntry, source="knn", columns=test_columns, **entry)
    _value(pool_file, knn_entry, settings, common)


@click.command(epilog=example("utility ifd pool.jsonl"))
@pool_argument
@option("--model", help=LOADED, show_default="local/smollm2-135m")
@_value_options("ifd")
@common_options
def ifd(pool_file: str, settings: ValueSettings, common: Common, **entry: Any) -> None:
    """Compute how little each instruction of POOL helps a language model to write the response.

    This is the instruction-following difficulty. A high value means that an item is hard to follow
    and has much to teach. An instruction that misleads the model gets none. It is a proxy.
    """
    from selectllm.jobs.valuing import entry_of
    from selectllm.utility.entries import IfdEntry

    _value(pool_file, entry_of(IfdEntry, source="ifd", **entry), settings, common)


def _value(
    pool_file: str, entry: KnnEntry | IfdEntry, settings: ValueSettings, common: Common
) -> None:
    from selectllm.jobs import valuing

    session = open_session(common, Path.cwd())
    valued = finished(valuing.value(pool_file, entry, settings, session=session))
    say(valued, as_json=common.as_json)


@click.command("student", epilog=example("utility student pool.jsonl --test test.jsonl"))
@pool_argument
@_value_options("student", drop_leaks_option)
@grouped(
    "divided",
    BlockSettings,
    option("--size", type=click.IntRange(1), default=20, help="The number of items in each block."),
    option(
        "--passes",
        type=click.IntRange(1),
        default=4,
        help="Divide the pool into blocks N times. Two or more show how reliable the values are.",
    ),
    SEED,
    primary_option,
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
    """Measure the value of POOL's items by training students on blocks of them.

    Every pass divides the pool into blocks and trains a student on each of them. This measures an
    outcome rather than a proxy, but with noise. The utility file states its reliability.
    """
    from selectllm.jobs import valuing

    session = open_session(local.common(), Path.cwd())
    trainings = (divided, trials, student)
    job = valuing.value_by_training(pool_file, name, trainings, settings, session=session)
    say(finished(job), as_json=local.as_json)


@click.command(epilog=example("utility validate suite.yaml --test test.jsonl"))
@SUITE
@grouped(
    "settings",
    ValidateSettings,
    option("-o", "--out", type=DIRECTORY, show_default="validations/ beside SUITE"),
    option("--utility", multiple=True, show_default="all"),
    option(
        "--subsets",
        type=click.IntRange(4),
        default=16,
        help="The number of random subsets to train on.",
    ),
    option(
        "--size",
        type=click.IntRange(1),
        show_default="the suite's budget",
        help="The number of items in each subset.",
    ),
    primary_option,
    drop_leaks_option,
)
@trial_options
@student_options
@reports("Validations")
@common_options
def validate(
    suite_file: Path,
    settings: ValidateSettings,
    trials: TrialSettings,
    student: StudentSettings,
    common: Common,
) -> None:
    """Check by training whether SUITE's utilities predict what subsets of the pool are worth.

    Students are trained on random subsets of the pool. For each utility, the rank correlation
    between its sum over a subset and the gain from training on it (the LDS) is written to a file,
    which the suite can name as validation. Trainings are kept in the cache and are shared with
    selectllm student compare.
    """
    from selectllm.jobs import validating
    from selectllm.utility.schema import Validations

    session = open_session(common, real(suite_file).parent)
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
        "To use a validation, add to that utility in the suite: "
        f"validation: {validated.folder}/NAME.validation.json"
    )
