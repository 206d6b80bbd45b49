"""What --help says: one option is told in one way everywhere, in words, with a command to copy."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

import click
import pytest

from selectllm.cli import cli
from selectllm.cli.option_words import REPEATABLE
from tests.conftest import Command

SEVERAL_MEANINGS: Mapping[str, str] = {
    "--arm": "handover takes a pair of a run; elsewhere a set or an arm is named",
    "--baseline": "regress takes the picks of a run, audit what another audit found",
    "--budget": "optimize limits the decisions of a search; elsewhere it is the size of a set",
    "--by": "aa varies orders or repeats; elsewhere a pool is divided",
    "--differing": "ab compares with the ratings that utility ask asks for",
    "--dry-run": "student trains nothing, cache prune removes nothing; elsewhere nothing is sent",
    "--from": "prompts new starts from a file; elsewhere it is the model to be replaced",
    "--k": "neighbours of utility knn; elsewhere picks",
    "--limit": "cache ls lists replies; elsewhere a suite has clusters",
    "--model": "one that is asked, whose replies are exported, or that is loaded here and trained",
    "--partial": "answers that are missing, or ratings",
    "--pool": "the suite's own, that of sets, one to show a difference on, or one to be forgotten",
    "--seed": "utility import is told what a set was selected with; prompts render shuffles",
    "--size": "items of a block, of a subset, or candidates",
    "--to": "swap names a model; select and handover a tool",
    "--test": "student train must not see these items; elsewhere they are what is tested on",
}
"""Options whose name means one thing to some verbs and another to others, and why."""


def verbs() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by the words that call it."""

    def within(
        command: click.Command, words: tuple[str, ...]
    ) -> Iterator[tuple[str, click.Command]]:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                yield from within(inner, (*words, name))
        else:
            yield " ".join(words), command

    return within(cli, ())


VERBS = dict(verbs())


def options() -> Iterator[tuple[str, str, click.Option]]:
    """Every option: the verb, its longest name, itself."""
    for verb, command in VERBS.items():
        for option in command.params:
            if isinstance(option, click.Option):
                yield verb, max(option.opts, key=len), option


def test_an_option_has_one_sentence_and_one_metavar_in_all_verbs() -> None:
    told: dict[str, set[str]] = {}
    for verb, name, option in options():
        metavar = option.make_metavar(click.Context(VERBS[verb]))
        place = metavar if name != "--out" else "FILE"  # a file or a folder, as the verb writes
        sentence = (option.help or "").removesuffix(REPEATABLE).strip()
        told.setdefault(name, set()).add("" if option.is_flag else place)
        told[name].add(sentence)
    several = {name for name, ways in told.items() if len(ways) > 2}
    assert several == SEVERAL_MEANINGS.keys()


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_in_words(selectllm: Command, verb: str) -> None:
    outcome = selectllm(*verb.split(), "--help")
    assert outcome.code == 0
    assert not re.search(r"RANGE|INTEGER|FLOAT|TEXT|DIRECTORY|x>=|<=x", outcome.out)
    for option in VERBS[verb].params:
        if isinstance(option, click.Option):
            assert re.match(r"([A-Z]|fast:|fixed:)", option.help or ""), option.name
            assert (option.help or "").endswith("."), option.name


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_an_example_that_it_takes(verb: str) -> None:
    command = VERBS[verb]
    examples = re.findall(r"^  selectllm (.+)$", command.epilog or "", flags=re.MULTILINE)
    assert examples
    for example in examples:
        words = shlex.split(example)
        called = verb.split()
        assert words[: len(called)] == called
        command.make_context(verb, words[len(called) :], parent=click.Context(cli))


def test_exit_codes_are_told_with_what_they_mean(selectllm: Command) -> None:
    codes = re.findall(r"^ +(\d+)  +[a-z]", selectllm("--help").out, flags=re.MULTILINE)
    assert [int(code) for code in codes] == [0, 1, 2, 3, 4, 5, 6, 70, 130]
