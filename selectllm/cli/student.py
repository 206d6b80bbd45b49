"""`selectllm student`: a language model that is fine-tuned on selections, and measured."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import (
    DIRECTORY,
    ENCODER,
    FILE,
    engine_options,
    grouped,
    map_option,
    test_map_option,
)
from selectllm.cli.reports import reports, tell
from selectllm.cli.session import open_session, real
from selectllm.cli.student_options import (
    LOADED,
    Local,
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
from selectllm.cli.terminal import say
from selectllm.downstream.student.config import NEW_TOKENS
from selectllm.jobs.sync import finished
from selectllm.jobs.training_options import (
    DEFAULT,
    BaseSettings,
    ComparedSets,
    ScoreSettings,
    StudentSettings,
    TrainSettings,
    TrialSettings,
)
from selectllm.report.next_steps import command, looked_at


@click.group("student")
def student() -> None:
    """Fine-tune a small language model (a student) on selections, and measure what it learned."""


@student.command(epilog=example("student train pool.selected.jsonl --test test.jsonl -o student"))
@click.argument("selection", metavar="SELECTION")
@grouped(
    "settings",
    TrainSettings,
    option("-o", "--out", type=DIRECTORY, required=True),
    dev_option,
    option(
        "--test",
        help="Refuse to train on the items of this file, or leave them out with --drop-leaks.",
    ),
    setting("seed"),
    drop_leaks_option,
    map_option,
    test_map_option,
)
@student_options
@dry_run_option
@local_options
def train(
    selection: str, settings: TrainSettings, student: StudentSettings, dry_run: bool, local: Local
) -> None:
    """Fine-tune a student on SELECTION, a pool file with responses.

    The command writes a peft adapter and a manifest to a folder. If it was stopped, run it again to
    continue after the last complete epoch. The adapter will be the same.
    """
    from selectllm.jobs import training

    session = open_session(local.common(), Path.cwd())
    if dry_run:
        plan = finished(training.plan_training(selection, settings, student, session=session))
        return show_plan({"training": plan}, json=local.as_json)
    trained = finished(training.train(selection, settings, student, session=session))
    say(trained, as_json=local.as_json)
    if not local.as_json:
        words = command("student", "score", settings.out, "--test", settings.test or "TEST.jsonl")
        session.note(f"To measure it on held-out items, run: {words}")


@student.command(epilog=example("student score student --test test.jsonl"))
@click.argument("folder", metavar="[DIR]", type=DIRECTORY, required=False)
@grouped(
    "settings",
    ScoreSettings,
    test_option,
    option("-o", "--out", type=FILE, show_default="stdout only"),
    option(
        "--answers",
        type=FILE,
        help="Let the student answer the items, and write its answers to this file (JSONL).",
    ),
    option(
        "--new-tokens",
        type=int,
        show_default=str(NEW_TOKENS),
        help="With --answers: end an answer after N tokens.",
    ),
    ENCODER,
    map_option,
)
@grouped(
    "base",
    BaseSettings,
    option("--model", help=LOADED, show_default=f"the student's, or {DEFAULT.model}"),
    option("--mode", type=click.Choice(["fast", "full"]), show_default="the student's, or fast"),
    option("--max-length", type=int, show_default="the student's, or 512"),
)
@reports("StudentScores")
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
    """Measure the loss of the student in DIR, and of its base model, on held-out items.

    Without DIR, only the base model is scored. Test items are formatted and cut as in training.
    The command refuses test items that the student was trained on.
    """
    from selectllm.jobs import scoring

    session = open_session(local.common(encoder), Path.cwd())
    if dry_run:
        plan = finished(scoring.plan_scoring(folder, settings, base, session=session))
        return show_plan({"scoring": plan}, json=local.as_json)
    scores = finished(scoring.score(folder, settings, base, session=session))
    tell(scores.results, session)


@student.command(
    epilog=example("student compare eval/runs/SETS --pool pool.jsonl --test test.jsonl")
)
@click.argument("sets_folder", metavar="SETS_FOLDER", type=click.Path(path_type=Path))
@grouped(
    "settings",
    ComparedSets,
    option("--pool", required=True, help="The pool that the sets were selected from."),
    option("-o", "--out", type=DIRECTORY, show_default="SETS_FOLDER/students"),
    map_option,
    option("--budget", type=click.IntRange(1), show_default="the only one"),
    option(
        "--random",
        type=click.IntRange(2),
        default=8,
        help="The number of random sets to compare with.",
    ),
    option("--only", multiple=True),
    option(
        "--matched",
        multiple=True,
        metavar="SELECTOR",
        show_default="all",
        help="Also compare this selector with random items of as many tokens; none turns that off.",
    ),
    primary_option,
    drop_leaks_option,
)
@trial_options
@student_options
@reports("StudentsCompared")
@dry_run_option
@engine_options
@local_options
def compare(
    sets_folder: Path,
    settings: ComparedSets,
    trials: TrialSettings,
    student: StudentSettings,
    dry_run: bool,
    local: Local,
) -> None:
    """Train a student on every set in SETS_FOLDER, and on random sets of the same size.

    Every set is trained with each seed and scored on the same held-out responses. Finished
    trainings are kept in the cache, so the command trains only what is missing if you run it again.
    """
    from selectllm.jobs import comparing_students

    session = open_session(local.common(), real(sets_folder))
    asked = (sets_folder, settings, trials, student)
    if dry_run:
        plan = finished(comparing_students.plan_comparison(*asked, session=session))
        rate = {} if plan.rate is None else {"learning rate": plan.rate}
        return show_plan(rate | {"trials": plan.trials}, json=local.as_json)
    compared = finished(comparing_students.compare_students(*asked, session=session))
    tell(compared.results, session)
    if not local.as_json:
        session.note(f"The comparison is in {compared.folder}.")
        session.note(looked_at(compared.folder))
