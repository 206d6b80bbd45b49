"""The last line of a command: what to do next, as a command to copy, with the user's own paths."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path


def command(*words: object) -> str:
    """`selectllm` and these words, quoted where a shell needs it."""
    return shlex.join(["selectllm", *map(str, words)])


def looked_at(result: Path | str, what: str = "it", *more: str) -> str:
    """How to see a run or a selection as a page; `more`: further words of the command."""
    return f"To look at {what} in a browser, run: {command('report', result, '--html', *more)}"


def carried_out(verb: str, target: Path | str, given: Mapping[str, object]) -> str:
    """The command that does what was planned; `given`: options by their flags, None left out."""
    words: list[object] = []
    for flag, value in given.items():
        values = value if isinstance(value, tuple) else () if value is None else (value,)
        words += [word for each in values for word in (flag, each)]
    return f"To carry it out, run: {command(verb, target, *words)}"


def trained_elsewhere(folder: Path | str) -> str:
    """How results of training on exported sets come back."""
    words = command("utility", "import", "RESULTS.jsonl", "--export", folder)
    return f"Once models are trained on them and measured, run: {words}"
