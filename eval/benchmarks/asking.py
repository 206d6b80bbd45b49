"""What asking costs: our ask stage against bare `litellm.acompletion`, on a server of our own.

    python eval/benchmarks/asking.py [--calls 2000] [--pairs 5]

Both send the same prompts of 14 instructions to a local server that answers in 50 ms, 32 at a
time, each in a process of its own, in turn. Ours also renders, keys, caches, logs and parses.
Figures are CPU seconds of the asking process from before litellm is imported, and its peak memory;
the ratio is taken pair by pair. Then the same evaluation again, with every reply in the cache.
"""

from __future__ import annotations

import argparse
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
sys.path.insert(0, str(ROOT))

CONCURRENCY = 32
SIZE = 14


def main() -> None:
    """Run the pairs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--role", choices=["ours", "raw", "cached"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        print(json.dumps(ROLES[arguments.role](arguments.folder)))
        return
    from tests.support.provider_server import ProviderServer

    with ProviderServer(latency=0.05, process=True) as server, tempfile.TemporaryDirectory() as tmp:
        ratios, ours_all = [], []
        print("pair   ours CPU s  peak MB    raw CPU s  peak MB    ratio")
        for pair in range(arguments.pairs):
            folder = Path(tmp) / str(pair)
            write_suite(folder, server.base_url, arguments.calls)
            ours, raw = measure("ours", folder), measure("raw", folder)
            ratios.append(ours["cpu"] / raw["cpu"])
            ours_all.append(ours)
            print(
                f"{pair:4} {ours['cpu']:12.2f} {ours['peak_mb']:8.0f} {raw['cpu']:12.2f} "
                f"{raw['peak_mb']:8.0f} {ratios[-1]:8.3f}"
            )
        peak = max(each["peak_mb"] for each in ours_all)
        print(f"median ratio {statistics.median(ratios):.3f}, our peak memory {peak:.0f} MB")
        cached = measure("cached", folder)
        print(
            f"all {ours['decisions']} decisions from the cache, in a new run folder: "
            f"{cached['cpu']:.2f} CPU s beyond {cached['imports']:.2f} s of interpreter and "
            f"imports; litellm or torch imported: {cached['heavy']}"
        )


def write_suite(folder: Path, base_url: str, calls: int) -> None:
    """A pool and a suite of at least `calls` decisions: two prompts, as many orders as it takes."""
    folder.mkdir()
    rows = items()
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    clusters = -(-len(rows) // SIZE)
    suite = {
        "name": "asking",
        "pool": "pool.jsonl",
        "utilities": [{"name": "rating", "source": "ratings", "column": "rating"}],
        "clusters": {"by": "random", "size": SIZE},
        "picks": 2,
        "orders": -(-calls // (2 * clusters)),
        "prompts": ["short@1", "criteria@1"],
        "models": [{"name": "m", "id": "openai/m", "api_base": base_url}],
    }
    (folder / "suite.yaml").write_text(json.dumps(suite), "utf-8")


def items() -> list[dict[str, Any]]:
    """2,000 items: real Dolly rows where they are at hand, else the quickstart's over and over."""
    dolly = ROOT.parent / "shared" / "data" / "dolly_dev2000.jsonl"
    source = dolly if dolly.exists() else ROOT / "eval" / "data" / "quickstart.jsonl"
    rows = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    return [{**rows[n % len(rows)], "id": f"item-{n}"} for n in range(2000)]


def measure(role: str, folder: Path) -> Mapping[str, Any]:
    """Run one role in a process of its own."""
    environment = {**os.environ, "SELECTLLM_CACHE_DIR": str(folder / "cache"), "CI": "true"}
    command = [sys.executable, __file__, "--role", role, "--folder", str(folder)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def ours(folder: Path) -> dict[str, Any]:
    """`selectllm eval`, measured from the first decision to the last."""
    import asyncio

    from selectllm.evaluation.runs.execute import evaluate
    from selectllm.selection.decision_log import DecisionLog
    from selectllm.selection.task import AskSettings

    run, embedder = opened(folder)
    with DecisionLog(folder / "decisions.jsonl", run.manifest) as log:
        before = time.process_time()
        decisions = asyncio.run(evaluate(run, embedder, AskSettings(CONCURRENCY), log))
        cpu = time.process_time() - before
    assert all(decision.status == "ok" for decision in decisions)
    return {"cpu": cpu, "peak_mb": peak_mb(), "decisions": len(list(asked(run)))}


def raw(folder: Path) -> dict[str, Any]:
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


def cached(folder: Path) -> dict[str, Any]:
    """`selectllm eval` into a new folder with every reply in the cache."""
    import selectllm.cli.eval  # noqa: F401
    import selectllm.report.terminal  # noqa: F401
    from selectllm.cli import main as command

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


ROLES = {"ours": ours, "raw": raw, "cached": cached}

if __name__ == "__main__":
    main()
