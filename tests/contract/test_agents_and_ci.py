"""What others run us by: the action, the pre-commit hook, and the skill that agents read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from selectllm.core.yaml_text import load_yaml
from tests.support.commands import commands_in, unknown_in

ROOT = Path(__file__).parents[2]
SKILL = (ROOT / "skills/selectllm/SKILL.md").read_text(encoding="utf-8")
ACTION: Any = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step.get("name"): step for step in ACTION["runs"]["steps"]}
HOOKS: Any = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in front of PATH with `selectllm`, and a `gh` that writes down how it is called."""
    folder = tmp_path / "programs"
    folder.mkdir()
    scripts = {
        "selectllm": f'exec "{sys.executable}" -m selectllm "$@"',
        "gh": f'printf "%s\\n" "$@" >> "{tmp_path}/gh.txt"; exit "${{GH_EXIT:-0}}"',
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    return folder


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a workflow checks out, and what a runner sets."""
    folder = tmp_path / "checkout"
    for part in ("eval", "prompts"):
        ignored = shutil.ignore_patterns("runs", "benchmarks", "__pycache__")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    monkeypatch.chdir(folder)
    for name in ("OUTPUT", "STEP_SUMMARY"):
        monkeypatch.setenv(f"GITHUB_{name}", str(tmp_path / f"{name}.txt"))
    monkeypatch.setenv("RUNNER_TEMP", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    return folder


def carried_out(name: str, **inputs: str) -> subprocess.CompletedProcess[str]:
    """A step of the action, as a runner carries out its script."""
    script = STEPS[name]["run"]
    shell = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
    return subprocess.run(shell, env=os.environ | inputs, capture_output=True, text=True)


class TestAction:
    """action.yml."""

    def test_every_input_and_output_is_described_and_used(self) -> None:
        text = (ROOT / "action.yml").read_text(encoding="utf-8")
        for name, given in ACTION["inputs"].items():
            assert given["description"].strip()
            assert given.get("required") or "default" in given, name
            assert f"inputs.{name}" in text, name
        assert set(re.findall(r"inputs\.([a-z-]+)", text)) == set(ACTION["inputs"])
        assert all(each["description"] for each in ACTION["outputs"].values())

    def test_its_scripts_take_inputs_from_the_environment_alone(self) -> None:
        for step in ACTION["runs"]["steps"]:
            assert ("run" in step) == (step.get("shell") == "bash")
            assert "${{" not in step.get("run", "")  # a branch's name is no part of a script

    def test_the_gate_passes_and_leaves_its_reports(
        self, checkout: Path, programs: Path, tmp_path: Path
    ) -> None:
        inputs = {"SUITE": "eval/suites/gate.yaml", "BASELINE": "eval/baselines/gate.json"}
        done = carried_out("Run the gate", **inputs, ARGUMENTS="--offline --quiet")
        assert done.returncode == 0, done.stderr
        reports = tmp_path / "selectllm-gate"
        assert {each.name for each in reports.iterdir()} == {
            "run",
            "gate.xml",
            "gate.md",
            "gate.html",
        }
        assert (tmp_path / "OUTPUT.txt").read_text() == "exit-code=0\n"
        assert "selectllm, gate: pass" in (tmp_path / "STEP_SUMMARY.txt").read_text("utf-8")
        done = carried_out("Comment on the pull request", PULL_REQUEST="URL", GH_EXIT="1")
        assert done.returncode == 0  # on a fork the token may not
        assert "::warning::" in done.stdout
        called = (tmp_path / "gh.txt").read_text().splitlines()
        assert called[:4] == ["pr", "comment", "URL", "--body-file"]
        assert called[4] == str(reports / "gate.md")

    def test_a_gate_without_a_verdict_fails_the_step_with_its_code(
        self, checkout: Path, programs: Path, tmp_path: Path
    ) -> None:
        inputs = {"SUITE": "eval/suites/gate.yaml", "BASELINE": "none.json", "ARGUMENTS": ""}
        assert carried_out("Run the gate", **inputs).returncode == 2
        assert (tmp_path / "OUTPUT.txt").read_text() == "exit-code=2\n"
        assert carried_out("Comment on the pull request").returncode == 0  # there is no report
        assert not (tmp_path / "gh.txt").exists()

    def test_what_it_installs_by_default_lies_beside_it(self) -> None:
        assert '-c "$ACTION/constraints.txt" "$ACTION"' in STEPS["Install selectllm"]["run"]
        assert (ROOT / "constraints.txt").exists()


class TestSnippets:
    """The snippets for CI services in docs/ci-gate.md."""

    def test_each_is_yaml_whose_commands_exist_and_install_the_light_one(self) -> None:
        page = (ROOT / "docs/ci-gate.md").read_text(encoding="utf-8")
        blocks = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
        (github,) = (yaml.safe_load(block) for block in blocks if "runs-on:" in block)
        (gitlab,) = (yaml.safe_load(block) for block in blocks if "CI_PIPELINE_SOURCE" in block)
        steps = [step["run"] for step in github["jobs"]["gate"]["steps"] if "run" in step]
        for lines in (steps, gitlab["gate"]["script"]):
            assert "pip install selectllm" in lines
            (gate,) = (line.split()[1:] for line in lines if line.startswith("selectllm "))
            assert unknown_in(gate) == []
        written = {gitlab["gate"]["artifacts"]["reports"]["junit"]}
        assert written < set(gate)


class TestHook:
    """.pre-commit-hooks.yaml."""

    def test_its_commands_exist(self) -> None:
        for hook in HOOKS:
            program, *words = hook["entry"].split()
            assert program == "selectllm"
            assert unknown_in(words) == []

    @pytest.mark.slow
    def test_a_commit_with_a_changed_release_is_refused(
        self, checkout: Path, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By pre-commit itself; `language: system` keeps it from installing all that we need."""
        monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "pre-commit"))
        for name in ("AUTHOR", "COMMITTER"):
            monkeypatch.setenv(f"GIT_{name}_NAME", "a")
            monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@example.org")
        ours = tmp_path / "hooks"
        ours.mkdir()
        shutil.copy(ROOT / ".pre-commit-hooks.yaml", ours)
        for folder in (ours, checkout):
            for words in ("init -q", "add -A", "commit -qm first"):
                subprocess.run(("git", *words.split()), cwd=folder, check=True)
        hook = {"id": "selectllm-prompts", "language": "system"}
        repo = {"repo": str(ours), "rev": "HEAD", "hooks": [hook]}
        config = yaml.safe_dump({"repos": [repo]})
        Path(".pre-commit-config.yaml").write_text(config, encoding="utf-8")
        subprocess.run(("git", "add", "-A"), check=True)

        def checked() -> subprocess.CompletedProcess[str]:
            words = (sys.executable, "-m", "pre_commit", "run", "--all-files")
            return subprocess.run(words, capture_output=True, text=True)

        done = checked()
        assert done.returncode == 0, done.stdout + done.stderr
        with Path("prompts/short/v1.jinja").open("a", encoding="utf-8") as file:
            file.write("more")
        assert checked().returncode == 1


class TestSkill:
    """skills/selectllm/SKILL.md."""

    def test_its_front_matter_names_and_describes_it(self) -> None:
        _, head, body = SKILL.split("---\n", 2)
        front: Any = load_yaml(head)
        assert front["name"] == "selectllm"
        assert 100 < len(front["description"]) <= 1024
        assert len(body.splitlines()) < 500

    def test_its_first_rule_is_to_plan_show_the_cost_ask_and_only_then_spend(self) -> None:
        headings = re.findall(r"^## (.+)$", SKILL, re.M)
        assert headings[0] == "Rule 1: plan, show the cost, ask, then spend"

    def test_its_commands_exist(self) -> None:
        commands = list(commands_in(SKILL))
        assert len(commands) >= 15
        assert {" ".join(words): unknown_in(words) for words in commands if unknown_in(words)} == {}

    def test_what_spends_has_a_limit_or_sends_nothing(self) -> None:
        asking = {"select", "ab", "swap"}
        for words in commands_in(SKILL):
            if words[0] in asking and len(words) > 1:
                assert {"--dry-run", "--max-cost"} & set(words), words
