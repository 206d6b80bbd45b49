"""Python in a process of its own that starts at once.

It is forked from one that has loaded what is slow to load: a new interpreter would load torch or
litellm for seconds, and each test again. Where what is loaded is the subject, start a new one.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("forking_program.py")

# What `selectllm` loads for each of these: modules, and functions of modules that load more.
DECIDING = ("selectllm.cli.eval", "selectllm.cli.select", "selectllm.cli.report")
ASKING = (*DECIDING, "selectllm.models.providers.litellm_quirks:load_litellm")
SEARCHING = (*ASKING, "selectllm.cli.optimize", "selectllm.optimization.gepa_program:load_dspy")
TRAINING = ("selectllm.cli.student", "peft")
GATING = (*DECIDING, "selectllm.jobs.gating", "pytest")

_NUMBERS = itertools.count()


class Forked:
    """A process that was forked, with the part of subprocess.Popen that tests use."""

    def __init__(self, pid: int, stdout: Path, stderr: Path) -> None:
        self.pid, self._stdout, self._stderr = pid, stdout, stderr
        self.returncode: int | None = None

    @property
    def out(self) -> str:
        """What it wrote to stdout so far."""
        return self._stdout.read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        """What it wrote to stderr so far."""
        try:
            return self._stderr.read_text(encoding="utf-8")
        except FileNotFoundError:  # it has not come so far
            return ""

    def poll(self) -> int | None:
        """Its exit code, negative for a signal, or None while it runs."""
        if self.returncode is None:
            self.returncode = _told(wait=self.pid)
        return self.returncode

    def wait(self, timeout: float = 300) -> int:
        """Its exit code, negative for a signal. Raises AssertionError where it does not end."""
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            assert time.monotonic() < until, f"{self.pid} runs on: {self.err}"
            time.sleep(0.005)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send it this signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def fork(
    *words: object,
    loads: Sequence[str] = DECIDING,
    env: dict[str, str] | None = None,
    stdout: str | Path | None = None,
    stderr: str | Path | None = None,
) -> Forked:
    """Run Python with these words (`-m MODULE ...` or `-c CODE ...`) in the current folder.

    `loads`: what it finds loaded. `env`: its environment, ours if None. `stdout` and
    `stderr`: paths, such as those of terminals; of new files if None.
    """
    number = next(_NUMBERS)
    out = Path(stdout or Path(_folder().name, f"{number}.out")).absolute()
    err = Path(stderr or Path(_folder().name, f"{number}.err")).absolute()
    environment = dict(os.environ if env is None else env)
    asked = {"words": [*map(str, words)], "loads": [*loads], "env": environment}
    return Forked(_told(**asked, folder=os.getcwd(), out=str(out), err=str(err)), out, err)


def selectllm(*words: object, **options: Any) -> Forked:
    """`selectllm WORDS` in a process of its own; the options are those of `fork`."""
    return fork("-m", "selectllm", *words, **options)


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Where they write to, removed in the end."""
    made = tempfile.TemporaryDirectory(prefix="forked")
    atexit.register(made.cleanup)
    return made


@functools.cache
def _server() -> subprocess.Popen[str]:
    """The process that forks, started where the first test needs it."""
    folder = Path(__file__).parents[2]
    started = subprocess.Popen(
        [sys.executable, str(PROGRAM)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(started.communicate)  # its input ends, and so does it
    return started


def _told(**asked: Any) -> Any:
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(asked) + "\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline())
