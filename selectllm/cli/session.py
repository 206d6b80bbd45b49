"""From the common options to a session: whose watcher is the terminal, closed with the command."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import click

from selectllm.cli.options import Common, engine_settings
from selectllm.cli.terminal import Terminal
from selectllm.core.types import Decision
from selectllm.jobs.session import Session
from selectllm.jobs.session_settings import SessionSettings

SETTINGS = tuple(field.name for field in fields(SessionSettings))


class CommandSession(Session):
    """A session that knows its command's options."""

    common: Common

    @property
    def spent(self) -> str:
        """What the command has spent, as the beginning of a note."""
        ledger, doubts = self.ledger, []
        if ledger.unpriced_calls:
            doubts.append(f"{ledger.unpriced_calls} calls have no known price")
        if ledger.assumed_calls:
            doubts.append(
                f"{ledger.assumed_calls} calls did not say what they cost and are counted at the "
                "most "
                f"that they can cost, {ledger.assumed:.4f} USD"
            )
        return f"cost {ledger.spent:.4f} USD" + (f" ({'; '.join(doubts)})" if doubts else "")

    def note_tries(self, decisions: Iterable[Decision]) -> None:
        """Tell how the provider behind `decisions` failed and was waited for, if it did."""
        from selectllm.report.tries import tries_told

        told = tries_told(attempt for decision in decisions for attempt in decision.attempts)
        if told is not None:
            self.note(told)


def open_session(common: Common, start: Path) -> CommandSession:
    """The session of a command that works around the folder `start`; closed when it ends."""
    settings = {name: getattr(common, name) for name in SETTINGS}
    session = CommandSession(
        start=start,
        watcher=Terminal(common.quiet),
        engine=engine_settings().opened(),
        **settings,
    )
    session.common = common
    if context := click.get_current_context(silent=True):  # none when a script opens a session
        context.call_on_close(session.close)
    return session
