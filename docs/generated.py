"""The tables of the documentation that are made from the code, as Markdown; cog writes them in.

A page calls one of these in a comment, and what is printed stands below it:

    <!-- [[[cog import generated; generated.strategies() ]]] -->
    <!-- [[[end]]] -->

`make docs` writes them anew; tests/docs/test_pages.py fails if a page is out of date.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from inspect import cleandoc
from typing import Any

import click

from selectllm.cli import EVERYDAY, INTERRUPTED, MORE, VERBS, cli
from selectllm.cli.exit_codes import EXIT_CODES
from selectllm.core import errors
from selectllm.core.verdict_words import POLARITY
from selectllm.models.providers.providers import PROVIDERS, Provider
from selectllm.prompting.library import PromptLibrary
from selectllm.report.schemas import NAMES, schema
from selectllm.selection.strategies import FORMS, STRATEGIES, Strategy

REPOSITORY_SCHEMAS = "selectllm/report/schemas"
SHARED_BY = 5
"""An option that so many verbs have stands in the table of shared options."""

WHAT_COMES_FIRST = {
    "random": "chance decides",
    "longest": "the most characters of instruction and input",
    "shortest": "the fewest characters of instruction and input",
    "first": "the first as shown",
    "slot": "always the same place in the list, such as `slot:3`",
    "has-input": "items that have an input",
    "rouge-diversity": "items that share the least wording with any other item (ROUGE-L); takes "
    "pools of up to 60,000 items",
    "centroid": "nearest to the mean of all vectors",
    "k-means": "nearest to the means of as many groups as items are wanted",
    "k-center": "farthest from everything picked so far (CoreSet)",
    "k-center-hdbscan": "the same, on the groups that HDBSCAN finds",
    "facility-location": "what brings every item close to a pick; in pools above 30,000 items by "
    "random samples (stochastic greedy)",
    "d-optimal": "what adds most to the log-determinant of the picks' vectors: directions that no "
    "pick has yet",
    "perplexity-low": "the lowest perplexity of the instruction under the embedded model",
    "perplexity-middle": "perplexity of the instruction nearest to the middle",
    "perplexity-high": "the highest perplexity of the instruction",
    "response-perplexity-low": "the lowest perplexity of the response alone",
    "response-perplexity-middle": "perplexity of the response nearest to the middle",
    "response-perplexity-high": "the highest perplexity of the response alone",
    "ifd": "items whose instruction helps the model least to predict the response "
    "(instruction-following difficulty, below 1)",
    "rating": "the highest score that a prompt such as `quality@1` gives each item by itself "
    "(AlpaGasus); `answered@1` shows the response too",
    "open-endedness": "items to which a model gives the most different replies (bigrams of three)",
    "answer-divergence": "items to which a model gives answers that lie far apart and in several "
    "directions, in every part of the pool in proportion to its size (ADG)",
    "token-uncertainty": "items in whose answer a model is least sure of one token",
    "margin": "items in whose answer the two likeliest tokens come nearest to each other",
    "mean-entropy": "items in whose answer the tokens have the highest mean entropy",
    "task-confidence": "chance, but the more of a task (the values of a column) the less sure a "
    "model is of its answers to it",
    "facility-location:STRATEGY": "the same, where each item weighs by the number that another "
    "strategy goes by, such as `facility-location:mean-entropy:MODEL`",
    "per": "the order of another strategy inside each group of a column, which gets picks in "
    "proportion to its items",
    "equal-per": "the same, with as many picks for every group",
    "score-first": "the order of another strategy, passing over what is too close to a better item "
    "(DEITA)",
    "oracle": "the best by a utility of the suite or a numeric column: the most that can be had",
    "highest": "the highest number that your own scorer gives",
    "lowest": "the lowest number that your own scorer gives",
    "middle": "numbers of your own scorer that are nearest to the middle",
}
ONE_REPLY = "one call per item, to a model that lists log-probabilities"
FORMS_TAKE = {
    "rating": "one call per item",
    "open-endedness": "three calls per item",
    "answer-divergence": "five calls per item, vectors",
    **dict.fromkeys(("token-uncertainty", "margin", "mean-entropy", "task-confidence"), ONE_REPLY),
    "facility-location": "vectors, and what the other strategy needs",
    "score-first": "vectors",
    "oracle": "a utility",
}
WHEN = {
    0: "Done. For a verdict: {good}.",
    1: "An answer that was computed and says no: {bad}; a check that found a difference; a "
    "selection that is too short or too random; answers that are missing.",
    2: "Bad input: an argument, a file, a cache or an output folder that cannot be used. The "
    "message says which value is wrong and how to fix it.",
    3: "The verdict is {open}: the data cannot tell.",
    4: "The budget of `--max-cost` would be exceeded. Run the same command with a higher one to "
    "continue.",
    5: "With `--offline`, a reply is neither recorded nor in the cache; with `--batch --no-wait`, "
    "the answers of a batch are not there yet.",
    6: "The provider failed after all retries, or refused the call.",
    70: "An internal error. Nothing was decided; the message names the file with the traceback.",
    INTERRUPTED: "Interrupted. What was paid for is kept; run the same command again to continue.",
}


def _line(text: str) -> str:
    """One cell or paragraph: white space is one space, nothing reads as HTML."""
    return " ".join(text.split()).replace("<", "&lt;")


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


def _code(text: str) -> str:
    """Text as code in a cell."""
    return f"`{' '.join(text.split())}`".replace("|", "\\|")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    _print(f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}")
    _print(*(f"| {' | '.join(row)} |" for row in rows), "")


def _print(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def cli_reference() -> None:
    """Every verb with its usage, what it says of itself, and a table of its options."""
    commands = dict(_commands())
    often = Counter(record for command in commands.values() for record in _options(command))
    shared = {record for record, times in often.items() if times >= SHARED_BY}
    for title, verbs in (("Everyday verbs", EVERYDAY), ("More verbs", MORE)):
        _print(f"## {title}", "")
        for name, command in commands.items():
            if name.split()[0] in verbs:
                _verb(name, command, shared)
    _print("## Shared options", "", "Verbs name above which of these they take.", "")
    _table(("option", "meaning"), (_row(record) for record in often if record in shared))


def _commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(cli)
    for name in VERBS:
        command = cli.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {below}", command.commands[below]) for below in command.commands)


def _options(command: click.Command) -> list[tuple[str, str]]:
    """(how it is written, what it means) of every option but --help."""
    context = click.Context(command)
    options = (param for param in command.params if isinstance(param, click.Option))
    records = (param.get_help_record(context) for param in options)
    return [record for record in records if record is not None]


def _row(record: tuple[str, str]) -> tuple[str, str]:
    written, meaning = record
    return _code(written), _cell(meaning)


def _verb(name: str, command: click.Command, shared: set[tuple[str, str]]) -> None:
    usage = " ".join(command.collect_usage_pieces(click.Context(command)))
    _print(f"### `selectllm {name}`", "", "```text", f"selectllm {name} {usage}", "```", "")
    for paragraph in cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):  # lines that click leaves as they are
            _print("```text", *paragraph.splitlines()[1:], "```", "")
        else:
            _print(_line(paragraph), "")
    if isinstance(command, click.Group):
        return
    records = _options(command)
    if own := [record for record in records if record not in shared]:
        _table(("option", "meaning"), map(_row, own))
    if others := [record[0] for record in records if record in shared]:
        names = ", ".join(f"`{re.findall(r'--[a-z-]+', written)[0]}`" for written in others)
        _print(f"[Shared options](#shared-options): {names}.", "")


def exit_codes() -> None:
    """Every exit code with its meaning. Raises KeyError for one that has no words here."""
    classes = {errors.SelectLLMError, *_below(errors.SelectLLMError)}
    found = {0, 70, INTERRUPTED, *EXIT_CODES.values(), *(each.exit_code for each in classes)}
    words: Mapping[str, str] = {
        side: ", ".join(f"*{word}*" for word, polarity in POLARITY.items() if polarity == side)
        for side in ("good", "bad", "open")
    }
    _table(("code", "meaning"), ((str(code), WHEN[code].format(**words)) for code in sorted(found)))


def _below(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def strategies() -> None:
    """Every strategy: what it picks first, and what it needs. Raises KeyError for one unknown."""
    rows = [
        (f"`{name}`", WHAT_COMES_FIRST[name], _needs(strategy))
        for name, strategy in STRATEGIES.items()
    ]
    rows += [
        (
            f"`{form}`",
            WHAT_COMES_FIRST.get(form) or WHAT_COMES_FIRST[head],
            FORMS_TAKE.get(head, ""),
        )
        for head, form in FORMS.items()
    ]
    _table(("strategy", "what comes first", "needs"), rows)


def _needs(strategy: Strategy) -> str:
    needs = ["vectors"] if strategy.needs_vectors else []
    if strategy.needs_responses:
        needs.append("responses")
    if strategy.scorer is not None:
        needs.append("a pass of a local model, cached")
    return ", ".join(needs)


def prompts() -> None:
    """The prompts that come with selectllm."""
    rows = [
        (f"`{prompt.ref}`", _cell(prompt.description), prompt.reply)
        for prompt in PromptLibrary().list()
    ]
    _table(("prompt", "what it is", "reply"), rows)


def providers() -> None:
    """What is known of each provider: its variables, what it is sent, and who may send it."""
    rows = []
    for provider in PROVIDERS.values():
        if provider.way == "network":
            schema_words = "" if provider.takes_schema is None else _schema_words(provider)
            rows.append(
                (
                    f"`{provider.name}/NAME`",
                    ", ".join(f"`{name}`" for name in provider.key_variables),
                    ", ".join(f"`{name}`" for name in provider.base_variables),
                    schema_words,
                    "" if provider.direct is None else "can be",
                    "" if provider.batches is None else "yes",
                    "" if provider.reasoning is None else "yes",
                    "" if provider.lists_logprobs else "no",
                )
            )
    variables = ("key, first one set", "base URL, first one set")
    answers = ("JSON schema", "direct", "batches", "reasoning", "log-probabilities")
    _table(("model", *variables, *answers), rows)


def _schema_words(provider: Provider) -> str:
    return "always" if provider.takes_schema == "" else "for models known to take one"


def schemas() -> None:
    """Every file that has a JSON Schema, with its fields."""
    for name in NAMES:
        content = schema(name)
        _print(f"## {_title(name, content)}", "")
        first = str(content.get("description", "")).split("\n\n")[0]
        if first:
            _print(_line(first), "")
        _print(f"Schema: `{REPOSITORY_SCHEMAS}/{name}.json`.", "")
        parts = content["$defs"] if name == "suite" else {}
        for title, fields in [*_objects(content), *map(_part, parts.items())]:
            if title:
                _print(f"{title}:", "")
            _table(("field", "type", "meaning"), fields)


def _title(name: str, content: Mapping[str, Any]) -> str:
    return "suite files" if name == "suite" else str(content["title"])


def _objects(content: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """(title, rows of fields) of the object itself, or of each that it may be."""
    if "properties" in content:
        yield "", list(_fields(content))
        return
    for choice in content.get("anyOf", content.get("oneOf", ())):
        found = content["$defs"][choice["$ref"].rpartition("/")[2]] if "$ref" in choice else choice
        if "properties" in found:
            yield str(found.get("title", "")), list(_fields(found))


def _part(named: tuple[str, Mapping[str, Any]]) -> tuple[str, list[tuple[str, str, str]]]:
    return named[0], list(_fields(named[1]))


def _fields(content: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    needed = content.get("required", ())
    for name, field in content["properties"].items():
        told = _type(field) + ("" if name in needed else ", optional")
        yield f"`{name}`", told.replace("|", "\\|"), _cell(field.get("description", ""))


def _type(field: Mapping[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2])
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(map(_type, field["anyOf"])))
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}" if field.get("items") else "list"
    return str(field.get("type", "any"))
