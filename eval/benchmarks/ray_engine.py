"""What the engine of many machines gains and costs, beside the local one, on this machine.

    python eval/benchmarks/ray_engine.py [--section embed|ask|memory|select|prompt|suite]
        [--texts 2560] [--calls 1000] [--rounds 3] [--rows 100000 1000000]

embed: the same texts by one worker and by two, one thread each, timed from when every worker has
loaded the encoder; ratio of texts a second. ask: the same calls by litellm through workers and by
the local engine, 32 at a time, to a server that answers in 50 ms; CPU of all processes that take
part, from when the client is loaded. memory: the peak of the driver while vectors of a pool are
divided into clusters of 14 by workers, beside the same of the local engine. select: the peak of the
driver from the reading of a pool of Parquet files, 10,000 texts of 300 characters each, whose
vectors are in the cache, to the writing of 100 items by k-center, as Parquet. prompt: the same of
one item in 50 by the prompt short@1, which a scripted model answers, from clusters at random, with
the local engine. suite: the same while a suite of 100 clusters at random of such a pool is
evaluated, with a rating of every item, and while two of its prompts are compared, by each engine
(that of Ray is joined before, and its start-up counts). Rounds alternate;
ratios are taken round by round.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

CONCURRENCY = 32
FILE_ROWS = 10_000  # so that pools differ in the number of files alone: each is read as a whole
SUITE = """
name: memory
pool: pool
utilities:
  - {name: rating, source: ratings, column: rating, kind: model, range: [1, 5]}
clusters: {by: random, size: 10, limit: 100}
picks: 2
prompts: [short@1, criteria@1]
models: [mock/first]
strategies: [random, longest]
"""
WORDS = (ROOT / "README.md").read_text("utf-8").split()


def main() -> None:
    """Run the sections that are named, all without any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--section", action="append", choices=[*SECTIONS])
    parser.add_argument("--texts", type=int, default=2560)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--role", choices=[*ROLES], help=argparse.SUPPRESS)
    parser.add_argument("--words", nargs="*", default=[], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        print(json.dumps(ROLES[arguments.role](*arguments.words)))
        return
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for section in arguments.section or SECTIONS:
        SECTIONS[section](arguments)


def measure(role: str, *words: object) -> dict[str, Any]:
    """Run one role in a process of its own."""
    command = [sys.executable, __file__, "--role", role, "--words", *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# --- embedding


def embed_section(arguments: argparse.Namespace) -> None:
    """Texts a second by one worker and by two."""
    ratios = []
    for number in range(arguments.rounds):
        one, two = (measure("embed", workers, arguments.texts) for workers in (1, 2))
        ratios.append(two["rate"] / one["rate"])
        print(
            f"embed {number}: one worker {one['rate']:.1f} texts/s, two {two['rate']:.1f}, "
            f"{ratios[-1]:.2f} times; start-up {one['start']:.1f} and {two['start']:.1f} s",
            flush=True,
        )
    print(f"embed: two workers beside one: {told(ratios)}")


def embed(workers: str, texts: str) -> dict[str, Any]:
    """Texts a second, from when every worker has given its first vectors."""
    from selectllm.jobs.ray import RayEngine

    count, batches = int(workers), [made(64, number) for number in range(int(texts) // 64)]
    engine = RayEngine(cpus=count)
    begun = time.perf_counter()
    stream = engine.encoder(None).encode_batches(iter([*[made(1, -1)] * 2 * count, *batches]))
    for _ in range(2 * count):
        next(stream)
    started = time.perf_counter()
    done = sum(len(vectors) for vectors in stream)
    rate = done / (time.perf_counter() - started)
    engine.close()
    return {"rate": rate, "start": started - begun}


def made(count: int, seed: int) -> list[str]:
    """Texts of 12 to 60 words."""
    return [
        " ".join(WORDS[(seed * 977 + 61 * n) % 900 :][: 12 + (7 * n + seed) % 49])
        for n in range(count)
    ]


# --- asking


def ask_section(arguments: argparse.Namespace) -> None:
    """CPU a call through workers and here."""
    from tests.support.provider_server import ProviderServer

    ratios = []
    with ProviderServer(latency=0.05, process=True) as server:
        for number in range(arguments.rounds):
            here, far = (
                measure("ask", engine, server.base_url, arguments.calls)
                for engine in ("local", "ray")
            )
            ratios.append(far["cpu_ms"] / here["cpu_ms"])
            print(
                f"ask {number}: here {here['cpu_ms']:.2f} ms of CPU a call, by workers "
                f"{far['cpu_ms']:.2f} (driver {far['driver_ms']:.2f}), {ratios[-1]:.2f} times; "
                f"{here['rate']:.0f} and {far['rate']:.0f} calls/s",
                flush=True,
            )
    print(f"ask: by workers beside here: {told(ratios)}")


def ask(name: str, url: str, calls: str) -> dict[str, Any]:
    """CPU milliseconds a call, of this process and all that Ray started."""
    import selectllm as sl
    from selectllm.core.types import Question
    from selectllm.jobs.engine import LocalEngine
    from selectllm.jobs.ray import RayEngine
    from selectllm.models.connect import connect
    from selectllm.models.model import ModelSpec, Request

    os.environ["OPENAI_API_KEY"] = "none"
    engine = RayEngine(cpus=2) if name == "ray" else LocalEngine()
    spec = ModelSpec(name="m", id="openai/m", api_base=url)
    text = " ".join(WORDS[:900])  # 1,400 tokens

    async def all_of_them() -> dict[str, Any]:
        with (
            tempfile.TemporaryDirectory() as cache,
            sl.Session(engine=engine, cache=cache) as session,
        ):
            model = connect(spec, session.connections())
            slots = asyncio.Semaphore(CONCURRENCY)

            async def one(number: int) -> None:
                message: Any = {"role": "user", "content": f"{number} {text}"}
                question = Question((), ("1", "2"), 2, "indices")
                async with slots:
                    await model.complete(Request(spec, (message,), question, url))

            await asyncio.gather(*(one(-1 - number) for number in range(CONCURRENCY)))
            await asyncio.sleep(2)  # Ray's own start-up is over
            before, mine, begun = cpu(), time.process_time(), time.perf_counter()
            await asyncio.gather(*(one(number) for number in range(int(calls))))
            took = time.perf_counter() - begun
            found = {
                "cpu_ms": (cpu() - before) / int(calls) * 1e3,
                "driver_ms": (time.process_time() - mine) / int(calls) * 1e3,
                "rate": int(calls) / took,
            }
            await model.close()
            return found

    return asyncio.run(all_of_them())


def cpu() -> float:
    """CPU seconds of this process and of all below it."""
    import psutil

    me, total = psutil.Process(), 0.0
    for process in [me, *me.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


# --- memory


def memory_section(arguments: argparse.Namespace) -> None:
    """Peak of the driver beyond what it had loaded, at each number of rows."""
    for rows in arguments.rows:
        here, far = measure("memory", "local", rows), measure("memory", "ray", rows)
        print(
            f"memory at {rows:,} rows: driver {far['peak_mb']:.0f} MB by workers "
            f"({far['seconds']:.0f} s), {here['peak_mb']:.0f} MB here ({here['seconds']:.0f} s); "
            f"same clusters: {here['sha256'] == far['sha256']}",
            flush=True,
        )


def memory(name: str, rows: str) -> dict[str, Any]:
    """Vectors on disk in clusters of 14: the peak of the driver's anonymous memory."""
    import hashlib

    import numpy as np

    from selectllm.core.workers import HERE
    from selectllm.jobs.ray import RayEngine
    from selectllm.selection.clustering.diverse import diverse
    from selectllm.selection.clustering.seeded_rows import SeededRows

    count = int(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "v.npy"
        vectors = np.lib.format.open_memmap(path, "w+", np.float32, (count, 384))
        rng = np.random.default_rng(0)
        for start in range(0, count, 50_000):
            block = rng.standard_normal((min(50_000, count - start), 384), dtype=np.float32)
            block /= np.linalg.norm(block, axis=1, keepdims=True)
            vectors[start : start + len(block)] = block
        vectors.flush()
        del vectors
        engine = RayEngine(cpus=2) if name == "ray" else HERE
        watch = Watch()
        begun = time.perf_counter()
        mapped = np.load(path, mmap_mode="r")
        order = rng.permutation(count)
        labels = diverse(SeededRows(mapped, order, engine), -(-count // 14), 0)
        seconds = time.perf_counter() - begun
        peak = watch.peak_mb()
        if isinstance(engine, RayEngine):
            engine.close()
    digest = hashlib.sha256(labels.tobytes()).hexdigest()
    return {"peak_mb": peak, "seconds": seconds, "sha256": digest}


# --- selecting


def select_section(arguments: argparse.Namespace) -> None:
    """Peak of the driver while it selects, at each number of rows."""
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            measure("pool", folder, rows)
            for name in ("local", "ray"):
                found = measure("select", name, folder)
                print(
                    f"select of {rows:,} rows, {name} engine: driver {found['peak_mb']:.0f} MB "
                    f"({found['seconds']:.0f} s)",
                    flush=True,
                )


def prompt_section(arguments: argparse.Namespace) -> None:
    """Peak of the driver while a prompt is shown clusters, at each number of rows."""
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            measure("pool", folder, rows, "texts alone")
            found = measure("prompt", folder, rows // 50)
            print(
                f"select by a prompt of {rows:,} rows: driver {found['peak_mb']:.0f} MB "
                f"({found['seconds']:.0f} s)",
                flush=True,
            )


def suite_section(arguments: argparse.Namespace) -> None:
    """Peak of the driver while a suite is evaluated and compared, at each number of rows."""
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            measure("pool", folder, rows, "texts alone")
            Path(folder, "suite.yaml").write_text(SUITE, "utf-8")
            for name, job in product(("local", "ray"), ("evaluate", "ab")):
                found = measure("suite", name, folder, job)
                print(
                    f"{job} of 100 clusters of {rows:,} rows, {name} engine: driver "
                    f"{found['peak_mb']:.0f} MB ({found['seconds']:.0f} s)",
                    flush=True,
                )


def pool(folder: str, rows: str, embedded: str = "embedded") -> dict[str, Any]:
    """A pool of Parquet files, and its vectors in the cache if it is to be `embedded`."""
    import numpy as np
    import polars as pl
    from million import DIM, bunched, made_texts

    from selectllm.data.encoders import load_encoder
    from selectllm.data.vector_store import VectorStore, text_keys

    count, rng = int(rows), np.random.default_rng(0)
    centres = rng.standard_normal((max(1, count // 50), DIM), dtype=np.float32)
    store = VectorStore(Path(folder, "cache", "vectors"), load_encoder().identity)
    parts = Path(folder, "pool")
    parts.mkdir()
    for numbers, texts in made_texts(rng, count, FILE_ROWS):
        name = parts / f"part-{numbers[0]:09}.parquet"
        ids = [f"item-{number:07}" for number in numbers]
        columns = {"id": ids, "instruction": texts, "rating": [n % 5 + 1 for n in numbers]}
        pl.DataFrame(columns).write_parquet(name)
        if embedded == "embedded":
            store.add(text_keys(texts), bunched(rng, centres, len(texts)))
    return {}


def select(name: str, folder: str) -> dict[str, Any]:
    """100 items by k-center."""
    import selectllm as sl

    os.chdir(folder)
    with sl.Session(engine=engine_of(name), cache="cache") as session:
        watch, begun = Watch(), time.perf_counter()
        session.select("pool", budget=100, strategy="k-center").write(f"{name}.parquet")
        seconds, peak = time.perf_counter() - begun, watch.peak_mb()
    return {"peak_mb": peak, "seconds": seconds}


def engine_of(name: str) -> Any:
    """The engine; one of Ray is joined already, whatever the job needs."""
    from selectllm.jobs.engine import LocalEngine
    from selectllm.jobs.ray import RayEngine

    if name == "local":
        return LocalEngine()
    engine = RayEngine(cpus=2)
    assert engine.cluster.cpus == 2
    return engine


def prompt(folder: str, budget: str) -> dict[str, Any]:
    """So many items by a prompt and a model."""
    import selectllm as sl

    os.chdir(folder)
    with sl.Session(cache="cache") as session:
        watch, begun = Watch(), time.perf_counter()
        asked = {"prompt": "short@1", "model": "mock/first", "by": "random"}
        picked = session.select("pool", budget=int(budget), log="log.jsonl", **asked)
        picked.write("prompt.parquet")
        seconds, peak = time.perf_counter() - begun, watch.peak_mb()
    return {"peak_mb": peak, "seconds": seconds}


def suite(name: str, folder: str, job: str) -> dict[str, Any]:
    """A suite evaluated, or two of its prompts compared, anew."""
    import selectllm as sl

    os.chdir(folder)
    out = f"{name}-{job}"
    with sl.Session(engine=engine_of(name), cache="cache") as session:
        watch, begun = Watch(), time.perf_counter()
        if job == "ab":
            session.ab("suite.yaml", a="short@1", b="criteria@1", out=out)
        else:
            session.evaluate("suite.yaml", out=out)
        seconds, peak = time.perf_counter() - begun, watch.peak_mb()
    return {"peak_mb": peak, "seconds": seconds}


class Watch:
    """The most anonymous memory that the process has had: files that are mapped do not count."""

    def __init__(self) -> None:
        import threading

        self._most, self._over = 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            text = Path("/proc/self/status").read_text("utf-8")
            anonymous = int(text.split("RssAnon:")[1].split()[0])
            self._most = max(self._most, anonymous)

    def peak_mb(self) -> float:
        """MB, until now."""
        self._over.set()
        self._thread.join()
        return self._most / 1024


def told(ratios: list[float]) -> str:
    """A median with its range."""
    return f"median {statistics.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})"


SECTIONS = {
    "embed": embed_section,
    "ask": ask_section,
    "memory": memory_section,
    "select": select_section,
    "prompt": prompt_section,
    "suite": suite_section,
}
ROLES = {
    "embed": embed,
    "ask": ask,
    "memory": memory,
    "pool": pool,
    "select": select,
    "prompt": prompt,
    "suite": suite,
}

if __name__ == "__main__":
    main()
