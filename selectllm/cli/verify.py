"""`selectllm verify`: whether the figures of a run follow from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from selectllm.cli.option_words import example
from selectllm.cli.options import AS_JSON
from selectllm.core.codec import canonical_json
from selectllm.core.shown import visible

if TYPE_CHECKING:
    from selectllm.evaluation.runs.verify import Verification

LISTED = 20


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
    click.echo(canonical_json(done.to_json()) if as_json else visible(_told(done)))
    ctx.exit(1 if done.differences else 0)


def _told(done: Verification) -> str:
    """The first differences, one a line; or that there are none."""
    from selectllm.evaluation.runs.verify import RESULTS

    if not done.differences:
        return f"All {done.figures} figures in {RESULTS} follow from the files of the run."
    lines = [difference.text for difference in done.differences[:LISTED]]
    if (more := len(done.differences) - LISTED) > 0:
        lines.append(f"There are {more} more. To list them all, use --json.")
    return "\n".join(lines)
