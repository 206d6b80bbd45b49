"""`selectllm verify`: whether the figures of a run follow from its folder."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.cli.option_words import example
from selectllm.cli.options import AS_JSON
from selectllm.cli.terminal import say


@click.command(epilog=example("verify eval/runs/NAME"))
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@AS_JSON
@click.pass_context
def verify(ctx: click.Context, folder: Path, as_json: bool) -> None:
    """Compute every figure of the run in the folder RUN again, and list those that differ.

    No model is loaded or asked.

    Exit codes: 0 all figures are the same; 1 at least one differs.
    """
    from selectllm.evaluation.runs.verify import verification

    done = verification(folder)
    say(done, as_json=as_json)
    ctx.exit(1 if done.differences else 0)
