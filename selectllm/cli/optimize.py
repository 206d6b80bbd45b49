"""`selectllm optimize`: search a better prompt, and confirm it on clusters never seen."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from selectllm.arms import Arm
from selectllm.cli.comparing import halves, narrowed
from selectllm.cli.evaluation import OLLAMA, Evaluating, asking, open_run, shorter
from selectllm.cli.named_model import named_model
from selectllm.cli.options import DIRECTORY, Common, ModelOptions, common_options, grouped
from selectllm.cli.session import Session, open_session
from selectllm.codec import canonical_json, pretty_json, sha256_json
from selectllm.connect import Connections, open_selector, settled
from selectllm.endpoint import api_key, key_variable
from selectllm.errors import ModelError, PromptError, ReplyMissing, UsageError, UtilityError
from selectllm.evidence import Comparison
from selectllm.files import write_text
from selectllm.matrix import context_needed
from selectllm.model import ModelSpec
from selectllm.optimize.job import Job, Outcome, carry_out
from selectllm.optimize.outcome import Plan, report, version_file, write_version
from selectllm.optimize.program import load_dspy
from selectllm.optimize.search import SHOWN, check_budget, default_budget
from selectllm.optimize.splits import Splits, split
from selectllm.optimize.template import system_text
from selectllm.pack import read_pack
from selectllm.prompt import Prompt
from selectllm.prompt_library import PromptLibrary
from selectllm.run import Run
from selectllm.suite import Suite, load_suite

INCONCLUSIVE = 3
TEACHER_TOKENS = 4096  # room for a reply of a teacher that the suite does not name
# Who cannot be asked without a key; others may have a log-in of their own, or need none.
KEYED = (
    *("openai", "anthropic", "gemini", "mistral", "groq", "xai", "deepseek", "openrouter"),
    *("together_ai", "fireworks_ai", "perplexity", "cohere", "cohere_chat"),
)


@dataclass(frozen=True, slots=True)
class OptimizeOptions:
    """What `optimize` is told besides its suite."""

    prompt: str | None
    model: str | None
    teacher: str | None
    budget: int | None
    demonstrations: int
    force: bool
    out: Path | None
    seed: int | None
    limit: int | None

    def applied(self, suite: Suite) -> Suite:
        """The suite with what the command line says instead."""
        return Evaluating(seed=self.seed, limit=self.limit).applied(suite)


optimize_options = grouped(
    "options",
    OptimizeOptions,
    click.option("--prompt", metavar="P", help="The prompt to improve [the suite's only one]."),
    click.option("--model", metavar="M", help="The model to improve it for [the suite's only]."),
    click.option(
        "--teacher", metavar="MODEL", help="Who rewrites: a model of the suite or an id [M]."
    ),
    click.option(
        "--budget",
        type=click.IntRange(1),
        metavar="CALLS",
        help="The most decisions the search may take; the confirmation comes on top.",
    ),
    click.option(
        "--demonstrations",
        type=click.IntRange(0, 20),
        default=0,
        show_default=True,
        help="Worked examples to try with the best text, from training clusters.",
    ),
    click.option("--force", is_flag=True, help="Write what was found though it is not better."),
    click.option("-o", "--out", type=DIRECTORY, help="Folder of the search [eval/runs/...]."),
    click.option("--seed", type=int, help="Instead of the suite's seed."),
    click.option("--limit", type=click.IntRange(1), help="Only the first clusters."),
)


@click.command()
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@optimize_options
@common_options
def optimize(suite_file: Path, options: OptimizeOptions, common: Common) -> None:
    """Search a better prompt on some clusters of SUITE, and confirm it on others.

    The next version is written only if it is better there than its parent, or with --force. Exit
    code: 0 written, or nothing better found; 3 inconclusive.
    """
    load_dspy()
    suite = options.applied(load_suite(suite_file))
    base = suite_file.resolve().parent
    session = open_session(common, base)
    prompts = _prompts(session)
    job = _checked(session, suite, base, options)
    try:
        with asyncio.Runner() as runner:
            came = carry_out(job, runner, session.progress)
    except ReplyMissing as error:
        words = shlex.join(_words(suite_file, options))
        raise ReplyMissing(f"{error}. Ask for them: {words}") from None
    told = report(job.plan, job.splits, came.found, came.seen, came.confirmation)
    told["written"] = _written(job, prompts, came, options.force)
    write_text(job.folder / "optimize.json", pretty_json(told))
    _show(session, told, job.folder)
    word = told["verdict"] and told["verdict"]["word"]
    click.get_current_context().exit(INCONCLUSIVE if word == "inconclusive" else 0)


def _prompts(session: Session) -> Path:
    """Where the new version is to be written."""
    if session.workspace.prompts is None:
        raise UsageError(
            "optimize writes into prompts/ of a workspace, and the suite is in none; make one "
            "with selectllm init, or name a folder with --prompts"
        )
    return session.workspace.prompts


def _checked(session: Session, suite: Suite, base: Path, options: OptimizeOptions) -> Job:
    """Everything that can be wrong, before anything is asked."""
    arm = _arm(session, suite, base, options)
    if not suite.utilities:
        raise UtilityError(
            "optimize needs a utility to score decisions by, and the suite has none; add one "
            "under `utilities:`, or get ratings with selectllm utility ask"
        )
    known = {spec.name: spec for spec in suite.specs()}
    teacher = _teacher(options.teacher or arm.model or "", known, session)
    suite = narrowed(session, suite, base, [arm])
    run = open_run(session, suite, base, Comparison("ab", (arm,)))
    _check_parent(run.selectors[0].prompt)
    assert run.headline is not None
    splits = split(run.clusters, run.headline.values, suite.picks, suite.seed)
    budget = default_budget(splits) if options.budget is None else options.budget
    check_budget(budget, splits, options.demonstrations)
    return _job(session, run, base, splits, teacher, replace(options, budget=budget))


def _check_parent(parent: Prompt) -> None:
    """It is a version of a prompt, and its system text can be rewritten."""
    if parent.version == 0:
        raise PromptError(
            f"--prompt {parent.path}: is no version of a prompt, so there is no next one; run "
            f"selectllm prompts new {parent.name} --from {parent.path}"
        )
    system_text(parent)


def _job(
    session: Session,
    run: Run,
    base: Path,
    splits: Splits,
    teacher: ModelSpec,
    options: OptimizeOptions,
) -> Job:
    """The job, in its folder."""
    parent = run.selectors[0]
    shared = _connections(session, run, base, teacher, options)
    plan = Plan(
        parent=parent.prompt.ref,
        model=parent.spec.name,
        teacher=teacher.name,
        seed=run.suite.seed,
        budget=options.budget or 0,
        demonstrations=options.demonstrations,
    )
    job = Job(
        run=replace(run, selectors=(open_selector(parent.prompt, parent.spec, shared),)),
        splits=splits,
        plan=plan,
        teacher=teacher,
        shared=shared,
        settings=asking(session, run.suite),
        embedder=session.embedder().of_pool(run.pool),
        folder=options.out or Path(),
    )
    if options.out is not None:
        return job
    name = f"optimize-{run.suite.name}-{sha256_json(job.manifest)[:12]}"
    return replace(job, folder=session.workspace.runs / name)


def _arm(session: Session, suite: Suite, base: Path, options: OptimizeOptions) -> Arm:
    made_of = halves(session, suite, base).with_default(prompt=options.prompt, model=options.model)
    if made_of.prompt is None or made_of.model is None:
        lacking = "--prompt" if made_of.prompt is None else "--model"
        names = set(made_of.prompts.values()) if lacking == "--prompt" else made_of.models
        several = f"several: {', '.join(sorted(names))}; say which one" if names else "none"
        raise UsageError(f"{lacking}: the suite has {several}")
    return Arm(made_of.prompt, made_of.model)


def _teacher(name: str, known: Mapping[str, ModelSpec], session: Session) -> ModelSpec:
    """A model of the suite as it stands there, or any other by its id.

    Raises ModelError for one that has no key though its provider takes one.
    """
    spec = known.get(name)
    if spec is None:
        spec = named_model(name, ModelOptions(None, ()))
        spec = replace(spec, temperature=1.0, max_tokens=TEACHER_TOKENS)
    spec = settled(spec)
    if session.common.offline or spec.provider not in KEYED:
        return spec
    if api_key(spec, os.environ) is None:
        raise ModelError(
            f"--teacher {spec.name}: no key for it; set {key_variable(spec)}, or name another "
            "teacher"
        )
    return spec


def _connections(
    session: Session, run: Run, base: Path, teacher: ModelSpec, options: OptimizeOptions
) -> Connections:
    """What task model and teacher share; room in Ollama for the longest that may be shown."""
    assert run.headline is not None
    longest = None
    if any(spec.provider in OLLAMA for spec in (run.selectors[0].spec, teacher)):
        longest = context_needed(run) * (1 + max(SHOWN, options.demonstrations))
    pack = read_pack(base / run.suite.replies) if run.suite.replies else None
    return session.connections(pack=pack, utility=run.headline.values, num_ctx=longest)


def _words(suite_file: Path, options: OptimizeOptions) -> list[str]:
    """The command that was called, without what only this call was told."""
    words = ["selectllm", "optimize", str(suite_file)]
    for name in ("prompt", "model", "teacher", "budget", "demonstrations", "out", "seed", "limit"):
        if (value := getattr(options, name)) not in (None, 0):
            words += [f"--{name}", str(value)]
    return words


def _written(job: Job, prompts: Path, came: Outcome, force: bool) -> str | None:
    """Keep the winner with the search; as a version, too, if it has earned that: its reference."""
    if came.confirmation is None:
        return None
    verdict = came.confirmation.verdict
    text = version_file(job.plan, job.splits, came.found, came.winner, verdict)
    write_text(job.folder / "winner.jinja", text)
    if verdict["word"] != "better" and not force:
        return None
    return write_version(PromptLibrary(prompts), prompts, came.winner.name, text)


def _show(session: Session, told: Mapping[str, Any], folder: Path) -> None:
    """Print what came of it: as JSON alone, or as tables with what was spent."""
    if session.common.as_json:
        click.echo(canonical_json(told))
        return
    from rich.console import Console

    from selectllm.optimize.tables import render_report

    Console().print(render_report(told))
    unpriced = session.ledger.unpriced_calls
    note = f" ({unpriced} calls are not priced)" if unpriced else ""
    session.note(f"spent {session.ledger.spent:.4f} USD{note}; folder: {shorter(folder)}")
