"""The campaign of signals, in small: twenty of them cost nothing. `make bench` sends 200."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_twenty_signals_to_six_commands_cost_nothing() -> None:
    campaign = str(ROOT / "eval/benchmarks/crashes.py")
    done = subprocess.run(
        [sys.executable, campaign, "--signals", "20"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # A busy machine takes more: a command that has not ended gets another one.
    said = re.search(r"target: nothing wrong after (\d+) signals", done.stdout)
    assert said is not None, done.stdout
    assert int(said[1]) >= 20
    for verb in ("select", "eval", "ab", "optimize", "batch", "train"):
        assert f"SIGKILL  {verb} " in done.stdout
