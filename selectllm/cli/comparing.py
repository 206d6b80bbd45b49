"""What the verbs that compare share: from named arms to a run that holds just them, and the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from selectllm.cli.evaluation import show
from selectllm.cli.exit_codes import exit_code
from selectllm.cli.session import CommandSession
from selectllm.evaluation.comparison.arms import Arm, Halves
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.suite import Suite
from selectllm.models.providers.providers import provider_of, takes_schema
from selectllm.prompting.replies.formats import reply_format
from selectllm.selection.strategies import find_strategy


def halves(session: CommandSession, suite: Suite, base: Path) -> Halves:
    """What the arms of a suite are made of."""
    references = {
        reference: session.library.load(reference, base).ref for reference in suite.prompts
    }
    return Halves(references, [spec.name for spec in suite.specs()])


def narrowed(session: CommandSession, suite: Suite, base: Path, arms: Sequence[Arm]) -> Suite:
    """The suite with the prompts of `arms` alone; its models may be named by strategies, too.

    Structured output is used for all of them or for none: it would be a head start.
    """
    for arm in arms:
        if arm.strategy is not None:
            find_strategy(arm.strategy, base)
    prompts = {reference: session.library.load(reference, base) for reference in suite.prompts}
    wanted = {arm.prompt for arm in arms}
    with_schema = {p.ref for p in prompts.values() if reply_format(p.reply).schema}
    specs = {spec.name: spec for spec in suite.specs()}
    asked = [specs[arm.model] for arm in arms if arm.model and arm.prompt in with_schema]
    # The embedded model's replies are constrained in any case.
    constrained = {provider_of(spec).constrained or takes_schema(spec) for spec in asked}
    return suite.model_copy(
        update={
            "prompts": tuple(name for name, prompt in prompts.items() if prompt.ref in wanted),
            "structured": "off" if len(constrained) > 1 else suite.structured,
        }
    )


def finish(session: CommandSession, found: RunResults, folder: Path) -> None:
    """Print the results and end with the exit code of their verdicts."""
    show(session, found, folder)
    code = exit_code(found.words)
    click.get_current_context().exit(code)
