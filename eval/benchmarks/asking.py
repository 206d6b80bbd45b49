"""What asking costs: our ask stage by both transports, beside bare litellm and bare aiohttp.

    python eval/benchmarks/asking.py [--calls 2000] [--rounds 5] [--direct] [--against FOLDER]

--direct leaves out what goes through litellm. --against: a checkout of another commit, whose ask
stage by both transports runs in turn with this one's.

All send the same prompts of 14 instructions to a local server that answers in 50 ms, 32 at a
time, each in a process of its own, in turn. Ours also renders, keys, caches, logs and parses.
Figures are CPU seconds of the asking process from before its client is imported, and its peak
memory; ratios are taken round by round. Then the same evaluation again, with every reply in the
cache.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

CONCURRENCY = 32
SIZE = 14


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--direct", action="store_true")
    parser.add_argument("--against", type=Path)
    parser.add_argument("--role", choices=[*ROLES], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        print(json.dumps(ROLES[arguments.role](arguments.folder)))
        return
    sys.path.insert(0, str(ROOT))
    from tests.support.provider_server import ProviderServer

    with ProviderServer(latency=0.05, process=True) as server, tempfile.TemporaryDirectory() as tmp:
        rounds = []
        arms = {
            arm: role for arm, role in ARMS.items() if not (arguments.direct and "litellm" in arm)
        }
        last = [*arms][-1]
        trees = dict.fromkeys(arms, ROOT)
        if arguments.against:
            for arm in [arm for arm, role in arms.items() if role in ("ours", "direct alone")]:
                arms[arm + BEFORE], trees[arm + BEFORE] = arms[arm], arguments.against.resolve()
        print(" ".join(["round", *(f"{arm:>22}" for arm in arms)]) + "   CPU s, peak MB")
        for number in range(arguments.rounds):
            folders = {arm: Path(tmp) / f"{number} {arm}" for arm in arms}
            for arm, folder in folders.items():
                direct = arm.startswith("ours, direct")
                write_suite(folder, server.base_url, arguments.calls, direct)
            found = {arm: measure(role, folders[arm], trees[arm]) for arm, role in arms.items()}
            rounds.append(found)
            cells = (f"{each['cpu']:15.2f} {each['peak_mb']:6.0f}" for each in found.values())
            print(" ".join([f"{number:5}", *cells]), flush=True)
        for ours, bare in (*BESIDE, *((arm, arm + BEFORE) for arm in ARMS)):
            if not {ours, bare} <= arms.keys():
                continue
            ratios = [each[ours]["cpu"] / each[bare]["cpu"] for each in rounds]
            print(
                f"{ours} beside {bare}: median {statistics.median(ratios):.2f} times "
                f"({min(ratios):.2f} to {max(ratios):.2f})"
            )
        cached = measure("cached", folders[last], ROOT)
        print(
            f"all {found[last]['decisions']} decisions from the cache, in a new run "
            f"folder: {cached['cpu']:.2f} CPU s beyond {cached['imports']:.2f} s of interpreter "
            f"and imports; litellm or torch imported: {cached['heavy']}"
        )


def write_suite(folder: Path, base_url: str, calls: int, direct: bool) -> None:
    """A pool and a suite of at least `calls` decisions: two prompts, as many orders as it takes."""
    folder.mkdir()
    rows = items()
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    clusters = -(-len(rows) // SIZE)
    suite: dict[str, Any] = {
        "name": "asking",
        "pool": "pool.jsonl",
        "utilities": [{"name": "rating", "source": "ratings", "column": "rating"}],
        "clusters": {"by": "random", "size": SIZE},
        "picks": 2,
        "orders": -(-calls // (2 * clusters)),
        "prompts": ["short@1", "criteria@1"],
        "models": [{"name": "m", "id": "openai/m", "api_base": base_url}],
    }
    if direct:
        suite["models"][0]["transport"] = "direct"
    (folder / "suite.yaml").write_text(json.dumps(suite), "utf-8")


def items() -> list[dict[str, Any]]:
    """2,000 items: real Dolly rows where they are at hand, else the quickstart's over and over."""
    dolly = ROOT.parent / "shared" / "data" / "dolly_dev2000.jsonl"
    source = dolly if dolly.exists() else ROOT / "eval" / "data" / "quickstart.jsonl"
    rows = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    return [{**rows[n % len(rows)], "id": f"item-{n}"} for n in range(2000)]


def measure(role: str, folder: Path, tree: Path) -> Mapping[str, Any]:
    """Run one role in a process of its own, with the `selectllm` of a checkout."""
    environment = {**os.environ, "SELECTLLM_CACHE_DIR": str(folder / "cache"), "CI": "true"}
    environment["PYTHONPATH"] = str(tree)
    command = [sys.executable, __file__, "--role", role, "--folder", str(folder)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def ours(folder: Path) -> dict[str, Any]:
    """`selectllm eval`, measured from the first decision to the last."""
    import asyncio

    from selectllm.cli import GARBAGE
    from selectllm.evaluation.runs.execute import evaluate
    from selectllm.selection.decision_log import DecisionLog
    from selectllm.selection.task import AskSettings

    gc.set_threshold(*GARBAGE)  # as the command does
    run, embedder = opened(folder)
    with DecisionLog(folder / "decisions.jsonl", run.manifest) as log:
        before = time.process_time()
        decisions = asyncio.run(evaluate(run, embedder, AskSettings(CONCURRENCY), log))
        cpu = time.process_time() - before
    assert all(decision.status == "ok" for decision in decisions)
    return {"cpu": cpu, "peak_mb": peak_mb(), "decisions": len(list(asked(run)))}


def bare_litellm(folder: Path) -> dict[str, Any]:
    """The same messages through `litellm.acompletion` and a semaphore; replies are collected."""
    import asyncio

    from selectllm.prompting.prompt import render

    run, _ = opened(folder)
    prompts = [render(task.selector.prompt, task.shown, task.k) for task in asked(run)]
    base_url = run.selectors[0].spec.api_base
    before = time.process_time()
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    async def all_of_them() -> list[str]:
        slots = asyncio.Semaphore(CONCURRENCY)

        async def one(messages: Any) -> str:
            async with slots:
                reply = await litellm.acompletion(
                    "openai/m",
                    messages=list(messages),
                    api_base=base_url,
                    api_key="none",
                    temperature=0.0,
                    max_tokens=1024,
                )
            return str(reply.choices[0].message.content)

        return await asyncio.gather(*(one(messages) for messages in prompts))

    replies = asyncio.run(all_of_them())
    assert set(replies) == {"[1, 2]"}
    return {"cpu": time.process_time() - before, "peak_mb": peak_mb()}


def bare_aiohttp(folder: Path) -> dict[str, Any]:
    """The same bodies through one aiohttp session and a semaphore; replies are collected."""
    import asyncio

    from selectllm.prompting.prompt import render

    run, _ = opened(folder)
    prompts = [render(task.selector.prompt, task.shown, task.k) for task in asked(run)]
    url = f"{run.selectors[0].spec.api_base}/chat/completions"
    before = time.process_time()
    import aiohttp

    async def all_of_them() -> list[str]:
        slots = asyncio.Semaphore(CONCURRENCY)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def one(messages: Any) -> str:
                body = {"model": "m", "messages": messages, "temperature": 0.0, "max_tokens": 1024}
                async with slots, session.post(url, json=body) as response:
                    reply = await response.json()
                return str(reply["choices"][0]["message"]["content"])

            return await asyncio.gather(*(one(messages) for messages in prompts))

    replies = asyncio.run(all_of_them())
    assert set(replies) == {"[1, 2]"}
    return {"cpu": time.process_time() - before, "peak_mb": peak_mb()}


def direct_alone(folder: Path) -> dict[str, Any]:
    """The same requests through the direct transport alone: no cache, no wrapper, no parsing."""
    import asyncio

    from selectllm.selection.ask import first_request
    from selectllm.selection.task import AskSettings

    run, _ = opened(folder)
    requests = [first_request(task, AskSettings(CONCURRENCY)) for task in asked(run)]
    before = time.process_time()
    from selectllm.models.providers.direct import DirectModel

    async def all_of_them() -> list[str]:
        slots = asyncio.Semaphore(CONCURRENCY)
        model = DirectModel(requests[0].model, environment={})

        async def one(request: Any) -> str:
            async with slots:
                return (await model.complete(request)).text

        replies = await asyncio.gather(*(one(request) for request in requests))
        await model.close()
        return replies

    replies = asyncio.run(all_of_them())
    assert set(replies) == {"[1, 2]"}
    return {"cpu": time.process_time() - before, "peak_mb": peak_mb()}


def cached(folder: Path) -> dict[str, Any]:
    """`selectllm eval` into a new folder with every reply in the cache."""
    import selectllm.cli.eval  # noqa: F401
    import selectllm.jobs.evaluating  # noqa: F401
    import selectllm.report.terminal  # noqa: F401
    from selectllm.cli import GARBAGE
    from selectllm.cli import main as command

    gc.set_threshold(*GARBAGE)  # as the command does
    imports = time.process_time()
    code = command(["eval", str(folder / "suite.yaml"), "-o", str(folder / "again"), "--offline"])
    assert code == 0, code
    heavy = bool({"litellm", "torch"} & sys.modules.keys())
    return {"cpu": time.process_time() - imports, "imports": imports, "heavy": heavy}


def opened(folder: Path) -> tuple[Any, Any]:
    """The suite's run with its models, and the session's embedder."""
    from selectllm.evaluation.suite import load_suite
    from selectllm.jobs.evaluating import open_run
    from selectllm.jobs.session import Session

    session = Session(folder, concurrency=CONCURRENCY)
    return open_run(session, load_suite(folder / "suite.yaml")), session.embedder()


def asked(run: Any) -> Any:
    """The questions of a run."""
    from selectllm.evaluation.runs.execute import tasks

    return tasks(run)


def peak_mb() -> float:
    """The most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


ROLES = {
    "ours": ours,
    "bare litellm": bare_litellm,
    "bare aiohttp": bare_aiohttp,
    "direct alone": direct_alone,
    "cached": cached,
}
ARMS = {
    "bare aiohttp": "bare aiohttp",
    "direct alone": "direct alone",
    "ours, direct": "ours",
    "bare litellm": "bare litellm",
    "ours, litellm": "ours",
}
"""What is measured, and the role that does it."""
BEFORE = ", before"
"""What the arms of the other checkout are called."""
BESIDE = (
    ("ours, litellm", "bare litellm"),
    ("direct alone", "bare aiohttp"),
    ("ours, direct", "bare aiohttp"),
    ("ours, direct", "ours, litellm"),
)

if __name__ == "__main__":
    main()
