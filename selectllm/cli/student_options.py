"""What verbs share that train students: the options of their settings, and of a local session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from selectllm.cli.option_words import option
from selectllm.cli.options import AS_JSON, CACHE, ENV_FILE, QUIET, Common, grouped, test_map_option
from selectllm.core.choices import Aggregation
from selectllm.core.codec import canonical_json
from selectllm.jobs.training_options import DEFAULT, StudentSettings, TrialSettings

if TYPE_CHECKING:
    from selectllm.downstream.student.schema import StudentPlan


@dataclass(frozen=True, slots=True)
class Local:
    """Those of the common options that have a meaning where nobody is asked."""

    as_json: bool
    quiet: bool
    env_file: Path | None
    cache: Path | None

    def common(self, encoder: str | None = None) -> Common:
        """What a session is opened with."""
        return Common(encoder=encoder, **asdict(self))


local_options = grouped("local", Local, AS_JSON, QUIET, ENV_FILE, CACHE)
LOADED = "The language model to load: local/NAME, a folder, or NAME[@REVISION] of the hub."
test_option = option("--test", required=True)
dev_option = option(
    "--dev", metavar="FILE", help="Choose the learning rate on the items of this file."
)
drop_leaks_option = option("--drop-leaks", is_flag=True)


dry_run_option = option(
    "--dry-run",
    is_flag=True,
    help="Train nothing. Report items, tokens, epochs, and the time that this would take here.",
)


def setting(name: str, words: str | None = None) -> Any:
    """The option of one field of StudentConfig, with its default."""
    value = getattr(DEFAULT, name)
    told = {} if words is None else {"help": words}
    flag = f"--{name.replace('_', '-')}"
    return option(flag, type=type(value), default=value, **told)


def show_plan(plan: Mapping[str, StudentPlan], *, json: bool) -> None:
    """Print what is going to be computed, each part by its name."""
    from selectllm.report.student import plan_text

    if json:
        click.echo(canonical_json({name: part.to_json() for name, part in plan.items()}))
        return
    for name, part in plan.items():
        click.echo(f"{name}: {plan_text(part)}")


primary_option = option(
    "--primary",
    type=click.Choice([by.replace("_", "-") for by in get_args(Aggregation)]),
    default="per-token",
    callback=lambda ctx, param, value: value.replace("-", "_"),
)


student_options = grouped(
    "student",
    StudentSettings,
    setting("model", LOADED),
    option("--mode", type=click.Choice(["fast", "full"]), default=DEFAULT.mode),
    setting("epochs", "The number of passes over the items."),
    setting("batch_size", "The number of items in a step."),
    setting("rank", "The rank of the adapter (LoRA)."),
    setting("alpha", "Scale the update of the adapter by alpha divided by rank."),
    setting("blocks", "The number of blocks that are trained with --mode fast."),
    option(
        "--learning-rate",
        type=float,
        show_default=f"{DEFAULT.learning_rate}, or chosen with --dev",
        help="The learning rate of the first step. It falls to 0.",
    ),
    setting("max_length"),
)
trial_options = grouped(
    "trials",
    TrialSettings,
    test_option,
    dev_option,
    test_map_option,
    option("--seeds", type=click.IntRange(1), default=2),
    option(
        "--jobs",
        type=click.IntRange(1),
        default=1,
        help="The number of trainings at the same time.",
    ),
)
