"""`selectllm ab`: is one selector better than another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import click

from selectllm.cli.comparing import finish, halves, narrowed
from selectllm.cli.evaluation import (
    Call,
    Evaluating,
    carry_out,
    evaluating_options,
    folder_of,
    open_run,
)
from selectllm.cli.options import Common, common_options, grouped
from selectllm.cli.reports import reports
from selectllm.cli.session import open_session
from selectllm.core.errors import UsageError
from selectllm.evaluation.comparison.ab import looks_of, why_fixed
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.runs.execute import tasks
from selectllm.evaluation.runs.run import Run, is_begun
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.suite import load_suite
from selectllm.models.wrappers.recorded import read_pack
from selectllm.selection.ask import first_request


@dataclass(frozen=True, slots=True)
class AbOptions:
    """What `ab` is told of its arms and its design."""

    a: str
    b: tuple[str, ...]
    prompt: str | None
    model: str | None
    design: str
    differing: bool


ab_options = grouped(
    "options",
    AbOptions,
    click.option("--a", required=True, metavar="ARM", help="The arm to be compared with."),
    click.option(
        "--b", required=True, multiple=True, metavar="ARM", help="An arm to be judged; repeatable."
    ),
    click.option("--prompt", metavar="P", help="Prompt of arms that name only a model."),
    click.option("--model", metavar="M", help="Model of arms that name only a prompt."),
    click.option(
        "--design",
        type=click.Choice(["fixed", "sequential"]),
        default="fixed",
        show_default=True,
        help="sequential: look at the clusters so far in between, stop once decided.",
    ),
    click.option(
        "--differing",
        is_flag=True,
        help="Decide by ratings of only the items that exactly one arm picked.",
    ),
)


@click.command()
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@ab_options
@evaluating_options
@reports(RunResults)
@common_options
def ab(suite_file: Path, options: AbOptions, evaluating: Evaluating, common: Common) -> None:
    """Say whether arm B selects better than arm A, on the clusters of SUITE.

    An ARM is a prompt of the suite, a model of it, PROMPT+MODEL, or strategy:NAME. Exit code: 0
    better or equivalent, 1 worse, 3 inconclusive.
    """
    suite = evaluating.applied(load_suite(suite_file))
    base = suite_file.resolve().parent
    session = open_session(common, base)
    made_of = halves(session, suite, base).with_default(prompt=options.prompt, model=options.model)
    arms = (made_of.arm("--a", options.a), *(made_of.arm("--b", name) for name in options.b))
    if len(set(arms)) < len(arms):
        raise UsageError(
            f"--a and --b: {', '.join(arm.name for arm in arms)} has an arm twice; compare "
            "different arms, or see an arm's own noise with selectllm aa"
        )
    suite = narrowed(session, suite, base, arms)
    comparison = ComparisonDesign("ab", arms, differing=options.differing)
    named = (f"{arm.prompt}+{arm.model}" if arm.prompt else arm.name for arm in arms)
    words = [f"--{'b' if number else 'a'}={name}" for number, name in enumerate(named)]
    call = Call(session, suite, base, evaluating, ("ab", str(suite_file), *words))
    run = open_run(session, suite, base, comparison)
    if options.design == "sequential":
        run = _sequential(call, run, comparison)
    finish(session, *carry_out(call, run))


def _sequential(call: Call, run: Run, comparison: ComparisonDesign) -> Run:
    """The run with the looks of a sequential design, or why it has none."""
    why = why_fixed(run.inputs)
    if why is None:
        looking = replace(run, comparison=replace(comparison, looks=looks_of(run.inputs)))
        # What was begun goes on as it was designed, though its replies are all cached by now.
        if is_begun(folder_of(call, looking), looking) or not _all_known(call, run):
            return looking
        why = "every reply is recorded or cached, so there are no calls to save"
    call.session.note(f"note: a fixed design is used ({why})")
    return replace(run, comparison=replace(comparison, why=why))


def _all_known(call: Call, run: Run) -> bool:
    """Whether the first reply to every question, of every ballot, is recorded or cached already."""
    pack = read_pack(call.base / call.suite.replies) if call.suite.replies else {}
    questions = (question for task in tasks(run) for question in task.questions)
    keys = (first_request(question, call.settings).key for question in questions)
    return all(key in pack or call.session.cache.get(key) is not None for key in keys)
