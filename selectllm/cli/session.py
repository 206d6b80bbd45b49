"""From the common options to a session: whose watcher is the terminal, closed with the command."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click

from selectllm.cli.options import Common, engine_settings
from selectllm.cli.terminal import Terminal
from selectllm.core.files import real as real
from selectllm.jobs.session import Session
from selectllm.jobs.session_settings import SessionSettings

SETTINGS = tuple(field.name for field in fields(SessionSettings))


class CommandSession(Session):
    """A session that knows its command's options."""

    common: Common


def open_session(common: Common, start: Path) -> CommandSession:
    """The session of a command that works around the folder `start`; closed when it ends."""
    settings = {name: getattr(common, name) for name in SETTINGS}
    session = CommandSession(
        start=start, watcher=Terminal(common.quiet), engine=engine_settings().opened(), **settings
    )
    session.common = common
    if context := click.get_current_context(silent=True):  # none when a script opens a session
        context.call_on_close(session.close)
    return session
