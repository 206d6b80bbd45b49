"""The usual faults of providers, met by whole commands; faults.py runs it and prints its table.

A judge that rates items (`utility calibrate`), a search (`optimize`), and `eval` over the direct
transport and in batches, each without faults and with the usual ones at the same time, in a process
and a workspace of its own. The faults are those of faults.py, drawn for each question. A batch
meets them in the requests about it: each kind of request is refused as busy once, and fails once.
What a command makes of the replies must be the same, but for seconds.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from aiohttp import web
from disturbed import reply

from tests.conftest import write_jsonl
from tests.support.batch_server import BatchServer
from tests.support.optimize_cases import PROMPT, rows
from tests.support.provider_server import Answer, ProviderServer, completion, error

ROOT = Path(__file__).resolve().parents[2]
RATIO = 1.2
MODEL = "hosted_vllm/m"
ASKING = ("--concurrency", "32", "--quiet")


@dataclass(frozen=True)
class Command:
    """A command: its words, and the files that it makes. `model`: more of the model's settings."""

    words: Sequence[str]
    results: Sequence[str]
    model: Mapping[str, Any] = field(default_factory=dict)


RUN = ("run/results.json",)
JUDGE = ("--human", "rating", "--judge", "rating:quality@1+m")
COMMANDS: Mapping[str, Command] = {
    "judge": Command(
        ("utility", "calibrate", "suite.yaml", *JUDGE, "--json", *ASKING), ("stdout",)
    ),
    "optimize": Command(
        ("optimize", "search.yaml", "--budget", "600", "--force", "-o", "run", *ASKING),
        ("run/optimize.json", "run/confirmation/results.json", "prompts/mine/v2.jinja"),
    ),
    "direct": Command(("eval", "suite.yaml", "-o", "run", *ASKING), RUN, {"transport": "direct"}),
    "batch": Command(("eval", "suite.yaml", "-o", "run", "--batch", "--quiet"), RUN),
}


@dataclass(frozen=True)
class Taken:
    """What a command came to: `results` without seconds, and the requests that it made."""

    seconds: float
    results: Sequence[bytes]
    requests: int


@dataclass(frozen=True)
class FaultyReplies:
    """A server whose replies follow from the question, after the faults that it is to meet."""

    faulty: Any

    def __call__(self, body: Any, headers: Any, n: int) -> Answer:
        """The answer to one request."""
        answer: Answer = self.faulty(body, headers, n)
        if answer.delay != 0.05:
            return answer
        text = str(body["messages"][-1]["content"])
        said = f"[1]: {len(text) % 10 + 1}" if "Rate this candidate" in text else None
        tokens = len(json.dumps(body["messages"])) // 4
        usage = {"prompt_tokens": tokens, "completion_tokens": 5, "total_tokens": tokens + 5}
        return Answer(200, completion(said or reply(body["messages"]), usage=usage), delay=0.05)


class FaultyBatches(AbstractContextManager["FaultyBatches"]):
    """A server of batches in a process of its own; `faulty`: whether its requests meet faults."""

    def __init__(self, faulty: bool) -> None:
        self._here, there = get_context("spawn").Pipe()
        self._process = get_context("spawn").Process(
            target=_serve, args=(there, faulty), daemon=True
        )

    def __enter__(self) -> Self:
        self._process.start()
        self.base_url = self._here.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()

    @property
    def count(self) -> int:
        """The requests so far."""
        self._here.send("count")
        return int(self._here.recv())


def _serve(pipe: Connection, faulty: bool) -> None:
    met: Counter[str] = Counter()
    faults = ((429, "Slow down."), (503, "Overloaded."))

    def before(step: str) -> web.Response | None:
        met[step] += 1
        if not faulty or met[step] > len(faults):
            return None
        status, text = faults[met[step] - 1]
        return web.json_response(error(text), status=status)

    with BatchServer(reply) as server:
        server.before = before
        pipe.send(server.base_url)
        while pipe.recv():
            pipe.send(len(server.steps))


def taken(name: str, mix: str, faulty: Any, calls: int) -> Taken:
    """Run a command against a server of its own."""
    command = COMMANDS[name]
    server = (
        FaultyBatches(mix != "none")
        if name == "batch"
        else ProviderServer(FaultyReplies(faulty), process=True)
    )
    with server, tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        _write(folder, server.base_url, command, calls)
        cache = str(folder / "cache")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "SELECTLLM_CACHE_DIR": cache}
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "selectllm", *command.words],
            cwd=folder,
            env=environment | {"OPENAI_API_KEY": "none"},
            capture_output=True,
            check=False,
        )
        seconds = time.perf_counter() - started
        if done.returncode not in (0, 1, 3):
            raise SystemExit(f"{name}, {mix}: exit {done.returncode}: {done.stderr.decode()}")
        (folder / "stdout").write_bytes(done.stdout)
        read = [(folder / path).read_bytes() for path in command.results]
        results = [re.sub(rb'"[a-z_]*seconds": ?[0-9.e-]+', b"", each) for each in read]
        return Taken(seconds, results, server.count)


def _write(folder: Path, base_url: str, command: Command, calls: int) -> None:
    """A pool, a workspace with a prompt, and the suites."""
    rated = [
        {"id": f"{n}", "instruction": f"Explain topic {n}.", "rating": n * 13 % 5 + 1}
        for n in range(calls if "calibrate" in command.words else 5 * calls)
    ]
    write_jsonl(folder / "pool.jsonl", rated)
    write_jsonl(folder / "searched.jsonl", rows(max(calls // 2, 40)))
    prompt = folder / "prompts/mine/v1.jinja"
    prompt.parent.mkdir(parents=True)
    prompt.write_text(PROMPT, "utf-8")
    (folder / "prompts/LOCK.yaml").write_text("", "utf-8")
    batched = {"id": "openai/m", "price": {"input": 0, "output": 0}}
    entry = {"name": "m", "id": MODEL, "api_base": base_url, "timeout": 2.0, **command.model}
    rating: dict[str, Any] = {"name": "rating", "source": "ratings", "column": "rating"}
    suite = {
        "name": "faults",
        "pool": "pool.jsonl",
        "utilities": [{**rating, "kind": "human"}],
        "clusters": {"by": "random", "size": 5},
        "picks": 1,
        "prompts": ["short@1"],
        "models": [{**entry, **(batched if "--batch" in command.words else {})}],
    }
    searched = {
        "pool": "searched.jsonl",
        "utilities": [{**rating, "column": "worth"}],
        "clusters": {"by": "random", "size": 4},
        "prompts": ["mine@1"],
    }
    (folder / "suite.yaml").write_text(json.dumps(suite), "utf-8")
    (folder / "search.yaml").write_text(json.dumps({**suite, **searched}), "utf-8")


def measure(faulty: Mapping[str, Any], calls: int, judged: bool) -> bool:
    """Run every command with each of the mixes `none` and `usual`, and print the table.

    False where a target is missed; `judged`: whether the seconds are of enough calls to tell.
    """
    print("\ncommand    requests  with faults   seconds  with faults   ratio  the same results")
    met = True
    for name in COMMANDS:
        with ThreadPoolExecutor(2) as both:  # whatever else this machine does, they do beside it
            plain, disturbed = both.map(
                lambda mix, name=name: taken(name, mix, faulty[mix], calls), ("none", "usual")
            )
        ratio, same = disturbed.seconds / plain.seconds, disturbed.results == plain.results
        # A batch takes minutes to hours, beside which waits of seconds are nothing.
        met = met and same and (ratio <= RATIO or name == "batch" or not judged)
        print(
            f"{name:9}{plain.requests:10}{disturbed.requests:13}{plain.seconds:10.1f}"
            f"{disturbed.seconds:13.1f}{ratio:8.3f}  {'yes' if same else 'NO'}",
            flush=True,
        )
    ended = "met" if met else "missed"
    unsure = "" if judged else " (seconds not judged)"
    print(f"target: commands end the same, all but batches within {RATIO} times: {ended}{unsure}")
    return met
