"""The engine of many machines gives what the local one gives, whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import pytest

import selectllm as sl
from selectllm.cli import main
from selectllm.core.errors import EngineError
from selectllm.data.embedder import Embedder
from selectllm.jobs.comparing_students import compare_students
from selectllm.jobs.engine import LocalEngine
from selectllm.jobs.ray import RayEngine
from selectllm.jobs.sync import finished
from selectllm.jobs.training_options import ComparedSets, TrialSettings
from selectllm.models.model import ModelSpec
from selectllm.selection.clustering.partition import partition
from selectllm.selection.strategies import STRATEGIES, Candidates
from tests.conftest import pool_rows, read_jsonl, write_jsonl
from tests.downstream.student.test_training import one_thread
from tests.support.made_vectors import names, random_vectors
from tests.support.provider_server import ProviderServer, fingerprint
from tests.support.ray_cluster import family, two_machines, workers
from tests.support.student_files import tiny, trial_files

pytestmark = pytest.mark.slow  # starts a cluster, whose workers load torch

__all__ = ["one_thread"]  # a fixture: each of the machines has one core
CONCURRENCY = 4


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with two_machines() as address:
        yield address


class Staying(RayEngine):
    """Joins the cluster once: its processes would start anew with every session that closes it."""

    def close(self) -> None:
        """Stay."""

    def leave(self) -> None:
        super().close()


@pytest.fixture(scope="module")
def engine(address: str) -> Iterator[Staying]:
    engine = Staying(address, shard_bytes=2**17)
    yield engine
    engine.leave()


@pytest.fixture
def slow_server() -> Iterator[ProviderServer]:
    with ProviderServer(latency=0.15) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    write_jsonl(tmp_path / "pool.jsonl", pool_rows(80))
    np.save(tmp_path / "v.npy", random_vectors(80))
    return tmp_path


def suite(folder: Path, server: ProviderServer) -> Path:
    entry = {"name": "m", "id": "openai/m", "api_base": server.base_url, "transport": "direct"}
    path = folder / "suite.yaml"
    path.write_text(
        "name: both\npool: pool.jsonl\nclusters: {by: diverse, size: 4}\npicks: 2\n"
        f"prompts: [short@1, criteria@1]\nmodels: [{json.dumps(entry)}]\n"
        "strategies: [random, k-center, k-means]\n"
        "utilities: [{name: rating, source: ratings, column: rating, range: [1, 5]}]\n"
    )
    return path


def evaluated(engine: Any, cache: str, out: str) -> str:
    """results.json of the suite."""
    with sl.Session(
        engine=engine, cache=cache, vectors="v.npy", concurrency=CONCURRENCY
    ) as session:
        session.evaluate("suite.yaml", out=out)
    return Path(out, "results.json").read_text("utf-8")


def asked(server: ProviderServer) -> Counter[str]:
    """How often each question arrived at the provider."""
    return Counter(fingerprint(seen.body) for seen in server.requests)


def without_seconds(results: str) -> str:
    """How long a reply took is no result: it differs from one call to the next."""
    return re.sub(r'"seconds": [\d.e-]+', '"seconds": 0', results)


def test_an_evaluation_gives_the_same_bytes(
    folder: Path, engine: RayEngine, server: ProviderServer
) -> None:
    suite(folder, server)
    far = evaluated(engine, "cache-ray", "ray")
    calls = server.count
    assert calls == 40
    # The local engine, with the replies that Ray's workers brought, asks nothing more.
    assert evaluated(LocalEngine(), "cache-ray", "again") == far
    assert server.count == calls
    assert without_seconds(evaluated(LocalEngine(), "cache", "here")) == without_seconds(far)
    assert Path("ray/clusters.json").read_bytes() == Path("here/clusters.json").read_bytes()


@pytest.mark.parametrize("by", ["strategy", "model"])
def test_a_selection_is_the_same(
    folder: Path, engine: RayEngine, server: ProviderServer, by: str
) -> None:
    asking = ModelSpec(name="m", id="openai/m", api_base=server.base_url, transport="direct")
    how: dict[str, Any] = {"strategy": "k-means"}
    if by == "model":
        how = {"prompt": "short@1", "model": asking}
    written: list[bytes] = []
    for one, cache in ((engine, "cache-ray"), (LocalEngine(), "cache-here")):
        with sl.Session(engine=one, cache=cache, vectors="v.npy") as session:
            session.select("pool.jsonl", budget=16, log=f"{cache}.log", **how).write("out.jsonl")
        written.append(Path("out.jsonl").read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize("pool", ["pool.jsonl", "parts"])
def test_rounds_of_annotation_are_the_same(
    folder: Path, engine: RayEngine, server: ProviderServer, pool: str
) -> None:
    rows = pool_rows(80)
    Path("parts").mkdir()
    for start in range(0, 80, 30):
        pl.from_dicts(rows[start : start + 30]).write_parquet(f"parts/{start:02}.parquet")
    # Three in the pool by their ids, one by its text, and one that only counts as covered.
    outside = [rows[9] | {"id": "elsewhere"}, rows[10] | {"id": "far", "instruction": "Sing."}]
    write_jsonl(Path("given.jsonl"), [*rows[:3], *outside])
    asking = ModelSpec(name="m", id="openai/m", api_base=server.base_url, transport="direct")
    ways: list[dict[str, Any]] = [
        {"prompt": "short@1", "model": asking},
        {"strategy": "k-center", "given": "given.jsonl"},
        {"prompt": "short@1", "model": asking, "given": "given.jsonl", "distinct": "0.99"},
    ]
    told: list[list[str]] = []
    for one, kept in ((engine, "far"), (LocalEngine(), "here")):
        Path(kept).mkdir()
        heard: list[str] = []
        with sl.Session(engine=one, cache=f"cache-{kept}", notes=heard.append) as session:
            for number, how in enumerate([*ways, ways[-1]]):  # the last round twice
                log = Path(kept, f"{min(number, 2)}.log")
                how = {**how, "rounds": f"{kept}/rounds.jsonl", "log": log}
                picked = session.select(pool, budget=12, **how)
                picked.write(f"{kept}/{number}.jsonl")
        told.append(
            [note.replace(kept, "") for note in heard if "round" in note or "given" in note]
        )
    for name in ("rounds.jsonl", *(f"{number}.jsonl" for number in range(4))):
        assert Path("far", name).read_bytes() == Path("here", name).read_bytes(), name
    assert told[0] == told[1]
    assert Path("far/2.jsonl").read_bytes() == Path("far/3.jsonl").read_bytes()
    chosen = [row["id"] for number in range(3) for row in read_jsonl(Path(f"far/{number}.jsonl"))]
    assert len({*chosen}) == 36
    later = {*chosen[12:]}
    assert not later & {rows[at]["id"] for at in (0, 1, 2, 9)}


def test_pools_of_several_pieces_are_divided_as_here(engine: RayEngine) -> None:
    ids, vectors = names(9_000), random_vectors(9_000)
    near = partition(ids, vectors, "diverse", 14, 3)
    assert partition(ids, vectors, "diverse", 14, 3, engine) == near
    items = [sl.Item(name, name) for name in ids]
    for strategy in ("k-means", "k-center"):
        choose = STRATEGIES[strategy].choose
        far = choose(Candidates(items, 3, vectors, None, engine), 40)
        assert far == choose(Candidates(items, 3, vectors), 40)


def vectors_of(engine: Any, folder: Path, texts: Sequence[str], heard: Any = None) -> bytes:
    """The store's file after `texts` were embedded."""
    embedder = Embedder(engine.encoder(None), folder, progress=heard)
    assert len(embedder.vectors(texts)) == len(texts)
    (file,) = folder.glob("*.vectors")
    return file.read_bytes()


def test_a_worker_that_is_killed_while_it_embeds_loses_nothing(
    tmp_path: Path, engine: RayEngine
) -> None:
    texts = [f"Explain {number} {'at length ' * (number % 9)}" for number in range(64 * 3)]
    killed: list[int] = []

    def heard(done: int, total: int) -> None:
        if done and not killed:
            victim = workers("Encoding")[0]
            killed.append(victim.pid)
            victim.kill()

    far = vectors_of(engine, tmp_path / "ray", texts, heard)
    assert killed
    assert far == vectors_of(LocalEngine(), tmp_path / "here", texts)


def test_a_worker_that_is_killed_while_it_asks_loses_only_what_was_under_way(
    folder: Path, engine: RayEngine, slow_server: ProviderServer
) -> None:
    suite(folder, slow_server)
    killed = when_asked(slow_server, 12, lambda: workers("Asker"))
    results = evaluated(engine, "cache", "run")
    killed.join()
    times = asked(slow_server)
    assert len(times) == 40
    assert max(times.values()) <= 2
    assert 0 < sum(times.values()) - 40 <= CONCURRENCY
    rows = read_jsonl(Path("run/decisions.jsonl"))
    tries = [each for row in rows for each in row.get("attempts", ())]
    broken = [each for each in tries if each.get("kind") == "broken"]
    assert len(broken) >= sum(times.values()) - 40  # each is told, as a try that failed
    assert evaluated(LocalEngine(), "cache", "again").count("\n") == results.count("\n")
    assert sum(asked(slow_server).values()) == sum(times.values())


def test_trials_of_students_give_the_same_numbers(
    tmp_path: Path, engine: RayEngine, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    monkeypatch.chdir(trial_files(tmp_path))
    assert main(["sets", "suite.yaml", "--vectors", "v.npy", "-o", "sets", "--quiet"]) == 0
    found = []
    for one, cache in ((engine, "cache-ray"), (LocalEngine(), "cache-here")):
        with sl.Session(engine=one, cache=cache) as session:
            job = compare_students(
                Path("sets"),
                ComparedSets(
                    pool="pool.jsonl", only=("strategy:first",), matched=("none",), random=2
                ),
                TrialSettings(test="test.jsonl", seeds=1),
                tiny(Path(), epochs=1),  # by a path that is relative to this folder
                session=session,
            )
            found.append(finished(job).results.to_json())
    assert found[0] == found[1]


def when_asked(server: ProviderServer, count: int, victims: Any) -> threading.Thread:
    """Kills `victims()` when so many requests have arrived."""

    def wait() -> None:
        while server.count < count:
            time.sleep(0.005)
        for process in victims():
            process.kill()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_driver_that_is_killed_goes_on_where_it_was(
    folder: Path, address: str, engine: RayEngine, slow_server: ProviderServer
) -> None:
    suite(folder, slow_server)
    words = ("eval", "suite.yaml", "--engine", "ray", "--ray-address", address, "-o", "run")
    settings = ("--cache", "cache", "--vectors", "v.npy", "-j", str(CONCURRENCY), "--quiet")
    driver = subprocess.Popen([sys.executable, "-m", "selectllm", *words, *settings])
    when_asked(slow_server, 15, lambda: [psutil.Process(driver.pid)]).join()
    assert driver.wait() == -signal.SIGKILL
    kept = sum("model" in row for row in read_jsonl(Path("run/decisions.jsonl"))[1:])
    assert 0 < kept < 40
    results = evaluated(engine, "cache", "run")
    times = asked(slow_server)
    assert len(times) == 40
    assert sum(times.values()) - 40 <= 2 * CONCURRENCY  # those under way, and those not yet begun
    assert evaluated(LocalEngine(), "cache", "again") == results


def test_no_connection_but_those_of_the_cluster_is_opened(
    folder: Path, engine: RayEngine, server: ProviderServer
) -> None:
    suite(folder, server)
    before = {*connections()}  # those to servers of other tests among them
    seen: set[tuple[int, str, int]] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.update(connections())
            over.wait(0.05)

    thread = threading.Thread(target=look)
    thread.start()
    evaluated(engine, "cache", "run")
    over.set()
    thread.join()
    listening = {mine for theirs, _, mine in seen if theirs == 0}
    talking = [(theirs, mine) for theirs, _, mine in seen - before if theirs]
    assert {host for _, host, _ in seen} <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert any(server.root.endswith(f":{theirs}") for theirs, _ in talking)  # by the workers
    assert [ends for ends in talking if not listening & {*ends}] == []


def connections() -> Iterator[tuple[int, str, int]]:
    """(their port or 0, host, own port): where our processes listen, and to whom they talk."""
    for process in family():
        try:
            found = process.net_connections(kind="inet")
        except psutil.Error:
            continue
        for each in found:
            if each.status == psutil.CONN_LISTEN:
                yield 0, each.laddr.ip, each.laddr.port
            elif each.raddr:
                yield each.raddr.port, each.raddr.ip, each.laddr.port


def test_usage_statistics_are_off(engine: RayEngine) -> None:
    assert list(engine.map(os.environ.get, ["RAY_USAGE_STATS_ENABLED"])) == ["0"]


ALONE = "from selectllm.jobs.ray import RayEngine; engine = RayEngine(cpus=1); "
ALONE += "print(engine.cluster.folder, flush=True); "


def ended(folder: Path, script: str) -> tuple[Path, int]:
    """The folder of a cluster of this machine that a process started, and how it ended."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE + script], capture_output=True, text=True, cwd=folder
    )
    return Path(done.stdout.strip()), done.returncode


def test_a_cluster_of_this_machine_leaves_no_file_and_no_process_behind(tmp_path: Path) -> None:
    left, code = ended(tmp_path, "import os; os.kill(os.getpid(), 9)")
    assert code == -signal.SIGKILL
    assert left.is_absolute()
    assert left.is_dir()
    folder, code = ended(tmp_path, "assert list(engine.map(abs, [-1])) == [1]; engine.close()")
    assert code == 0
    assert not folder.exists()
    assert not left.exists()  # what was killed is cleared away by the next
    lines = [" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])]
    assert [line for line in lines if folder.name in line] == []


def test_a_task_whose_worker_always_dies_is_told(
    engine: RayEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EngineError, match=r"ended again and again.*same command again") as told:
        list(engine.map(os._exit, [1]))
    assert told.value.exit_code == 2
    assert capfd.readouterr().out == ""  # where a command may print JSON


def test_machines_with_other_versions_are_refused(
    address: str, engine: Staying, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.leave()  # one at a time
    monkeypatch.setattr("selectllm.jobs.ray.cluster.version", lambda name: "0.0.1")
    with pytest.raises(EngineError, match=r"selectllm .* instead of 0.0.1.*same versions"):
        list(RayEngine(address).map(abs, [1]))
