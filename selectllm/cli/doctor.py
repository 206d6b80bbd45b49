"""`selectllm doctor`: what is installed, set and kept here, and whether it is whole."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.cli.option_words import example
from selectllm.cli.options import AS_JSON, CACHE, ENV_FILE, Common
from selectllm.cli.session import open_session
from selectllm.cli.terminal import say
from selectllm.jobs.sync import finished


@click.command(epilog=example("doctor"))
@AS_JSON
@ENV_FILE
@CACHE
@click.pass_context
def doctor(ctx: click.Context, as_json: bool, env_file: Path | None, cache: Path | None) -> None:
    """Show versions, API keys that are set, extras, embedded models and the state of the cache.

    Nothing is sent, and only the names of keys are shown. Exit codes: 0 all is well; 1 something
    that is installed is broken.
    """
    from selectllm.jobs.diagnosis import diagnose

    session = open_session(Common(env_file=env_file, cache=cache), Path.cwd())
    found = finished(diagnose(session.workspace))
    say(found, as_json=as_json)
    ctx.exit(1 if found.problems else 0)
