"""`selectllm student compare`: what every selector's set is worth to a student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import click

from selectllm.cli.options import DIRECTORY, grouped
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
from selectllm.core.codec import canonical_json, pretty_json
from selectllm.core.errors import UsageError
from selectllm.core.files import write_text
from selectllm.core.types import Pool
from selectllm.data.hub import located
from selectllm.data.pool import load_pool, parse_mapping
from selectllm.downstream.outcomes.training_sets import sets_of_run
from selectllm.downstream.student import items_sha256
from selectllm.downstream.student.template import check_responses
from selectllm.downstream.trials.gains import AGGREGATIONS, Aggregation
from selectllm.downstream.trials.study import agreements, study
from selectllm.downstream.trials.training_set import (
    RANDOM,
    TrialSet,
    matched_set,
    random_sets,
    selectors_sets,
)
from selectllm.evaluation.sets.schema import DAMAGED, SetsResults

NONE = "none"  # what --matched is told for no matched sets at all


@dataclass(frozen=True, slots=True)
class Comparing:
    """What is compared."""

    pool: str
    out: Path | None
    columns: tuple[str, ...]
    budget: int | None
    random: int
    only: tuple[str, ...]
    matched: tuple[str, ...]
    primary: str


comparing_options = grouped(
    "options",
    Comparing,
    click.option("--pool", metavar="FILE", required=True, help="What the sets were selected from."),
    click.option("-o", "--out", type=DIRECTORY, help="Folder to write [SETS_FOLDER/students]."),
    map_option,
    click.option("--budget", type=click.IntRange(1), help="The sets of this size [the only one]."),
    click.option(
        "--random", type=click.IntRange(2), default=8, show_default=True, help="Random sets."
    ),
    click.option("--only", multiple=True, metavar="ARM", help="Only these selectors; repeatable."),
    click.option(
        "--matched",
        multiple=True,
        metavar="ARM",
        help="Selectors beside which random items of as many tokens are trained on [all]; "
        "repeatable; `none` for none.",
    ),
    click.option(
        "--primary",
        type=click.Choice([by.replace("_", "-") for by in AGGREGATIONS]),
        default="per-token",
        show_default=True,
        help="The gain that verdicts are about; name it before you look.",
    ),
)


@click.command()
@click.argument("sets_folder", metavar="SETS_FOLDER", type=click.Path(path_type=Path))
@comparing_options
@training_options
@settings_options
@local_options
def compare(
    sets_folder: Path, options: Comparing, training: Training, settings: Settings, local: Local
) -> None:
    """Train a student on every set in SETS_FOLDER, beside random sets of the same size.

    Every set is trained with each seed and scored on the same held-out responses. Finished
    trainings are kept in the cache: run again, or with more selectors, seeds or random sets, it
    goes on.
    """
    session = open_session(local.common(), sets_folder.resolve())
    columns = parse_mapping(options.columns)
    pool = load_pool(located(Path.cwd(), options.pool), columns=columns).pool
    check_responses(pool.items, options.pool)
    chosen, budget = _selectors(sets_folder, pool, options)
    compared = SetsResults.read(sets_folder / "sets.json", DAMAGED)
    shop = open_workshop(session, settings, training, pool, budget, columns)
    sets = [*chosen, *_yardsticks(chosen, pool, options, budget, shop)]
    primary = cast(Aggregation, options.primary.replace("-", "_"))
    with carried_out(shop, sets) as log:
        content, gains = study(sets, shop.seeds, log.latest, shop.test_tokens, primary)
    content |= {
        "suite": compared.suite,
        "pool_sha256": pool.sha256,
        "budget": budget,
        "tests": len(shop.tests),
        "tests_sha256": items_sha256(shop.tests),
        "student": shop.student.identity,
        "config": {k: v for k, v in asdict(shop.config).items() if k != "seed"},
        "learning_rate": shop.choice,
        "agreement": {by: agreements(gains, by, compared, budget) for by in AGGREGATIONS},
    }
    folder = options.out or sets_folder / "students"
    write_text(folder / "compare.json", pretty_json(content))
    show(session, content, folder)


def _selectors(folder: Path, pool: Pool, options: Comparing) -> tuple[list[TrialSet], int]:
    """The selectors' sets that are wanted, those of `random` among them, and their size."""
    made = sets_of_run(folder, pool).sets
    budgets = sorted({each.budget for each in made})
    budget = options.budget or budgets[0]
    if options.budget is None and len(budgets) > 1:
        raise UsageError(
            f"{folder}: has sets of {', '.join(map(str, budgets))}; name one with --budget"
        )
    if budget not in budgets:
        raise UsageError(f"--budget {budget}: {folder} has sets of {', '.join(map(str, budgets))}")
    arms = list(dict.fromkeys(each.arm for each in made))
    if NONE in options.matched and len(options.matched) > 1:
        raise UsageError(f"--matched {NONE}: and others are named; leave one of them out")
    for name in (*options.only, *(each for each in options.matched if each != NONE)):
        if name not in arms:
            raise UsageError(f"{name}: {folder} has no such selector; it has {', '.join(arms)}")
    wanted = set(options.only or arms) | {RANDOM}
    return [each for each in selectors_sets(made, budget) if each.arm in wanted], budget


def _yardsticks(
    chosen: Sequence[TrialSet],
    pool: Pool,
    options: Comparing,
    budget: int,
    shop: Workshop,
) -> list[TrialSet]:
    """Random sets, beside those of the strategy `random`, and sets of as many tokens."""
    there = sum(each.role == "random" for each in chosen)
    more = random_sets(pool.items, budget, max(0, options.random - there))
    encoded = shop.student.encode(pool.items, shop.config)
    tokens = {each.id: len(each.response) for each in encoded}
    matched = [
        matched_set(each, pool.items, tokens)
        for each in chosen
        if each.role == "selector" and (not options.matched or each.arm in options.matched)
    ]
    return [*more, *matched]


def show(session: CommandSession, content: Mapping[str, Any], folder: Path) -> None:
    """Print the comparison: as JSON alone, or as tables."""
    if session.common.as_json:
        click.echo(canonical_json(content))
        return
    from rich.console import Console

    from selectllm.report.students_compared import print_trials

    print_trials(content, Console())
    session.note(f"folder: {folder}")
