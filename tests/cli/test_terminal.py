"""Arguments of Python as flags of the command line."""

from __future__ import annotations

from collections.abc import Iterator

import click

from selectllm.cli import VERBS, cli
from selectllm.cli.terminal import ARGUMENTS, FLAGS, spoken


def options(command: click.Command | None) -> Iterator[click.Option]:
    """Every option of a verb and of the verbs below it."""
    assert command is not None
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield parameter
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from options(below)


def test_every_argument_that_messages_name_is_an_option_of_a_verb() -> None:
    context = click.Context(cli)
    flags = {
        flag
        for verb in VERBS
        for option in options(cli.get_command(context, verb))
        for flag in option.opts
    }
    for name in ARGUMENTS:
        flag = f"--{name.replace('_', '-')}"
        assert flag in flags
        assert spoken(f"`{name}` 1: no") == f"{flag} 1: no"
    for flag in " and ".join(FLAGS.values()).split(" and "):
        assert flag in flags


def test_the_name_of_a_verb_is_a_flag_only_where_it_is_meant_as_one() -> None:
    assert spoken("`export` x: of another `export`") == "`export` x: of another `export`"
    assert spoken("`export` x is of another export", "export").startswith("--export x ")
    assert (
        spoken("write `price: 1` and run `sets` again") == "write `price: 1` and run `sets` again"
    )
