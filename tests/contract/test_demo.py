"""The part of `make demo` that needs no model: every verdict is shown and explained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.support.cli_files import RATED, write_suite

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow  # a process for each of its commands


def test_the_simulated_part_shows_three_verdicts_and_ends_with_one_page_of_all(
    selectllm: Command, pool_file: Path, tmp_path: Path
) -> None:
    """`make demo` has put the run of a model into the folder before; exit code 1 is an answer."""
    write_suite(RATED.replace("[1, 5]", "[0, 100]"))
    assert selectllm("eval", "suite.yaml", "-o", "runs/quickstart").code == 0
    command = Path(sys.executable).parent / "selectllm"
    script = ("sh", "eval/simulated.sh", command, tmp_path / "runs")
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    words = [line.partition("  ")[0] for line in lines if "  short@1 + " in line]
    verdicts = [word for word in words if word.isupper()]
    assert verdicts == ["BETTER", "NOT SAFE", "FAIL", "PASS"]
    assert done.stdout.count("What this says: ") == 3
    assert "SIMULATED" in done.stdout
    written = tmp_path / "runs" / "report.html"
    assert done.stderr.splitlines()[-1].split(". ")[0] == f"Wrote the page to {written}"
    page = written.read_text(encoding="utf-8")
    assert all(f'id="run-{nth}-top"' in page for nth in (1, 2))
    assert "careless, skilled are simulated" in page


def test_it_stops_where_a_command_fails(tmp_path: Path) -> None:
    script = ("sh", "eval/simulated.sh", "false", tmp_path / "runs")
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "What this says" not in done.stdout
