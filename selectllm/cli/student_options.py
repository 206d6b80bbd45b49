"""What verbs share that train students: the options of their settings, and of a local session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click

from selectllm.cli.options import AS_JSON, CACHE, ENV_FILE, Common, grouped, map_option
from selectllm.core.codec import canonical_json
from selectllm.downstream.student.schema import Aggregation, StudentPlan
from selectllm.jobs.workshop import DEFAULT, StudentSettings, TrialSettings


@dataclass(frozen=True, slots=True)
class Local:
    """Those of the common options that have a meaning where nobody is asked."""

    as_json: bool
    quiet: bool
    env_file: Path | None
    cache: Path | None

    def common(self, encoder: str | None = None) -> Common:
        """What a session is opened with."""
        return Common(
            as_json=self.as_json,
            quiet=self.quiet,
            env_file=self.env_file,
            cache=self.cache,
            encoder=encoder,
        )


local_options = grouped(
    "local",
    Local,
    AS_JSON,
    click.option("--quiet", is_flag=True, help="No progress and no notes."),
    ENV_FILE,
    CACHE,
)
columns_option = map_option(
    "Column of the files that holds instruction, input, response or id; repeatable."
)
test_option = click.option(
    "--test", metavar="FILE", required=True, help="Held-out items with responses."
)
dev_option = click.option("--dev", metavar="FILE", help="Choose the learning rate on these items.")
drop_leaks_option = click.option(
    "--drop-leaks",
    is_flag=True,
    help="Leave out what is also a test or dev item, and say how much, rather than refuse.",
)


dry_run_option = click.option(
    "--dry-run",
    is_flag=True,
    help="Train nothing; tell items, tokens, epochs, and how long it takes here, by a few steps.",
)


def setting(name: str, words: str) -> Any:
    """The option of one field of StudentConfig, with its default."""
    value = getattr(DEFAULT, name)
    option = f"--{name.replace('_', '-')}"
    return click.option(option, type=type(value), default=value, show_default=True, help=words)


def show_plan(plan: Mapping[str, StudentPlan], *, json: bool) -> None:
    """Print what is going to be computed, each part by its name."""
    from selectllm.report.student import plan_text

    if json:
        click.echo(canonical_json({name: part.to_json() for name, part in plan.items()}))
        return
    for name, part in plan.items():
        click.echo(f"{name}: {plan_text(part)}")


def primary_option(words: str) -> Callable[[Any], Any]:
    """--primary: how a gain is a mean over the test items."""
    return click.option(
        "--primary",
        type=click.Choice([by.replace("_", "-") for by in get_args(Aggregation)]),
        default="per-token",
        show_default=True,
        callback=lambda ctx, param, value: value.replace("-", "_"),
        help=words,
    )


student_options = grouped(
    "student",
    StudentSettings,
    setting("model", "local/NAME, a folder or NAME[@REVISION] on the hub."),
    click.option(
        "--mode",
        type=click.Choice(["fast", "full"]),
        default=DEFAULT.mode,
        show_default=True,
        help="Adapt the last blocks alone, at a quarter of the cost, or all of them.",
    ),
    setting("epochs", "Passes over the items."),
    setting("batch_size", "Items of a step."),
    setting("rank", "Of the adapter (LoRA)."),
    setting("alpha", "The adapter's update is scaled by alpha / rank."),
    setting("blocks", "Blocks that mode fast adapts."),
    click.option(
        "--learning-rate",
        type=float,
        help=f"Of the first step; it falls to 0 [{DEFAULT.learning_rate}, or as --dev says].",
    ),
    setting("max_length", "Tokens of an item at most; what is longer is cut, and told."),
)
trial_options = grouped(
    "trials",
    TrialSettings,
    test_option,
    dev_option,
    click.option(
        "--seeds", type=click.IntRange(1), default=2, show_default=True, help="Trainings a set."
    ),
    click.option(
        "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Trainings at a time."
    ),
)
