"""`selectllm student train`: fine-tune a student on a selection."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from selectllm.cli.options import DIRECTORY, grouped
from selectllm.cli.session import CommandSession, open_session
from selectllm.cli.student_options import Local, answered_items, local_options, map_option
from selectllm.cli.student_settings import Settings, setting, settings_options
from selectllm.cli.training import choice_json
from selectllm.core.codec import canonical_json
from selectllm.core.errors import RunError
from selectllm.core.types import Item
from selectllm.data.pool import parse_mapping
from selectllm.downstream.student import (
    RateChoice,
    Student,
    StudentConfig,
    check_no_leak,
    choose_learning_rate,
    open_student,
)
from selectllm.downstream.student import train as train_student
from selectllm.downstream.student.adapter import copy_trained, is_begun
from selectllm.downstream.student.learning_rate import GRID, rate_folder
from selectllm.report.student import trained_text

RATES = "rates"  # inside the folder of the student: a training for every rate that was tried


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """Where the student goes, and the other items that decide about it."""

    out: Path
    dev: str | None
    test: str | None
    seed: int
    columns: tuple[str, ...]


train_options = grouped(
    "options",
    TrainOptions,
    click.option("-o", "--out", type=DIRECTORY, required=True, help="Folder of the student."),
    click.option("--dev", metavar="FILE", help="Choose the learning rate on these items."),
    click.option(
        "--test", metavar="FILE", help="Refuse if any of these items is in SELECTION or --dev."
    ),
    setting("seed", "Of the order of the items and of the adapter."),
    map_option,
)


@click.command()
@click.argument("selection", metavar="SELECTION")
@train_options
@settings_options
@local_options
def train(selection: str, options: TrainOptions, settings: Settings, local: Local) -> None:
    """Fine-tune a student on SELECTION, a pool file with responses.

    Writes a peft adapter and a manifest to a folder. Run again, it goes on after the last whole
    epoch, and ends with the same adapter.
    """
    config = settings.config(options.seed)
    items = answered_items(selection, parse_mapping(options.columns))
    dev = _dev_items(options, settings, items)
    session = open_session(local.common(), Path.cwd())
    begun, started = is_begun(options.out), time.monotonic()
    student = open_student(config.model, session.workspace.cache)
    choice = None
    if dev:
        choice = _chosen_rate(session, student, items, dev, config, options.out / RATES)
        manifest = copy_trained(rate_folder(options.out / RATES, choice.rate), options.out)
    else:
        with session.progress("training") as advance:
            manifest = train_student(student, items, config, options.out, advance)
    content = {
        **asdict(manifest),
        "folder": str(options.out),
        "learning_rate": choice and choice_json(choice),
        "seconds": round(time.monotonic() - started, 1),
    }
    if begun:
        session.note(f"note: {options.out} held this training already; it was not begun anew")
    click.echo(canonical_json(content) if local.as_json else trained_text(content, len(dev)))


def _dev_items(
    options: TrainOptions, settings: Settings, items: Sequence[Item]
) -> tuple[Item, ...]:
    """The items that the learning rate is chosen on, none without --dev.

    Raises UsageError if a test item is among them or among `items`, and if a dev item is.
    """
    columns = parse_mapping(options.columns)
    dev = () if options.dev is None else answered_items(options.dev, columns)
    if options.dev is not None:
        _check_dev(options, settings)
        check_no_leak(dev, items, "SELECTION")
    if options.test is not None:
        tests = answered_items(options.test, columns)
        check_no_leak(tests, items)
        check_no_leak(tests, dev, "the dev items")
    return dev


def _check_dev(options: TrainOptions, settings: Settings) -> None:
    settings.check_free_rate()
    if is_begun(options.out) and not (options.out / RATES).is_dir():
        raise RunError(
            f"{options.out} holds a training whose learning rate was not chosen with --dev; take "
            "another folder"
        )


def _chosen_rate(
    session: CommandSession,
    student: Student,
    items: Sequence[Item],
    dev: Sequence[Item],
    config: StudentConfig,
    folder: Path,
) -> RateChoice:
    with session.progress("trying learning rates") as advance:
        if advance is not None:
            advance(0, len(GRID))
        return choose_learning_rate(student, items, dev, config, folder, progress=advance)
