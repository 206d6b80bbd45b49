"""`selectllm verify`: whether the figures of a run follow from its folder."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.core.codec import canonical_json
from selectllm.core.shown import visible
from selectllm.evaluation.runs.verify import RESULTS, Verification, verification

LISTED = 20


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Machine output alone on stdout.")
@click.pass_context
def verify(ctx: click.Context, folder: Path, as_json: bool) -> None:
    """Compute every figure of the run in folder RUN anew, and name any that differs.

    No model is loaded or asked. Exit code 1 if anything differs.
    """
    done = verification(folder)
    click.echo(canonical_json(done.to_json()) if as_json else visible(_told(done)))
    ctx.exit(1 if done.differences else 0)


def _told(done: Verification) -> str:
    """The first differences, one a line; or that there are none."""
    if not done.differences:
        return f"all {done.figures} figures of {RESULTS} follow from the folder"
    lines = [difference.text for difference in done.differences[:LISTED]]
    if (more := len(done.differences) - LISTED) > 0:
        lines.append(f"... and {more} more; --json lists them all")
    return "\n".join(lines)
