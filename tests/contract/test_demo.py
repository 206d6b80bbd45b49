"""The part of `make demo` that needs no model: every verdict is shown and explained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow  # a process for each of its commands


def test_the_simulated_part_shows_three_verdicts_and_goes_on_after_exit_code_1(
    tmp_path: Path,
) -> None:
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
    assert (tmp_path / "runs" / "ab" / "report.html").is_file()


def test_it_stops_where_a_command_fails(tmp_path: Path) -> None:
    script = ("sh", "eval/simulated.sh", "false", tmp_path / "runs")
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "What this says" not in done.stdout
