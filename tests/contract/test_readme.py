"""README.md is short and true: its example runs, what it names exists; the rest is tests/docs."""

from __future__ import annotations

import doctest
import re
import shutil
from pathlib import Path

import pytest

from selectllm.cli import VERBS
from selectllm.evaluation.suite import load_suite
from tests.conftest import Command

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_a_newcomer_can_read_it_in_five_minutes() -> None:
    assert len(README.splitlines()) <= 150
    named = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} - {"docs/index.md"}
    assert named <= set(re.findall(r"\]\(([^)]+)\)", README))


def test_the_targets_of_make_that_it_names_exist() -> None:
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test", "docs"} <= set(re.findall(r"^\$ make ([a-z-]+)", README, re.MULTILINE))
    for target in re.findall(r"(?:`|\$ )make ([a-z-]+)", README):
        assert f"\n{target}:" in targets


def test_the_python_example_gives_what_it_shows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for part in ("prompts", "eval"):
        ignored = shutil.ignore_patterns("runs", "benchmarks", "__pycache__")
        shutil.copytree(ROOT / part, tmp_path / part, ignore=ignored)
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("python")
    test = doctest.DocTestParser().get_doctest(example, {}, "README", "README.md", 0)
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert runner.tries >= 6
    assert runner.failures == 0


def test_the_suite_it_shows_is_a_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = next(block for block in blocks("yaml") if block.startswith("name:"))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "suites" / "suite.yaml"
    path.parent.mkdir()
    path.write_text(suite, encoding="utf-8")
    shown, shipped = load_suite(path), load_suite(ROOT / "eval/suites/quickstart.yaml")
    assert (shown.name, shown.pool, shown.prompts) == (shipped.name, shipped.pool, shipped.prompts)
    assert (shown.clusters, shown.picks) == (shipped.clusters, shipped.picks)


def test_the_models_it_shows_are_model_entries(tmp_path: Path) -> None:
    models = next(block for block in blocks("yaml") if block.startswith("models:"))
    path = tmp_path / "suite.yaml"
    path.write_text(f"name: a\npool: p\nprompts: [short@1]\n{models}", encoding="utf-8")
    assert len(load_suite(path).specs()) == 3


def test_every_command_and_option_it_names_exists(selectllm: Command) -> None:
    commands = set(re.findall(r"[`$] ?selectllm ([a-z]+)", README))
    assert commands <= VERBS.keys()
    helps = "".join(selectllm(*verb.split(), "--help").out for verb in VERBS_WITH_OPTIONS)
    for option in set(re.findall(r"`(--[a-z-]+)", README)):
        assert option in helps, option


VERBS_WITH_OPTIONS = (
    *("select", "eval", "ab", "swap", "regress", "utility ask", "answers"),
    *("student compare", "utility validate", "optimize"),
)


def test_every_file_it_names_exists() -> None:
    for target in re.findall(r"\]\(((?!https?:)[^)]+)\)", README):
        place, _, heading = target.partition("#")
        assert (ROOT / place).exists(), target
        headings = re.findall(r"^#+ (.+)$", README, flags=re.MULTILINE)
        slugs = {re.sub(r"[^a-z -]", "", each.lower()).replace(" ", "-") for each in headings}
        assert place or heading in slugs, target
