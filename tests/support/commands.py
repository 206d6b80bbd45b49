"""Commands that a text shows, and what of them is none of ours."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click

from selectllm.cli import cli


def commands_in(text: str) -> Iterator[list[str]]:
    """The words of every `selectllm ...` in consoles and inline code, without the program."""
    for line in re.findall(r"^\s*(?:\$ |- run: )selectllm (.+?)(?:\s+#.*)?$", text, re.M):
        yield shlex.split(line)
    for code in re.findall(r"`selectllm ([^`]+)`", text):
        yield shlex.split(code)


def unknown_in(words: list[str]) -> list[str]:
    """What no verb of ours is called, or no option of that verb, in `words`."""
    command: click.Command = cli
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name == "VERB":
            return []
        if name not in command.list_commands(click.Context(command)):
            return [name]
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    context = click.Context(command)
    known = {each for parameter in command.get_params(context) for each in parameter.opts}
    return [word for word in rest if word.startswith("-") and word not in known]
