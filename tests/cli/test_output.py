"""What goes to stdout and what to stderr: --json, --quiet, terminals, CI=true and NO_COLOR."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Command, pool_rows, write_jsonl
from tests.support import forked
from tests.support.cli_files import MOCK, RATED, write_suite

COLOUR = re.compile(r"\x1b\[[0-9;]*(3[0-9]|9[0-7])[0-9;]*m")
SELECT = ("select", "pool.jsonl", "--budget", "8", *MOCK)
EVAL = ("eval", "suite.yaml", "-o", "run")

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")


@dataclass(frozen=True)
class Shown:
    """What a command showed on two terminals, with the escape codes of each."""

    out: str
    err: str


def on_terminals(arguments: Sequence[str], **environment: str) -> Shown:
    """Run a command whose stdout and stderr are one terminal each."""
    import pty

    env = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR")}
    env |= {"TERM": "xterm-256color", "COLUMNS": "200", **environment}
    shown = {"stdout": b"", "stderr": b""}

    def read(name: str, terminal: int) -> None:
        try:
            while chunk := os.read(terminal, 65536):
                shown[name] += chunk
        except OSError:  # how Linux says that the other end was closed
            pass

    ours, theirs = zip(pty.openpty(), pty.openpty(), strict=True)
    names = {name: os.ttyname(end) for name, end in zip(shown, theirs, strict=True)}
    process = forked.selectllm(*arguments, env=env, **names)
    readers = [threading.Thread(target=read, args=pair) for pair in zip(shown, ours, strict=True)]
    for reader in readers:
        reader.start()
    code = process.wait()
    for reader, *ends in zip(readers, ours, theirs, strict=True):
        os.close(ends[1])
        reader.join()
        os.close(ends[0])
    assert code == 0, shown
    return Shown(shown["stdout"].decode(), shown["stderr"].decode())


@pytest.fixture
def ready(selectllm: Command, pool_file: Path) -> None:
    """A pool and a suite in the current folder."""
    write_suite(RATED)


# --- a terminal


@posix_only
@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("arguments", [SELECT, EVAL])
def test_progress_shows_on_a_terminal_and_on_stderr_alone(arguments: tuple[str, ...]) -> None:
    shown = on_terminals(arguments)
    assert "deciding" in shown.err
    assert "deciding" not in shown.out


@posix_only
@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize(("option", "ci"), [((), "true"), (("--quiet",), "false")])
def test_ci_and_quiet_show_no_progress(option: tuple[str, ...], ci: str) -> None:
    shown = on_terminals([*SELECT, *option], CI=ci)
    assert "deciding" not in shown.err
    assert "\x1b" not in shown.err
    assert ("has not been measured" in shown.err) is (not option)


@posix_only
@pytest.mark.usefixtures("ready")
def test_json_stays_alone_on_stdout_beside_progress_and_notes() -> None:
    for arguments, key in ((SELECT, "selected"), (EVAL, "pairs")):
        shown = on_terminals([*arguments, "--json"])
        assert key in json.loads(shown.out)
        assert "deciding" in shown.err


@posix_only
@pytest.mark.usefixtures("ready")
def test_no_color_takes_the_colours_away() -> None:
    coloured = on_terminals(EVAL)
    assert COLOUR.search(coloured.err)
    for plain in (on_terminals(EVAL, NO_COLOR="1"), on_terminals(("report", "run"), NO_COLOR="1")):
        assert not COLOUR.search(plain.out + plain.err)
        assert "mock/first" in plain.out


# --- no terminal


@pytest.mark.usefixtures("ready")
def test_without_a_terminal_there_is_neither_progress_nor_an_escape_code(
    selectllm: Command,
) -> None:
    for arguments in (SELECT, EVAL, ("report", "run"), ("prompts", "list"), ("models", "list")):
        outcome = selectllm(*arguments)
        assert outcome.code == 0
        assert "\x1b" not in outcome.out + outcome.err
        assert "deciding" not in outcome.err


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("arguments", [SELECT, EVAL])
def test_json_is_one_object_and_notes_go_to_stderr(
    selectllm: Command, arguments: tuple[str, ...]
) -> None:
    write_jsonl(Path("pool.jsonl"), pool_rows())
    outcome = selectllm(*arguments, "--json")
    assert outcome.out.count("\n") == 1
    assert isinstance(outcome.json, dict)
    if arguments is SELECT:
        assert "has not been measured" in outcome.err


@pytest.mark.usefixtures("ready")
def test_quiet_does_not_silence_errors(selectllm: Command) -> None:
    outcome = selectllm("select", "none.jsonl", "--budget", 3, "--quiet", "--json", *MOCK)
    assert (outcome.code, outcome.out) == (2, "")
    assert "none.jsonl" in outcome.err


@pytest.mark.usefixtures("ready")
def test_skipped_rows_are_a_note_beside_json(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), [*pool_rows(), 7])
    outcome = selectllm(*SELECT, "--json", "--skip-bad")
    assert outcome.json["selected"] == 8
    assert "1 bad row was left out" in outcome.err


@pytest.mark.usefixtures("ready")
def test_a_dry_run_speaks_json_too(selectllm: Command) -> None:
    assert isinstance(selectllm(*SELECT, "--dry-run", "--json").json, dict)


@pytest.mark.usefixtures("ready")
def test_a_short_selection_is_told_as_json_and_as_exit_1(selectllm: Command) -> None:
    model = ("--model", "mock/reply:no idea", "--on-invalid", "skip", "--json")
    outcome = selectllm(*SELECT, *model)
    assert (outcome.code, outcome.json["selected"]) == (1, 0)
    assert "0 of 8 items" in outcome.err


def test_repeats_at_temperature_0_are_warned_of(selectllm: Command, pool_file: Path) -> None:
    warned = selectllm("eval", write_suite("repeats: 2"), "-o", "cold")
    assert "repeats: 2 at temperature 0" in warned.err
    assert "mock/first" in warned.err
    warm = "[mock/first] -> [{id: mock/first, temperature: 0.7}]"
    for changes in (("repeats: 2", warm), ("repeats: 1",)):
        outcome = selectllm("eval", write_suite(*changes), "-o", f"run-{len(changes)}")
        assert (outcome.code, "temperature" in outcome.err) == (0, False)
