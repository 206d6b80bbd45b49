"""docs/ is true: blocks print what they show, tables are the code's, what is named exists."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from cogapp import Cog

import selectllm as sl
from selectllm.cli import VERBS, cli, main
from tests.support.page_blocks import DOCS, PAGES, run_page, same

ROOT = DOCS.parent
TEXTS = {page.stem: page.read_text(encoding="utf-8") for page in PAGES}
RUN = sorted(name for name, text in TEXTS.items() if " run\n" in text)


@pytest.mark.parametrize("name", RUN)
def test_its_blocks_print_what_they_show(name: str) -> None:
    _, differences = run_page(TEXTS[name])
    assert not differences, (
        "\n".join(differences)
        + f"\nto take over: python -m tests.support.page_blocks docs/{name}.md"
    )


def test_the_three_jobs_show_real_output() -> None:
    assert {"tutorial", "annotate", "ab-test", "ci-gate", "ratings", "local-models"} <= {*RUN}


@pytest.mark.parametrize(
    ("shown", "printed"), [("a b\n", "a c\n"), ("a\n...\n", "b\n"), ("", "a\n"), ("a\n", "")]
)
def test_a_page_that_shows_something_else_is_found(shown: str, printed: str) -> None:
    assert not same(shown, printed)
    assert same(printed, printed)


def test_an_exit_code_that_is_not_shown_is_found() -> None:
    page = "```console run\n$ selectllm report nowhere\n$ ls\n```"
    with pytest.raises(AssertionError, match="exit code 2 is not shown"):
        run_page(page)


def test_its_tables_are_those_of_the_code() -> None:
    code = Cog().main(["cog", "--check", "-P", "-I", str(DOCS), *map(str, PAGES)])
    assert code == 0, "a table is out of date; run: make docs"


def test_every_command_and_option_it_names_exists() -> None:
    everything = "\n".join(text for name, text in TEXTS.items() if name != "cli")
    named = set(re.findall(r"(?:`|\$ )selectllm ([a-z]+)", everything))
    assert named <= VERBS.keys()
    options = set(re.findall(r"`(--[a-z][a-z-]+)", everything))
    assert options <= set(re.findall(r"--[a-z][a-z-]+", TEXTS["cli"])) | {"--help"}


def test_every_public_name_is_in_the_api_reference() -> None:
    documented = set(re.findall(r"auto(?:function|class):: (\w+)$", TEXTS["api"], re.MULTILINE))
    public = {name for name in sl.__all__ if not name.endswith("_async")} - {"STRATEGIES"}
    assert documented == public
    assert "`selectllm.STRATEGIES`" in TEXTS["api"]


def test_every_verb_has_its_place() -> None:
    context = cli.make_context("selectllm", ["init"], resilient_parsing=True)
    for verb in cli.list_commands(context):
        assert f"### `selectllm {verb}`" in TEXTS["cli"]
        assert re.search(rf"`{verb}[ `]", TEXTS["which-verb"]) or verb in ("init", "models")


def test_every_figure_stands_beside_a_command_that_exists() -> None:
    rows = [row for row in TEXTS["figures"].splitlines() if row.startswith("| ")][1:]
    assert len(rows) >= 15
    for row in rows:
        command = row.rstrip(" |").rpartition("|")[2].strip()
        assert command == "the same" or command.startswith("`python eval/benchmarks/"), row
    for script in re.findall(r"python (eval/[\w/]+\.py)", "\n".join(TEXTS.values())):
        assert (ROOT / script).exists(), script


def test_its_workflow_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every step of the GitHub workflow that is ours, in a copy of what it checks out."""
    blocks = re.findall(r"```yaml\n(.*?)```", TEXTS["ci-gate"], flags=re.DOTALL)
    workflow = yaml.safe_load(next(block for block in blocks if "jobs:" in block))
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


def test_every_room_is_on_the_map() -> None:
    rows = re.findall(r"^\| `([^`]+)` \|", TEXTS["rooms"], flags=re.MULTILINE)
    for row in rows:
        inside = "selectllm" if row.startswith(" ") else "."
        for name in row.split():
            assert (ROOT / inside / name).exists(), name
    rooms = {path.parent.name for path in (ROOT / "selectllm").glob("*/__init__.py")}
    assert {row.strip(" /") for row in rows if row.startswith("  ")} == rooms
