"""How options are told in --help: one name, one metavar and one sentence for all verbs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from selectllm.core.shown import excerpt

if TYPE_CHECKING:
    from click.types import OptionHelpExtra

TOOL = "Write the items for people to answer, in a form that this tool can import."
"""Of --to, where items are handed over."""
REPEATABLE = "Can be given several times."
METAVARS = {
    "integer": "N",
    "integer range": "N",
    "float": "X",
    "float range": "X",
    "text": "NAME",
    "directory": "DIR",
    "file": "FILE",
    "path": "FILE",
}
"""What stands for a value in --help, by the type that click knows."""

WORDS: Mapping[str, tuple[str | None, str]] = {
    "--again": (
        None,
        "Ask at most N cached calls again, to see whether the model behind the name has changed.",
    ),
    "--compare-prompt": ("PROMPT", "Test the attack texts with this prompt as well, and compare."),
    "--orders": (None, "The number of orders in which each cluster is shown."),
    "--probe": (
        None,
        "Ask only this probe: order, labels, length, copies, hijack, parsing or drift.",
    ),
    "--repeats": (None, "The number of replies to one question."),
    "--a": ("ARM", "The arm to compare with: a prompt, a model, PROMPT+MODEL or strategy:NAME."),
    "--b": ("ARM", "An arm to compare with arm A."),
    "--baseline": ("FILE", "An earlier audit to compare with: its folder, or its audit.json."),
    "--by": (None, "How to divide the pool into clusters."),
    "--budget": ("N", "The number of items to select, which is the size of a set."),
    "--cache": (None, "The folder in which replies and vectors are kept."),
    "--drop-leaks": (
        None,
        "Leave out items that are also test or dev items, instead of stopping. "
        "How many there were is reported.",
    ),
    "--dry-run": (
        None,
        "Report what would be asked, and what it would cost. Nothing is sent or written.",
    ),
    "--encoder": ("NAME", "The sentence-transformers model that embeds texts: a name or a folder."),
    "--export": (None, "The folder that selectllm export wrote, with the trained sets."),
    "--from": ("MODEL", "The model that is in use now."),
    "--given": (
        "FILE",
        "Items that are already annotated. They are not selected again, and count as covered.",
    ),
    "--json": (None, "Print JSON to stdout and nothing else."),
    "--limit": (None, "Use only the first N clusters of the suite."),
    "--map": (
        "NAME=COL",
        "Read NAME (id, instruction, input or response) from the column COL, "
        "such as instruction=question.",
    ),
    "--markdown": (None, "Write the results to this file in Markdown."),
    "--max-length": (None, "Cut an item that has more than N tokens. What was cut is reported."),
    "--mode": (
        None,
        "fast: train only the last blocks of the model, at a quarter of the cost. "
        "full: train all of them.",
    ),
    "--model": ("MODEL", "The model to ask: its name in the suite, or for a pool PROVIDER/MODEL."),
    "--name": (None, "The name of the utility."),
    "--only": ("SELECTOR", "Use only this selector: PROMPT+MODEL, prompt, model or strategy."),
    "--out": (None, "Where to write the result."),
    "--per": (
        "COLUMN",
        "With --strategy: divide --budget among the values of this column, in proportion to their "
        "items (largest remainders).",
    ),
    "--pool": ("FILE", "Select from this pool instead of the suite's."),
    "--port": (None, "The port to listen on. 0 takes any free port."),
    "--primary": (
        None,
        "How the gain is averaged over the test items. Decide this before you see results.",
    ),
    "--prompt": ("PROMPT", "The selection prompt, as NAME@VERSION."),
    "--prompts": (None, "The folder of the prompts."),
    "--quiet": (None, "Print no progress and no notes."),
    "--raters": (None, "The number of people who rate each item."),
    "--retain": ("SHARE", "The share of the old model's gain over random picks to keep."),
    "--rounds": (
        "LOG",
        "A log of annotation rounds. Earlier rounds count as --given, and this round is added.",
    ),
    "--seed": (None, "The seed of everything that is random."),
    "--seeds": (None, "The number of trainings for each set, each with a different seed."),
    "--size": (None, "The number of items that are taken together."),
    "--test": ("FILE", "A file of held-out items with responses."),
    "--test-map": (
        "NAME=COL",
        "Read NAME of the test and dev items from the column COL of their file, if it differs "
        "from the pool's.",
    ),
    "--to": ("MODEL", "The model that would take its place."),
    "--turns": (
        None,
        "Which user turns of a chat to show, if it has several. With last, the turns before it "
        "are shown as its input.",
    ),
    "--utility": ("NAME", "Use only this utility."),
}
"""Metavar and sentence of options, first of all of those that more than one verb has."""


class PlainOption(click.Option):
    """An option whose help says in words what click says in signs."""

    def make_metavar(self, ctx: click.Context) -> str:
        """N for a whole number, DIR for a folder and so on, where nothing else is given."""
        if self.metavar is None and self.type.name in METAVARS:
            return METAVARS[self.type.name]
        return super().make_metavar(ctx)

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """The value; a number outside its range is told in words."""
        try:
            return super().type_cast_value(ctx, value)
        except click.BadParameter as error:
            if "not in the range" not in error.message:
                raise
            assert isinstance(self.type, click.IntRange | click.FloatRange)
            message = f"{excerpt(str(value))} must be {_in_words(self.type)}."
            raise click.BadParameter(message, ctx=ctx, param=self) from None

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        """What stands in brackets: the default, the range in words, whether it is required."""
        extra = super().get_help_extra(ctx)
        if isinstance(self.type, click.IntRange | click.FloatRange) and "range" in extra:
            extra["range"] = _in_words(self.type)
        if isinstance(self.show_default, str):  # without the parentheses that click puts around it
            extra["default"] = self.show_default
        return extra


def _in_words(allowed: click.IntRange | click.FloatRange) -> str:
    low = f"{'above' if allowed.min_open else 'at least'} {allowed.min:g}"
    if allowed.max is None:
        return low
    if allowed.min_open:
        return f"{low} and at most {allowed.max:g}"
    return f"from {allowed.min:g} to {allowed.max:g}"


def option(*names: str, **settings: Any) -> Callable[..., Any]:
    """Like `click.option`, told in our words: metavar and help come from WORDS unless given.

    A default is shown.
    """
    long = max((name for name in names if name.startswith("-")), key=len)
    metavar, words = WORDS.get(long, (None, ""))
    if metavar is not None:
        settings.setdefault("metavar", metavar)
    settings.setdefault("help", words)
    if settings.get("default") is not None and not settings.get("is_flag"):
        settings.setdefault("show_default", True)
    if settings.get("multiple"):
        settings["help"] = f"{settings['help']} {REPEATABLE}"
    return click.option(*names, cls=PlainOption, **settings)


def example(*commands: str) -> str:
    """The end of a verb's help: commands to copy."""
    lines = "\n".join(f"  selectllm {command}" for command in commands)
    return f"\b\nExample{'s' if len(commands) > 1 else ''}:\n{lines}"
