"""The command line as a whole: help, exit codes, `init`, and the cache's verbs."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click
import pytest

from selectllm.core.errors import SelectionShort, SelectLLMError
from selectllm.core.types import Reply
from selectllm.models.wrappers.cache import ReplyCache
from tests.conftest import Command, pool_rows, write_jsonl
from tests.models.wrappers.test_cache import REQUEST

ROOT = Path(__file__).parents[2]


def test_help_lists_the_everyday_verbs_first(selectllm: Command) -> None:
    outcome = selectllm("--help")
    assert outcome.code == 0
    places = [outcome.out.index(f"  {verb} ") for verb in ("init", "select", "eval", "prompts")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "verb",
    [
        *("init", "select", "eval", "report", "prompts", "models", "cache"),
        *("prompts list", "prompts show", "prompts render", "prompts diff", "prompts new"),
        *("prompts lock", "prompts check", "models list", "models install", "models serve"),
        *("cache stats", "cache ls", "cache verify", "cache clear"),
    ],
)
def test_every_verb_has_help(selectllm: Command, verb: str) -> None:
    outcome = selectllm(*verb.split(), "--help")
    assert outcome.code == 0
    assert "Usage:" in outcome.out


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("evla",), "'eval'"),
        (("prompts", "lst"), "'list'"),
        (("select", "pool.jsonl", "--budgt", "3"), "'--budget'"),
    ],
)
def test_a_slip_of_the_pen_is_answered_with_what_was_meant(
    selectllm: Command, typed: tuple[str, ...], meant: str
) -> None:
    refused = selectllm(*typed)
    assert (refused.code, meant in refused.err.partition("id you mean")[2]) == (2, True)


def test_python_m_selectllm_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "selectllm", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "selectllm" in done.stdout


def test_init_makes_a_workspace_that_runs(selectllm: Command, tmp_path: Path) -> None:
    assert selectllm("init", "work").code == 0
    made = tmp_path / "work"
    assert {"cache", "eval", "prompts"} <= {path.name for path in made.iterdir()}
    for part in ("prompts/LOCK.yaml", "prompts/short/v1.jinja"):
        assert (made / part).read_bytes() == (ROOT / part).read_bytes()
    suite = made / "eval" / "suites" / "quickstart.yaml"
    shipped = ["gate.yaml", "paper-alpaca.yaml", "paper-dolly.yaml", "quickstart.yaml"]
    shipped += ["simulated-after.yaml", "simulated.yaml"]
    assert sorted(path.name for path in suite.parent.iterdir()) == shipped
    kept = [line for line in suite.read_text("utf-8").splitlines() if "{name: knn" not in line]
    text = "\n".join(kept).replace("local/smollm2-135m", "mock/first")
    suite.write_text(text.replace("diverse", "random"), encoding="utf-8")
    outcome = selectllm("eval", suite, "--limit", 3)
    assert outcome.code == 0, outcome.err
    assert len(list((made / "eval" / "runs").iterdir())) == 1
    assert selectllm("prompts", "check", "--prompts", made / "prompts").code == 0


def test_init_overwrites_nothing(selectllm: Command, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    outcome = selectllm("init")
    assert outcome.code == 2
    assert "cache exist already" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_the_cache_can_be_looked_into_and_cleared(
    selectllm: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ReplyCache(tmp_path / "cache" / "replies").put(REQUEST, Reply("[1]", "stop", 10, 2, 0.5, 1.0))
    stats = selectllm("cache", "stats", "--json").json
    assert stats["models"] == {
        "openai/m": {"replies": 1, "tokens_in": 10, "tokens_out": 2, "cost_usd": 0.5}
    }
    assert "replies: 1 reply," in selectllm("cache", "stats").out
    assert json.loads(selectllm("cache", "ls", "--json").out)["key"] == REQUEST.key
    assert REQUEST.key[:12] in selectllm("cache", "ls").out
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    kept = selectllm("cache", "clear")
    assert (kept.code, kept.out) == (0, "Nothing was removed.\n")
    assert "Removed 1 reply from" in selectllm("cache", "clear", "--yes").out
    assert selectllm("cache", "stats", "--json").json["models"] == {}


def test_a_file_that_cannot_be_written_is_bad_input_and_no_verdict(
    selectllm: Command, pool_file: Path
) -> None:
    Path("file").touch()
    out = Path("file") / "out.jsonl"
    told = selectllm("select", pool_file, "--budget", 3, "--strategy", "first", "-o", out)
    assert told.code == 2
    assert told.err.startswith(f"selectllm: -o {out} cannot be written")
    assert "Choose another file" in told.err


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise there")
def test_output_that_nobody_reads_any_more_is_no_crash(pool_file: Path) -> None:
    arguments = ["-m", "selectllm", "prompts", "list", "--json"]
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process:
        assert "Traceback" not in process.stderr.read()


def filled_cache(folder: Path) -> Path:
    """A cache of 120 replies, whose database is returned."""
    with closing(ReplyCache(folder)) as cache:
        for number in range(120):
            cache.put(replace(REQUEST, repeat=number), Reply(f"reply {number}"))
    return folder / "cache.db"


def test_a_damaged_cache_is_told_repaired_and_cleared(selectllm: Command, tmp_path: Path) -> None:
    database = filled_cache(tmp_path / "cache" / "replies")
    assert selectllm("cache", "verify").out.startswith("All 120 replies in ")
    data = database.read_bytes()
    (last, *_) = [s for s in range(0, len(data), 4096) if b"finish_reason" in data[s : s + 4096]]
    database.write_bytes(data[:last] + b"\xaa" * 4096 + data[last + 4096 :])
    for verb in ("ls", "stats"):
        outcome = selectllm("cache", verb)
        assert (outcome.code, outcome.out) == (2, "")
        assert f"{database.parent}: the reply cache is damaged" in outcome.err
        assert "selectllm cache verify --repair --cache" in outcome.err
    examined = selectllm("cache", "verify", "--json")
    assert examined.code == 1
    assert 100 <= examined.json["whole"] < 120
    told = selectllm("cache", "verify")
    assert told.code == 1
    assert f"{examined.json['whole']} replies in " in told.out
    assert selectllm("cache", "verify", "--repair").code == 0
    assert selectllm("cache", "verify", "--json").json == {
        "folder": str(database.parent),
        "whole": examined.json["whole"],
        "damaged": [],
    }
    database.write_bytes(b"no database" * 1_000)
    assert selectllm("cache", "clear", "--yes").out.startswith("Removed the damaged cache from ")
    assert selectllm("cache", "stats", "--json").json["models"] == {}


@pytest.mark.parametrize("verb", ["stats", "ls", "verify", "clear --yes"])
@pytest.mark.parametrize("how", ["a file in its place", "a home that is not there"])
def test_a_cache_folder_that_cannot_be_is_bad_input(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch, verb: str, how: str
) -> None:
    Path("file").touch()
    place = "file" if how.startswith("a file") else "~nobody-of-that-name/cache"
    monkeypatch.setenv("SELECTLLM_CACHE_DIR", place)
    outcome = selectllm("cache", *verb.split())
    assert (outcome.code, outcome.out) == (2, "")
    assert place.partition("/")[0] in outcome.err


def test_an_unanswered_question_is_bad_input(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    outcome = selectllm("cache", "clear")
    assert outcome.code == 2
    assert "--help" in outcome.err


class Expected(Exception):
    """What no edge knows."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Expected("sk-secret-0123456789 went to https://me:word@127.0.0.1/"), 70),
        (RecursionError(), 70),
        (MemoryError(), 70),
        (AssertionError("1 is not 2"), 70),
        (SystemExit(1), 70),
        (ExceptionGroup("two", [ValueError("a"), OSError("b")]), 70),
        (BrokenPipeError(32, "a socket's"), 70),
        (click.FileError("pool.jsonl"), 2),
        (click.UsageError("no"), 2),
        (SelectLLMError("of a user's own code"), 2),
        (PermissionError(13, "Permission denied", "x"), 2),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (SelectionShort("2 of 3 items"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_only_an_answer_ends_with_1(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("home").absolute()))
    monkeypatch.setattr("selectllm.cli.cache.find_workspace", fail)
    outcome = selectllm("cache", "stats")
    assert outcome.code == code
    assert "Traceback" not in outcome.err
    if code == 70:
        (path,) = Path("home/selectllm/errors").iterdir()
        assert str(path.absolute()) in outcome.err
        assert len(outcome.err.splitlines()) == 1
        written = path.read_text(encoding="utf-8")
        assert "Traceback (most recent call last)" in written
        assert "0123456789" not in written + outcome.err
        assert "me:word" not in written


def ended(command: str) -> subprocess.CompletedProcess[bytes]:
    """`selectllm` with what the shell makes of its streams."""
    script = f"{shlex.quote(sys.executable)} -m selectllm {command}"
    return subprocess.run(["bash", "-c", script], capture_output=True, check=False)


@pytest.mark.skipif(sys.platform != "linux", reason="shells and /dev/full are elsewhere otherwise")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_who_reads_along_does_not_change_the_exit_code(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch, unbuffered: str
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    database = filled_cache(Path("cache/replies"))
    text = database.read_bytes().replace(b'"reply 7"', '"\u6cb3\U0001f600"'.encode())
    database.write_bytes(text)  # no reply of ours any more: a difference, which is exit code 1
    verify = "cache verify --json"
    assert ended(verify).returncode == 1
    assert ended(f"{verify} | (exec <&-; sleep 0.1); exit ${{PIPESTATUS[0]}}").returncode == 1
    assert ended(f"{verify} >&-").returncode == 1
    assert ended(f"{verify} 2>&-").returncode == 1
    assert ended(f"{verify} 2>/dev/full").returncode == 1
    full = ended(f"{verify} >/dev/full")
    assert full.returncode == 2
    assert full.stderr.startswith(b"selectllm: Standard output cannot be written (No space left")
    with closing(ReplyCache(Path("other/replies"))) as cache:
        cache.put(REQUEST, Reply("\u6cb3\U0001f600"))
    listed = ended("cache ls --json --cache other")
    assert (listed.returncode, json.loads(listed.stdout)["reply"]["text"]) == (
        0,
        "\u6cb3\U0001f600",
    )


OWN = """
from selectllm import Strategy

last = Strategy("last", lambda candidates, n: range(len(candidates.items))[-n:])
"""


def test_a_file_of_the_current_folder_is_no_library(selectllm: Command) -> None:
    """`python -m` would run it; what a suite names as `module:attr` is still found there."""
    write_jsonl(Path("pool.jsonl"), pool_rows(40))
    for name in ("yaml", "click", "numpy"):
        Path(f"{name}.py").write_text(f"raise SystemExit('{name} was run')", encoding="utf-8")
    Path("own.py").write_text(OWN, encoding="utf-8")
    words = ["select", "pool.jsonl", "--budget", "3", "--strategy", "own:last"]
    done = subprocess.run(
        [sys.executable, "-m", "selectllm", *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "own.py" in done.stderr
