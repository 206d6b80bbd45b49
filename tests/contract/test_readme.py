"""README.md is true: its example runs, its words are the code's, the files it names exist."""

from __future__ import annotations

import doctest
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from selectllm.cli import VERBS, main
from selectllm.evaluation.suite import load_suite
from selectllm.selection.strategies import FORMS, STRATEGIES
from tests.conftest import Command

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


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
    assert runner.tries >= 8
    assert runner.failures == 0


def test_the_suite_it_shows_is_a_suite(tmp_path: Path) -> None:
    suite = next(block for block in blocks("yaml") if block.startswith("name:"))
    path = tmp_path / "suite.yaml"
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


def test_its_suite_line_for_ratings_is_a_utility(tmp_path: Path) -> None:
    utilities = next(block for block in blocks("yaml") if block.startswith("utilities:"))
    path = tmp_path / "suite.yaml"
    text = f"name: a\npool: p\nstrategies: [longest]\n{utilities}"
    path.write_text(text, encoding="utf-8")
    assert [entry.source for entry in load_suite(path).utilities] == ["import"]


def test_its_workflow_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every step of the GitHub workflow that is ours, in a copy of what it checks out."""
    workflow = yaml.safe_load(next(block for block in blocks("yaml") if "jobs:" in block))
    steps = [step["run"] for step in workflow["jobs"]["gate"]["steps"] if "run" in step]
    ours = [shlex.split(run)[1:] for run in steps if run.startswith("selectllm ")]
    assert len(ours) == 1
    for folder in ("eval", "prompts"):
        ignored = shutil.ignore_patterns("runs", "__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "true")
    assert main(ours[0]) == 0
    assert (tmp_path / "gate.xml").exists()
    assert (tmp_path / "gate.md").exists()


def test_every_strategy_it_names_exists() -> None:
    table = README.split("| strategy | what comes first |")[1].split("\n\n")[0]
    cells = re.findall(r"^\|([^|]+)\|", table, flags=re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    assert {name for name in named if ":" not in name} == set(STRATEGIES)
    assert {name.partition(":")[0] for name in named if ":" in name} == set(FORMS)


def test_every_file_it_names_exists() -> None:
    for target in re.findall(r"\]\(((?!https?:)[^)]+)\)", README):
        place, _, heading = target.partition("#")
        assert (ROOT / place).exists(), target
        headings = re.findall(r"^#+ (.+)$", README, flags=re.MULTILINE)
        slugs = {re.sub(r"[^a-z -]", "", each.lower()).replace(" ", "-") for each in headings}
        assert place or heading in slugs, target
    table = README.split("## Where things are")[1].split("##")[0]
    for cell in re.findall(r"^\| `([^`]+)` \|", table, flags=re.MULTILINE):
        inside = "selectllm" if cell.startswith(" ") else "."
        for name in cell.split():
            assert (ROOT / inside / name).exists(), name


def test_every_room_is_on_the_map() -> None:
    table = README.split("## Where things are")[1].split("##")[0]
    rooms = {path.parent.name for path in (ROOT / "selectllm").glob("*/__init__.py")}
    assert set(re.findall(r"^\| `  ([a-z]+)/` \|", table, flags=re.MULTILINE)) == rooms
