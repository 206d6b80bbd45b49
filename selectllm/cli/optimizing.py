"""What both kinds of `optimize` share: options, checks of suite and parent, how they end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from selectllm.cli.exit_codes import INCONCLUSIVE
from selectllm.cli.options import DIRECTORY, grouped
from selectllm.cli.session import CommandSession
from selectllm.core.codec import canonical_json, sha256_json
from selectllm.core.errors import PromptError, UsageError, UtilityError
from selectllm.core.files import write_text
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.runs.run import Run
from selectllm.evaluation.suite import Suite
from selectllm.jobs.comparing import halves, narrowed
from selectllm.jobs.evaluating import Evaluating, open_run
from selectllm.jobs.gating import nearby
from selectllm.optimization.gepa_report import write_version
from selectllm.optimization.schema import Optimized
from selectllm.prompting.library import PromptLibrary
from selectllm.prompting.prompt import Prompt

if TYPE_CHECKING:
    from rich.console import RenderableType


Told = TypeVar("Told", bound=Optimized)


@dataclass(frozen=True, slots=True)
class OptimizeOptions:
    """What `optimize` is told besides its suite."""

    prompt: str | None
    model: str | None
    grid: bool
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
        "--grid", is_flag=True, help="Try the values that the prompt's variables declare."
    ),
    click.option(
        "--teacher", metavar="MODEL", help="Who rewrites: a model of the suite or an id [M]."
    ),
    click.option(
        "--budget",
        type=click.IntRange(1),
        metavar="DECISIONS",
        help="The most that the search may take; measuring what it found on all training clusters "
        "and the confirmation come on top, and are told beforehand.",
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


def prompts_folder(session: CommandSession) -> Path:
    """Where the new version is to be written."""
    if session.workspace.prompts is None:
        raise UsageError(
            "optimize writes into prompts/ of a workspace, and the suite is in none; make one "
            "with selectllm init, or name a folder with --prompts"
        )
    return session.workspace.prompts


def arm_of(suite: Suite, prompts: Mapping[str, Prompt], options: OptimizeOptions) -> Arm:
    """The prompt to be improved and its model, in a suite that can score them."""
    made_of = halves(suite, prompts).with_default(prompt=options.prompt, model=options.model)
    arm = made_of.only()
    if not suite.utilities:
        raise UtilityError(
            "optimize needs a utility to score decisions by, and the suite has none; add one "
            "under `utilities:`, or get ratings with selectllm utility ask"
        )
    return arm


def run_of(session: CommandSession, suite: Suite, prompts: Mapping[str, Prompt], arm: Arm) -> Run:
    """The run of `arm` alone. Raises PromptError if its prompt is no version of one."""
    suite = narrowed(suite, prompts, [arm])
    run = open_run(session, suite, ComparisonDesign("ab", (arm,)), prompts=prompts)
    parent = run.selectors[0].prompt
    if parent.version == 0:
        raise PromptError(
            f"--prompt {parent.path}: is no version of a prompt, so there is no next one; run "
            f"selectllm prompts new {parent.name} --from {parent.path}"
        )
    return run


def search_folder(
    session: CommandSession, options: OptimizeOptions, suite: str, manifest: Mapping[str, Any]
) -> Path:
    """Where the search of `manifest` is kept: --out, or a folder of its own among the runs."""
    name = f"optimize-{suite}-{sha256_json(manifest)[:12]}"
    return options.out or session.workspace.runs / name


def keep(folder: Path, prompts: Path, parent: str, text: str, *, as_version: bool) -> str | None:
    """Keep the winner's file with the search; as a version of `parent`, too: its reference."""
    write_text(folder / "winner.jinja", text)
    if not as_version:
        return None
    name, _, _ = parent.rpartition("@")
    return write_version(PromptLibrary(prompts), prompts, name, text)


def conclude(
    session: CommandSession,
    told: Told,
    folder: Path,
    rendered: Callable[[Told], RenderableType],
) -> None:
    """Write and print what came of it, and end with its exit code.

    Printed as JSON alone, or as tables with what was spent.
    """
    told.write(folder / "optimize.json")
    if session.common.as_json:
        click.echo(canonical_json(told.to_json()))
    else:
        from rich.console import Console

        Console().print(rendered(told))
        unpriced = session.ledger.unpriced_calls
        note = f" ({unpriced} calls are not priced)" if unpriced else ""
        session.note(f"spent {session.ledger.spent:.4f} USD{note}; folder: {nearby(folder)}")
    word = told.verdict and told.verdict.word
    click.get_current_context().exit(INCONCLUSIVE if word == "inconclusive" else 0)
