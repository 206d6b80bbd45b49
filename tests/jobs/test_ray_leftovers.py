"""What a killed command leaves of its Ray is removed by the next one, and nothing else is."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from selectllm.jobs.ray.leftovers import claim, sweep

CLAIM = """
import sys
from pathlib import Path
from selectllm.jobs.ray.leftovers import claim
handle = claim(Path(sys.argv[1]))
print("claimed", flush=True)
sys.stdin.read()
"""


def session(root: Path, name: str) -> Path:
    folder = root / f"session_{name}"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "raylet.out").write_text("what it said")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


def test_only_the_folder_of_a_dead_command_is_removed(root: Path) -> None:
    names = ("killed", "lives", "of-another-program", "mine")
    killed, lives, other, mine = (session(root, name) for name in names)
    commands = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for folder in (killed, lives)
    ]
    for command in commands:
        assert command.stdout is not None
        assert command.stdout.readline() == b"claimed\n"
    (root / "session_latest").symlink_to(mine)
    handle = claim(mine)
    sweep(root)
    assert killed.is_dir()
    commands[0].kill()
    commands[0].communicate()
    assert commands[0].returncode == -signal.SIGKILL
    sweep(root)
    assert not killed.exists()
    assert all((folder / "logs" / "raylet.out").exists() for folder in (lives, other, mine))
    commands[1].communicate(b"")
    sweep(root)
    assert sorted(each.name for each in root.iterdir()) == [
        "session_latest",
        "session_mine",
        "session_of-another-program",
    ]
    assert handle is not None
    handle.close()


def test_a_folder_that_cannot_be_marked_is_nobodys(root: Path) -> None:
    assert claim(root / "gone") is None
    sweep(root / "gone")
