"""The blocks of the documentation that are run, and what they print.

A page of docs/ marks a block by the words behind its fence:

```console run          `$ command`, then what it prints; `...` stands for what varies
```python run           a session of the interpreter, as doctest reads it
```LANGUAGE file=NAME   a file that later blocks of the page use
<!-- given: NAME... -->  files of docs/examples/ that are there, `... in FOLDER` if not in the
                       first one; `workspace` is what `selectllm init .` makes, `checkout` is this
                       repository's prompts/ and eval/

The blocks of a page run one after another in one new folder, in this process, without any key.
After a command with another exit code than 0 the page has to show it: `$ echo $?`.

`python -m tests.support.page_blocks PAGE...` puts what is printed today into the pages (all of
docs/, if none is named) wherever it differs; look at `git diff` before you commit it.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from selectllm.cli import main

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)
HOME = "/home/you"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
VARIES = (
    (re.compile(r"\b(took|take about|for another) [\d.]+ s(econds)?\b"), r"\1 ... s\2"),
    (re.compile(r"\b(\d{4})-\d\d-\d\d \d\d:\d\d(:\d\d)?"), "..."),
)
_MARKED = re.compile(
    r"^```(\w+) ([^\n`]+)\n(.*?)^```$|^<!-- given: ([^\n]*?)(?: in (\S+))? -->$",
    flags=re.DOTALL | re.MULTILINE,
)
_COMMAND = re.compile(r"^\$ (.*(?:\\\n.*)*)\n?((?:(?!\$ ).*\n?)*)", flags=re.MULTILINE)


@dataclass
class Shell:
    """What a reader's terminal keeps from one command of a page to the next."""

    folder: Path
    code: int = 0
    printed: str = ""
    names: dict[str, object] = field(default_factory=dict)

    def run(self, command: str) -> str:
        """What `command` prints, on stdout and stderr, as it comes."""
        words = shlex.split(command.replace("\\\n", " "), comments=True)
        shown_next = words[:1] == ["echo"]
        if self.code and not shown_next:
            raise AssertionError(
                f"exit code {self.code} is not shown before `{command}`:\n{self.printed}"
            )
        if words[:1] == ["cd"]:
            os.chdir(words[1])
            return ""
        if words[:1] == ["selectllm"]:
            printed, self.code = _call(words[1:])
        else:
            line = ["bash", "-c", f"(exit {self.code}); {command}"]
            call = [sys.executable, *words[1:]] if words[0] == "python" else line
            done = subprocess.run(call, capture_output=True, text=True, check=False)
            printed, self.code = done.stdout + done.stderr, done.returncode
        self.printed = self._as_shown(printed)
        return self.printed

    def _as_shown(self, printed: str) -> str:
        printed = printed.replace(str(self.folder), HOME)
        return "".join(f"{line.rstrip()}\n" for line in printed.splitlines())


def _call(arguments: list[str]) -> tuple[str, int]:
    """What `selectllm ARGUMENTS` prints, and its exit code."""
    screen = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen):
        code = main(arguments)
    screen.flush()
    return screen.buffer.getvalue().decode(), code  # type: ignore[attr-defined]


@contextlib.contextmanager
def new_shell() -> Iterator[Shell]:
    """A shell in an empty folder, 80 columns wide, without keys or settings of this machine."""
    before, here = dict(os.environ), Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        for name in [*before]:
            if name.endswith(("_API_KEY", "_API_BASE", "_TOKEN")) or name.startswith("SELECTLLM_"):
                del os.environ[name]
        os.environ.update(COLUMNS="80", LC_ALL="C.UTF-8", NO_COLOR="1")
        os.chdir(folder)
        try:
            yield Shell(Path(folder).resolve())
        finally:
            os.chdir(here)
            os.environ.clear()
            os.environ.update(before)


def same(shown: str, printed: str) -> bool:
    """Whether a page shows what is printed; `...` on a line of its own stands for lines or none."""
    checker, without = doctest.OutputChecker(), re.sub(r"^\.\.\.\n", "", shown, flags=re.MULTILINE)
    return any(
        checker.check_output(text.rstrip(), printed.rstrip(), FLAGS) for text in (shown, without)
    )


def run_page(text: str) -> tuple[str, list[str]]:
    """The page with what its blocks print today, and where that differs from what it shows."""
    differences: list[str] = []

    def replaced(match: re.Match[str]) -> str:
        language, words, body, given, folder = match.groups()
        if given:
            _give(given.split(), Path(folder or "."))
            return match[0]
        if words.startswith("file="):
            path = Path(words.removeprefix("file="))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body, encoding="utf-8")
        elif words == "run":
            run = _run_console if language == "console" else _run_python
            body = run(shell, body, differences)
        else:
            raise AssertionError(f"```{language} {words}: there are `run` and `file=NAME`")
        return f"```{language} {words}\n{body}```"

    with new_shell() as shell:
        return _MARKED.sub(replaced, text), differences


def _give(names: list[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name == "workspace":
            assert _call(["init", str(folder)])[1] == 0
        elif name == "checkout":
            for part in ("prompts", "eval"):
                ignored = shutil.ignore_patterns("runs", "benchmarks", "__pycache__")
                shutil.copytree(DOCS.parent / part, folder / part, ignore=ignored)
        else:
            shutil.copy(DOCS / "examples" / name, folder)


def _run_console(shell: Shell, body: str, differences: list[str]) -> str:
    parts = []
    for command, shown in _COMMAND.findall(body):
        printed = shell.run(command)
        if not same(shown, printed):
            differences.append(f"$ {command}\n--- the page shows\n{shown}--- printed\n{printed}")
            shown = _left_out(shown, printed)
        parts.append(f"$ {command}\n{shown}")
    assert parts, f"no line starts with `$ `:\n{body}"
    return "".join(parts)


def _left_out(shown: str, printed: str) -> str:
    """What is printed, without what varies, and without the lines for which `...` stands."""
    for pattern, varies in VARIES:
        printed = pattern.sub(varies, printed)
    before, after = shown.splitlines(keepends=True), printed.splitlines(keepends=True)
    if "...\n" not in before:
        return printed
    head, tail = before.index("...\n"), before[::-1].index("...\n")
    return "".join([*after[:head], "...\n", *(after[-tail:] if tail else [])])


def _run_python(shell: Shell, body: str, differences: list[str]) -> str:
    test = doctest.DocTestParser().get_doctest(body, shell.names, "page", None, 0)
    assert test.examples, f"no line starts with `>>> `:\n{body}"
    told: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=told.append, clear_globs=False)
    shell.names.update(test.globs)
    differences.extend(told)
    return body


if __name__ == "__main__":
    for page in [Path(name) for name in sys.argv[1:]] or PAGES:
        content = page.read_text(encoding="utf-8")
        today, differing = run_page(content)
        page.write_text(today, encoding="utf-8")
        print(f"{page}: {len(differing)} blocks differed")  # noqa: T201
