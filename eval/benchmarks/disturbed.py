"""What crashes.py disturbs: two commands, each in a process of its own, and what they leave."""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.provider_server import Answer, completion, fingerprint

LETTERS = str.maketrans("0123456789", "ghijklmnop")  # of a fingerprint: no digit is a pick
SIZE, CALLS = 5, 40
ASKING = ("--concurrency", "4", "--quiet")
BY_RANDOM = ("--by", "random", "--cluster-size", str(SIZE), "--prompt", "short@1")
MODEL = "hosted_vllm/m"


@dataclass(frozen=True)
class Verb:
    """A command: its words, where it logs its decisions, and what it makes of them."""

    words: Sequence[str]
    log: Path
    result: Path

    def command(self, base_url: str) -> Sequence[str]:
        """The words, with the server's address where they name a model."""
        named = self.words[0] == "select"
        return (*self.words, *(("--model", MODEL, "--api-base", base_url) if named else ()))


VERBS: Mapping[str, Verb] = {
    "select": Verb(
        ("select", "pool.jsonl", "--budget", str(CALLS), *BY_RANDOM, "-o", "out.jsonl", *ASKING),
        Path("out.jsonl.decisions.jsonl"),
        Path("out.jsonl"),
    ),
    "eval": Verb(
        ("eval", "suite.yaml", "-o", "run", *ASKING),
        Path("run/decisions.jsonl"),
        Path("run/results.json"),
    ),
}


def write_files(folder: Path, base_url: str) -> None:
    """A pool and a suite, of CALLS calls each."""
    rows = (
        {"id": f"{n}", "instruction": f"Explain topic {n}.", "rating": n * 13 % 5 + 1}
        for n in range(SIZE * CALLS)
    )
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    suite = {
        "name": "crashes",
        "pool": "pool.jsonl",
        "utilities": [{"name": "rating", "source": "ratings", "column": "rating"}],
        "clusters": {"by": "random", "size": SIZE},
        "picks": 1,
        "prompts": ["short@1"],
        "models": [{"name": "m", "id": MODEL, "api_base": base_url}],
    }
    (folder / "suite.yaml").write_text(json.dumps(suite), "utf-8")


def load(folder: Path, base_url: str) -> None:
    """Load all that the commands load, by running each in this process."""
    from selectllm.cli import main as command

    write_files(folder, base_url)
    os.environ["SELECTLLM_CACHE_DIR"] = str(folder / "cache")
    with chdir(folder), redirect_stdout(io.StringIO()):
        for verb in VERBS.values():
            code = command(verb.command(base_url))
            assert code == 0, code


class Child:
    """A process that runs a command in the current folder."""

    def __init__(self, command: Sequence[str]) -> None:
        every = set(signal.Signals)
        signal.pthread_sigmask(signal.SIG_BLOCK, every)  # until it is the command's to hear them
        self.pid = os.fork()
        if not self.pid:
            run(command)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, every)

    def ended(self, number: signal.Signals | None = None) -> tuple[int, bool]:
        """Its exit code once it has ended, and whether it was there to get the signal."""
        struck = False
        if number is not None:
            struck = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
            os.kill(self.pid, number)  # it is not reaped yet: this is no other process
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return code, struck and code != 0


def run(command: Sequence[str]) -> None:
    """Be `selectllm COMMAND`, and end."""
    code = 70
    try:
        output = os.open("stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ["SELECTLLM_CACHE_DIR"] = str(Path("cache").resolve())
        sys.argv = ["selectllm", *command]
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background has none
        signal.pthread_sigmask(signal.SIG_UNBLOCK, set(signal.Signals))
        from selectllm.cli import script

        script()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 70
    except KeyboardInterrupt:  # before the command could hear of it, or after it had ended
        code = 130
    finally:
        os._exit(code)


def is_odd(code: int, number: signal.Signals | None) -> bool:
    """Whether a process should not have ended so, after a signal or without; says why."""
    text = Path("stderr").read_text("utf-8", "replace") if Path("stderr").exists() else ""
    # SIGTERM ends it at once before and after it asks.
    expected = {
        None: (0,),
        signal.SIGKILL: (-signal.SIGKILL,),
        signal.SIGTERM: (-signal.SIGTERM, 130),
        signal.SIGINT: (130,),
    }[number]
    if code in expected and "Traceback" not in text and "Warning" not in text:
        return False
    print(f"odd: exit code {code} after {number and number.name}: {text}", file=sys.stderr)
    return True


def answer(body: Any, headers: Any, n: int) -> Answer:
    """A pick that follows from the question, after 20 to 80 ms; it names the question."""
    name = fingerprint(body)
    draw = random.Random(name)
    text = f"Reply {name.translate(LETTERS)}.\n[{draw.randint(1, SIZE)}]"
    return Answer(200, completion(text), delay=draw.uniform(0.02, 0.08))


def kept(cache: Path) -> frozenset[str]:
    """The fingerprints of the calls in a cache, read from a copy: it stays as it was left."""
    from selectllm.models.wrappers.cache import ReplyCache

    if not (cache / "replies").exists():
        return frozenset()
    back = {after: before for before, after in LETTERS.items()}
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(cache / "replies", copy, dirs_exist_ok=True)
        replies = ReplyCache(Path(copy))
        texts = [row["reply"]["text"] for _, row in replies.rows()]
        replies.close()
    return frozenset(text.split()[1].rstrip(".").translate(back) for text in texts)


def logged(log: Path) -> Counter[tuple[Any, ...]]:
    """How often each decision stands in a log; a row that was cut off is none."""
    lines = log.read_bytes().splitlines(keepends=True)[1:] if log.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith(b"\n")]
    names = ("cluster", "order", "repeat", "round", "prompt", "model", "strategy")
    return Counter(
        tuple(row.get(name) for name in names) for row in rows if row.get("status") == "ok"
    )


def untimed(result: Path) -> bytes:
    """A result but for the seconds that the server took, which no two runs measure alike."""
    return re.sub(rb'"seconds": ?[0-9.e-]+', b"", result.read_bytes())
