"""What providers do wrong, in one run: all is answered that can be, and nothing else is.

    python eval/benchmarks/faults.py [--calls 2000] [--seed 0] [--rounds 3]

A local server answers in 50 ms, 32 calls at a time. Four runs of the same questions, each in a
process of its own: without faults and, at the same time, with the usual ones (5 % of calls refused
as busy, 4 % server errors, 1 % cut off, 0.5 % never answered); then with 15 % refused at random,
who are asked to wait for 2 seconds each; then with every kind of fault in turn, one question in
two. The first two take place in a few rounds, with faults drawn anew, and their median ratio
counts, since a machine is never quite quiet. A reply that counts says [2]; whatever is cut,
filtered or wrong says [1], so that a pick of the first item is one that nobody made. Seconds are
from the first decision to the last, after one that nobody measures. Then whole commands meet the
usual faults, see faulty_commands.py.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import faulty_commands  # noqa: E402
from faulty_commands import RATIO  # noqa: E402

from tests.support.provider_server import HTML, Answer, completion, error  # noqa: E402

CONCURRENCY = 32
TIMEOUT = 2.0  # seconds, of a call
JUDGED = 2000  # calls from which seconds are judged: of fewer, one time-out is most of them
WARM_UP = "Say anything."
WRONG, RIGHT = "[1]", "[2]"
USAGE = {"prompt_tokens": 300, "completion_tokens": 5, "total_tokens": 305}


@dataclass(frozen=True)
class Kind:
    """A kind of fault: what it answers, how often to one question, and what comes of it.

    `times`: None for ever. `ends`: the statuses that its decisions may have.
    """

    answers: Sequence[Answer]
    times: int | None = 1
    ends: tuple[str, ...] = ("ok",)


def reply(content: Any = WRONG, **changes: Any) -> Answer:
    """A completion that holds what nobody picked."""
    return Answer(200, completion(content, **{"usage": USAGE, **changes}))


def refusal(message: str, status: int = 400, **fields: Any) -> Answer:
    """An error that is about the prompt."""
    return Answer(status, error(message, **fields))


def usages(*changes: Mapping[str, Any] | None) -> list[Answer]:
    """Right answers that count their tokens oddly."""
    return [reply(RIGHT, usage=change and {**USAGE, **change}) for change in changes]


REFUSED, AGAIN = ("refused",), ("repaired", "ok")
KINDS: Mapping[str, Kind] = {
    "429": Kind([refusal("Rate limit reached.", 429)]),
    "429, three times": Kind([refusal("Rate limit reached.", 429)], times=3),
    "429 and a wait": Kind([Answer(429, error("Slow down."), {"Retry-After": "0.2"})]),
    "429 and a longer one": Kind([Answer(429, error("Slow down."), {"Retry-After": "2"})]),
    "500, 502, 503, 529": Kind(
        [
            Answer(500, error("The server had an error.")),
            Answer(502, HTML, {"Content-Type": "text/html"}),
            Answer(503, error("Overloaded.")),
            Answer(529, error("Overloaded.", type="overloaded_error")),
        ]
    ),
    "403 moderation": Kind(
        [refusal('Your input was flagged for "violence".', 403, code="403")], None, REFUSED
    ),
    "content filters": Kind(
        [
            reply(finish_reason="content_filter"),
            reply(None, message={"refusal": "I can't help with that."}),
            refusal("The response was filtered.", code="content_filter"),
            refusal("Invalid prompt: flagged as potentially violating our usage policy."),
        ],
        None,
        REFUSED,
    ),
    "cut off": Kind([Answer(200, completion(WRONG), cut=cut) for cut in (40, 120)]),
    "an error cut off": Kind(
        [
            *(Answer(status, error("Slow down."), cut=9) for status in (400, 429, 503)),
            Answer(503, b"not compressed", {"Content-Encoding": "gzip"}),
        ]
    ),
    "half a JSON": Kind([Answer(200, json.dumps(completion(WRONG)).encode()[:120])]),
    "reset": Kind([Answer(200, completion(WRONG), cut=-1)]),
    "no answer": Kind([Answer(200, completion(WRONG), delay=600.0)]),
    "odd usage": Kind(
        usages(
            None,
            {"prompt_tokens": -300},
            {"completion_tokens": 5.5},
            {"prompt_tokens": 10**15, "total_tokens": 10**15},
            {"prompt_tokens": "many"},
        )
    ),
    "half a character": Kind([reply(f"Good \ud83d\n{RIGHT}")]),
    "deep JSON": Kind([reply("[" * 5000 + "1")], None, ("invalid",)),
    "deep body": Kind([Answer(200, b'{"a":' * 5000 + b"1" + b"}" * 5000)], None, ("error",)),
    "200 with an error": Kind([Answer(200, error("Upstream failed.", code="502"))]),
    "not JSON": Kind([Answer(200, HTML, {"Content-Type": "text/html"})]),
    "empty": Kind([reply("")], 1, AGAIN),
    "empty for ever": Kind([reply(""), reply(None)], None, ("invalid",)),
    "cut by max_tokens": Kind([reply("", finish_reason="length")], 1, AGAIN),
}
USUAL = {"429": 0.05, "500, 502, 503, 529": 0.04, "cut off": 0.01, "no answer": 0.005}
MIXES: Mapping[str, Mapping[str, float]] = {
    "none": {},
    "usual": USUAL,
    "random": {"429 and a longer one": 0.15},
    "every": {name: 0.5 / len(KINDS) for name in KINDS},
}


@dataclass(frozen=True)
class Faulty:
    """What the server does: each question has its fate, drawn from its text and the seed."""

    mix: str
    seed: int

    def kind(self, question: str) -> str | None:
        """The fault that a question meets; None for none, as when warming up."""
        if WARM_UP in question:
            return None
        draw = random.Random(f"{self.seed} {question}").random()
        for name, share in MIXES[self.mix].items():
            draw -= share
            if draw < 0:
                return name
        return None

    def __call__(self, body: Any, headers: Any, n: int) -> Answer:
        """The answer to one request."""
        question = str(body["messages"][-1 if len(body["messages"]) < 3 else 1]["content"])
        question = question.partition("\n\nYour reply")[0]
        name = self.kind(question)
        tries = _TRIES[question]
        _TRIES[question] += 1
        kind = KINDS[name] if name else None
        if kind is None or (kind.times is not None and tries >= kind.times):
            return Answer(200, completion(RIGHT, usage=USAGE), delay=0.05)
        return kind.answers[hash_of(question) % len(kind.answers)]


_TRIES: Counter[str] = Counter()


def hash_of(text: str) -> int:
    """The same in every process."""
    return random.Random(text).getrandbits(30)


def main() -> None:
    """Run the mixes and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3, help="runs without and with usual faults")
    parser.add_argument("--ask", nargs=2, metavar=("MIX", "URL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ask:
        mix, url = arguments.ask
        print(json.dumps(ask(Faulty(mix, arguments.seed), url, arguments.calls)))
        return
    ratios = []
    for seed in reversed(range(arguments.seed, arguments.seed + arguments.rounds)):
        with ThreadPoolExecutor(2) as both:  # whatever else this machine does, they do beside it
            pair = both.map(partial(measured, calls=arguments.calls, seed=seed), list(MIXES)[:2])
            runs = dict(zip(MIXES, pair, strict=False))
        ratios.append(runs["usual"]["seconds"] / runs["none"]["seconds"])
    for mix in list(MIXES)[2:]:
        runs[mix] = measured(mix, arguments.calls, arguments.seed)
    print("faults   seconds   ratio   CPU s   tries   errors of others")
    for mix, run in runs.items():
        ratio = run["seconds"] / runs["none"]["seconds"]
        print(
            f"{mix:6} {run['seconds']:9.1f} {ratio:7.3f} {run['cpu']:7.1f} {run['tries']:7} "
            f"{run['foreign']:18}"
        )
    print("\nkind                    questions  as it should be  picks that nobody made  ends")
    silent = missed = 0
    for name, row in runs["every"]["kinds"].items():
        right = sum(row["ends"].get(status, 0) for status in row["expected"])
        silent, missed = silent + row["silent"], missed + row["questions"] - right
        ends = ", ".join(f"{count} {status}" for status, count in sorted(row["ends"].items()))
        print(f"{name:22} {row['questions']:10} {right:16} {row['silent']:23}  {ends}")
    print(f"\ntarget: picks that nobody made 0: {'met' if not silent else f'missed, {silent}'}")
    print(f"target: all as it should be: {'met' if not missed else f'missed, {missed}'}")
    ratio = statistics.median(ratios)
    verdict = "met" if ratio <= RATIO else "missed"
    if arguments.calls < JUDGED:
        verdict = f"not judged ({JUDGED:,} calls are)"
    print(
        f"target: the usual faults take at most {RATIO} times: {verdict}, {ratio:.3f}, "
        f"the median of {', '.join(f'{ratio:.3f}' for ratio in ratios)}"
    )
    faulty = {mix: Faulty(mix, arguments.seed) for mix in ("none", "usual")}
    commands = faulty_commands.measure(faulty, arguments.calls, arguments.calls >= JUDGED)
    sys.exit(bool(silent or missed or verdict == "missed" or not commands))


def measured(mix: str, calls: int, seed: int) -> dict[str, Any]:
    """One run against a server of its own."""
    from tests.support.provider_server import ProviderServer

    with ProviderServer(Faulty(mix, seed), process=True) as server:
        command = [sys.executable, __file__, "--calls", str(calls), "--seed", str(seed)]
        command += ["--ask", mix, server.base_url]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        run: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return run | {"tries": server.count}


def ask(faulty: Faulty, url: str, calls: int) -> dict[str, Any]:
    """Ask every question, and count what came of each kind."""
    import asyncio

    from selectllm.core.errors import SelectLLMError
    from selectllm.core.types import Item
    from selectllm.models.connect import Connections, connect
    from selectllm.models.model import ModelSpec, Price
    from selectllm.models.wrappers.cache import ReplyCache
    from selectllm.prompting.library import PromptLibrary
    from selectllm.prompting.prompt import render
    from selectllm.selection import ask as asking
    from selectllm.selection.selector import Selector
    from selectllm.selection.task import AskSettings, Task

    prompt = PromptLibrary(None).load("short@1", Path.cwd())
    spec = ModelSpec("m", "openai/m", api_base=url, timeout=TIMEOUT, price=Price(1.0, 10.0))
    items = [Item(f"{n}", f"Explain topic {n} in some detail.") for n in range(calls * 4)]
    kinds: dict[str, dict[str, Any]] = defaultdict(
        lambda: {"questions": 0, "silent": 0, "ends": Counter(), "expected": ("ok",)}
    )
    foreign = 0
    with tempfile.TemporaryDirectory() as folder:
        cache = ReplyCache(Path(folder))
        model = connect(spec, Connections(cache, dict(os.environ)))
        selector = Selector(prompt, spec, model)
        tasks = [Task(selector, n, tuple(items[4 * n : 4 * n + 4]), 1) for n in range(calls)]
        made: list[Any] = []
        asyncio.run(warm_up(spec, selector, [Item(f"w{n}", WARM_UP) for n in range(4)]))
        started, cpu = time.perf_counter(), time.process_time()
        try:
            asyncio.run(asking.ask(tasks, AskSettings(CONCURRENCY), made.append))
        except SelectLLMError as error:
            print(f"ended: {error}", file=sys.stderr)
        except Exception as error:
            print(f"not ours: {error!r}", file=sys.stderr)
            foreign += 1
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        cache.close()
    for decision in made:
        shown = tasks[decision.cluster].shown
        name = faulty.kind(str(render(prompt, shown, 1)[-1]["content"]))
        row = kinds[name or "no fault"]
        row["questions"] += 1
        row["ends"][decision.status] += 1
        row["silent"] += decision.picks not in ((), (decision.shown[1],))
        row["expected"] = KINDS[name].ends if name else ("ok",)
    return {"seconds": seconds, "cpu": cpu, "foreign": foreign, "kinds": kinds}


async def warm_up(spec: Any, selector: Any, items: Sequence[Any]) -> None:
    """A call that nobody measures: litellm loads much of itself with its first one."""
    from selectllm.models.providers.litellm import LiteLLMModel
    from selectllm.selection.ask import decide
    from selectllm.selection.task import AskSettings, Task

    patient = replace(spec, timeout=120.0)
    model = LiteLLMModel(patient, environment=dict(os.environ))
    task = Task(replace(selector, spec=patient, model=model), 0, tuple(items), 1, repeat=1)
    try:
        await decide(task, AskSettings())
    finally:
        await model.close()


if __name__ == "__main__":
    main()
