"""The last line of a command: what to do next, as a command to copy, with the user's own paths."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path


def command(*words: object) -> str:
    """`selectllm` and these words, quoted where a shell needs it."""
    return shlex.join(["selectllm", *map(str, words)])


def columns_words(columns: Mapping[str, str], flag: str = "--map") -> list[str]:
    """The options by which a command reads the same columns: `flag`, and --turns of chats."""
    words: list[str] = []
    for name, column in columns.items():
        words += ["--turns", column] if name == "turns" else [flag, f"{name}={column}"]
    return words


def looked_at(result: Path | str, what: str = "it", *more: str) -> str:
    """How to see a run or a selection as a page; `more`: further words of the command."""
    return f"To look at {what} in a browser, run: {command('report', result, '--html', *more)}"


def suite_file(name: str, run: Path | str) -> Path:
    """The file of the suite `name`, seen from here or from the folder of one of its `run`s.

    No run knows it, so that it may be none of the files that are called so; where there is none,
    the name alone, to be completed.
    """
    file = f"{name}.yaml"
    here = [Path(file), Path("eval/suites", file)]
    around = [each / file for folder in Path(run).parents for each in (folder / "suites", folder)]
    return next((path for path in (*here, *around) if path.is_file()), Path(file))


def trained_elsewhere(folder: Path | str) -> str:
    """How results of training on exported sets come back."""
    words = command("utility", "import", "RESULTS.jsonl", "--export", folder)
    return f"Once models are trained on them and measured, run: {words}"
