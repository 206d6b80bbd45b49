"""`selectllm student`: a language model that is fine-tuned on selections, and measured."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.cli import reports
from selectllm.cli.options import DIRECTORY, FILE, grouped
from selectllm.cli.session import open_session
from selectllm.cli.student_options import (
    Local,
    columns_option,
    dev_option,
    drop_leaks_option,
    dry_run_option,
    local_options,
    primary_option,
    setting,
    show_plan,
    student_options,
    test_option,
    trial_options,
)
from selectllm.core.codec import canonical_json
from selectllm.downstream.student.generation import NEW_TOKENS
from selectllm.downstream.student.schema import StudentScores
from selectllm.downstream.trials.schema import StudentsCompared
from selectllm.jobs import comparing_students, scoring, training
from selectllm.jobs.comparing_students import ComparedSets
from selectllm.jobs.scoring import BaseSettings, ScoreSettings
from selectllm.jobs.sync import finished
from selectllm.jobs.training import TrainSettings
from selectllm.jobs.workshop import DEFAULT, StudentSettings, TrialSettings


@click.group("student")
def student() -> None:
    """A language model that is fine-tuned on selections, and measured on held-out items."""


@student.command()
@click.argument("selection", metavar="SELECTION")
@grouped(
    "settings",
    TrainSettings,
    click.option("-o", "--out", type=DIRECTORY, required=True, help="Folder of the student."),
    dev_option,
    click.option(
        "--test", metavar="FILE", help="Train on none of these items: refuse, or --drop-leaks."
    ),
    setting("seed", "Of the order of the items and of the adapter."),
    drop_leaks_option,
    columns_option,
)
@student_options
@dry_run_option
@local_options
def train(
    selection: str, settings: TrainSettings, student: StudentSettings, dry_run: bool, local: Local
) -> None:
    """Fine-tune a student on SELECTION, a pool file with responses.

    Writes a peft adapter and a manifest to a folder. Run again, it goes on after the last whole
    epoch, and ends with the same adapter.
    """
    from selectllm.report.student import trained_text

    session = open_session(local.common(), Path.cwd())
    if dry_run:
        plan = finished(training.plan_training(selection, settings, student, session=session))
        return show_plan({"training": plan}, json=local.as_json)
    trained = finished(training.train(selection, settings, student, session=session))
    results = trained.results
    click.echo(
        canonical_json(results.to_json())
        if local.as_json
        else trained_text(results, trained.dev_items)
    )


@student.command()
@click.argument("folder", metavar="[DIR]", type=DIRECTORY, required=False)
@grouped(
    "settings",
    ScoreSettings,
    test_option,
    click.option("-o", "--out", type=FILE, help="Write losses and gains to FILE, as JSON."),
    click.option(
        "--answers", type=FILE, help="Let the student answer; write what it says to FILE (JSONL)."
    ),
    click.option(
        "--new-tokens", type=int, help=f"Of an answer at most, with --answers [{NEW_TOKENS}]."
    ),
    click.option(
        "--encoder",
        metavar="NAME",
        help="Of the cosines of --answers: a sentence-transformers model [all-MiniLM-L6-v2].",
    ),
    columns_option,
)
@grouped(
    "base",
    BaseSettings,
    click.option(
        "--model", help=f"The base model, or where DIR's is now [DIR's, or {DEFAULT.model}]."
    ),
    click.option("--mode", type=click.Choice(["fast", "full"]), help="[DIR's, or fast]"),
    click.option("--max-length", type=int, help="Tokens of an item [DIR's, or 512]."),
)
@reports.reports(StudentScores)
@dry_run_option
@local_options
def score(
    folder: Path | None,
    settings: ScoreSettings,
    encoder: str | None,
    base: BaseSettings,
    dry_run: bool,
    local: Local,
) -> None:
    """Held-out loss of the student in DIR, and of its base model.

    Without DIR the base model alone is scored. Test items are laid out and cut as they would be
    in training; those that the student was trained on are refused.
    """
    session = open_session(local.common(encoder), Path.cwd())
    if dry_run:
        plan = finished(scoring.plan_scoring(folder, settings, base, session=session))
        return show_plan({"scoring": plan}, json=local.as_json)
    scores = finished(scoring.score(folder, settings, base, session=session))
    if not reports.write_reports(scores.results):
        reports.show(scores.results, as_json=local.as_json)


@student.command()
@click.argument("sets_folder", metavar="SETS_FOLDER", type=click.Path(path_type=Path))
@grouped(
    "settings",
    ComparedSets,
    click.option("--pool", metavar="FILE", required=True, help="What the sets were selected from."),
    click.option("-o", "--out", type=DIRECTORY, help="Folder to write [SETS_FOLDER/students]."),
    columns_option,
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
    primary_option("The gain that verdicts are about; name it before you look."),
    drop_leaks_option,
)
@trial_options
@student_options
@reports.reports(StudentsCompared)
@dry_run_option
@local_options
def compare(
    sets_folder: Path,
    settings: ComparedSets,
    trials: TrialSettings,
    student: StudentSettings,
    dry_run: bool,
    local: Local,
) -> None:
    """Train a student on every set in SETS_FOLDER, beside random sets of the same size.

    Every set is trained with each seed and scored on the same held-out responses. Finished
    trainings are kept in the cache: run again, or with more selectors, seeds or random sets, it
    goes on.
    """
    session = open_session(local.common(), sets_folder.resolve())
    asked = (sets_folder, settings, trials, student)
    if dry_run:
        plan = finished(comparing_students.plan_comparison(*asked, session=session))
        rate = {} if plan.rate is None else {"learning rate": plan.rate}
        return show_plan(rate | {"trials": plan.trials}, json=local.as_json)
    compared = finished(comparing_students.compare_students(*asked, session=session))
    if not reports.write_reports(compared.results, session.workspace):
        reports.show(compared.results, as_json=local.as_json)
    if not local.as_json:
        session.note(f"folder: {compared.folder}")
