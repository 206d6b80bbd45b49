"""`selectllm rounds`: what every round of annotation selected."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.cli.option_words import example
from selectllm.cli.options import AS_JSON
from selectllm.cli.terminal import say
from selectllm.jobs.sync import finished


@click.command(epilog=example("rounds rounds.jsonl"))
@click.argument("log", metavar="LOG", type=click.Path(path_type=Path))
@AS_JSON
def rounds(log: Path, as_json: bool) -> None:
    """List the rounds that select --rounds LOG selected, and what they cover of the pool."""
    from selectllm.jobs.rounds import rounds as read

    say(finished(read(log)), as_json=as_json)
