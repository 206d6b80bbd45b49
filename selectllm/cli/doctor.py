"""`selectllm doctor`: what is installed, set and kept here, and whether it is whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selectllm.cli.option_words import example
from selectllm.cli.options import AS_JSON, CACHE, ENV_FILE, Common
from selectllm.cli.session import open_session
from selectllm.core.codec import canonical_json
from selectllm.core.shown import visible
from selectllm.jobs.sync import finished

if TYPE_CHECKING:
    from selectllm.jobs.diagnosis import Diagnosis, InstalledPart


@click.command(epilog=example("doctor"))
@AS_JSON
@ENV_FILE
@CACHE
@click.pass_context
def doctor(ctx: click.Context, as_json: bool, env_file: Path | None, cache: Path | None) -> None:
    """Tell versions, keys that are set, extras, embedded models and the state of the cache.

    Nothing is sent, and of keys only the names are shown. Exit code 1 if something that is
    installed is broken.
    """
    from selectllm.jobs.diagnosis import diagnose

    session = open_session(Common(env_file=env_file, cache=cache), Path.cwd())
    found = finished(diagnose(session.workspace))
    if as_json:
        click.echo(canonical_json(found.to_json()))
    else:
        click.echo(visible("\n".join(_told(found))))
    ctx.exit(1 if found.problems else 0)


def _told(found: Diagnosis) -> Iterator[str]:
    yield "Versions"
    for name, version in found.versions.items():
        yield f"  {name}  {version or 'not installed'}"
    yield "Keys that are set (their values are not shown)"
    yield f"  {', '.join(found.keys) or 'none'}"
    yield "Extras"
    yield from map(_part, found.extras)
    yield "Embedded models"
    yield from map(_part, found.models)
    yield f"Workspace  {found.workspace}"
    yield f"Reply cache  {found.cache}: {found.replies} replies that are whole"
    for problem in found.problems:
        yield f"Problem: {problem}"
    yield "Something is broken; see above." if found.problems else "Nothing is broken."


def _part(part: InstalledPart) -> str:
    brings = f"; to have it, run: {part.fix}" if part.state == "missing" else ""
    return f"  {part.name}  {part.state}{brings}"
