"""The command line as a whole: help, exit codes, `init`, and the cache's verbs."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Command

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
        *("cache stats", "cache ls", "cache clear"),
    ],
)
def test_every_verb_has_help(selectllm: Command, verb: str) -> None:
    outcome = selectllm(*verb.split(), "--help")
    assert outcome.code == 0
    assert "Usage:" in outcome.out


def test_python_m_selectllm_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "selectllm", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "selectllm" in done.stdout


def test_init_makes_a_workspace_that_runs(selectllm: Command, tmp_path: Path) -> None:
    assert selectllm("init", "work").code == 0
    made = tmp_path / "work"
    assert sorted(path.name for path in made.iterdir()) == ["cache", "eval", "prompts"]
    for part in ("prompts/LOCK.yaml", "prompts/short/v1.jinja"):
        assert (made / part).read_bytes() == (ROOT / part).read_bytes()
    suite = made / "eval" / "suites" / "quickstart.yaml"
    shipped = ["paper-alpaca.yaml", "paper-dolly.yaml", "quickstart.yaml"]
    assert sorted(path.name for path in suite.parent.iterdir()) == shipped
    text = suite.read_text(encoding="utf-8").replace("local/smollm2-135m", "mock/first")
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
    from selectllm.core.types import Reply
    from selectllm.models.wrappers.cache import ReplyCache
    from tests.models.wrappers.test_cache import REQUEST

    ReplyCache(tmp_path / "cache" / "replies").put(REQUEST, Reply("[1]", "stop", 10, 2, 0.5, 1.0))
    stats = selectllm("cache", "stats", "--json").json
    assert stats["models"] == {
        "openai/m": {"replies": 1, "tokens_in": 10, "tokens_out": 2, "cost_usd": 0.5}
    }
    assert "1 replies" in selectllm("cache", "stats").out
    assert json.loads(selectllm("cache", "ls", "--json").out)["key"] == REQUEST.key
    assert REQUEST.key[:12] in selectllm("cache", "ls").out
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    kept = selectllm("cache", "clear")
    assert (kept.code, kept.out) == (0, "nothing removed\n")
    assert "removed 1 replies" in selectllm("cache", "clear", "--yes").out
    assert selectllm("cache", "stats", "--json").json["models"] == {}


def test_a_file_that_cannot_be_written_is_bad_input_and_no_verdict(
    selectllm: Command, pool_file: Path
) -> None:
    Path("file").touch()
    out = Path("file") / "out.jsonl"
    told = selectllm("select", pool_file, "--budget", 3, "--strategy", "first", "-o", out)
    assert told.code == 2
    assert told.err.startswith("selectllm: file")
    assert "check the path" in told.err


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
