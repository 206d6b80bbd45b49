"""Where SECURITY.md says how many tests show a promise, there are as many."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / ".github" / "SECURITY.md"
ROW = re.compile(r"^\|[^|]*\| `pytest (\S+?)(?: -k (\w+))?` \| (\d+) tests\b", re.MULTILINE)


def test_the_figures_that_count_tests_are_those_of_the_tests() -> None:
    told = ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert len(told) > 5
    files = {file for file, _, _ in told}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tests = [line.partition("::") for line in done.stdout.splitlines()]
    assert told == [
        (file, word, str(sum(where == file and word in name for where, _, name in tests)))
        for file, word, _ in told
    ]
