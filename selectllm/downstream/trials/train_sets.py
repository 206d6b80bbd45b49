"""Trials carried out: each set trained with each seed, scored on the test items, and logged."""

from __future__ import annotations

import functools
import multiprocessing
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

from selectllm.core.errors import ModelError
from selectllm.core.types import Item, Progress
from selectllm.core.workers import HERE, Workers
from selectllm.downstream.student.config import StudentConfig
from selectllm.downstream.student.network import Student, open_student
from selectllm.downstream.student.score import score
from selectllm.downstream.student.training import train
from selectllm.downstream.trials.log import BASE, Trial, TrialKey, TrialLog
from selectllm.downstream.trials.training_set import TrialSet


@dataclass(frozen=True, slots=True)
class Bench:
    """What all trials share. `cache`: the cache's folder. `folder`: where students are left."""

    config: StudentConfig
    cache: Path
    folder: Path
    tests: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class _Job:
    """One trial to be made; no items: the student as it is."""

    bench: Bench
    items: tuple[Item, ...]
    key: TrialKey


def carry_out(
    sets: Sequence[TrialSet],
    seeds: Sequence[int],
    bench: Bench,
    log: TrialLog,
    *,
    jobs: int = 1,
    tick: Progress | None = None,
    workers: Workers = HERE,
) -> None:
    """Make every trial of `sets` and training `seeds` that `log` lacks, and that of no training.

    Seed by seed, so that what is cut short has compared all sets alike. `jobs`: trials at a time,
    each in a process of its own with a share of the cores; numbers differ by no more than the
    rounding of sums over other threads. A killed call goes on in the middle of a training.
    `workers` of an engine make one trial a machine at a time instead, with all of its cores.
    `tick(done, total)` counts trials.

    Raises as `train` and `score` do.
    """
    wanted = {BASE: ()} | {(each.sha256, seed): each.items for seed in seeds for each in sets}
    missing = [_Job(bench, items, key) for key, items in wanted.items() if key not in log]
    made = _made_elsewhere(missing, workers) if workers.piece_bytes else _made(missing, jobs)
    for done, trial in enumerate(made, start=1):
        log.append(trial)
        if tick is not None:
            tick(done, len(missing))


def _made(missing: Sequence[_Job], jobs: int) -> Iterator[Trial]:
    """The trials as they are finished."""
    if jobs == 1 or len(missing) < 2:
        yield from map(_trial, missing)
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    pool = ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), initializer=_settle, initargs=(threads,)
    )
    try:
        yield from (
            each.result() for each in _finished(pool.submit(_trial, job) for job in missing)
        )
    except BrokenProcessPool:
        raise ModelError(
            f"one of {jobs} trainings that ran at the same time was killed, probably "
            "because there was not enough memory. Lower `jobs` or `max_length`, and run "
            "the same command again. What is finished is kept",
            argument="jobs",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _made_elsewhere(missing: Sequence[_Job], workers: Workers) -> Iterator[Trial]:
    """The same by workers in other folders, or on other machines, where paths are the same."""

    def whole(job: _Job) -> _Job:
        bench = job.bench
        model = Path(bench.config.model)
        config = bench.config
        if model.is_dir():
            config = replace(config, model=str(model.resolve()))
        there = replace(bench, config=config, cache=bench.cache.resolve())
        return replace(job, bench=replace(there, folder=bench.folder.resolve()))

    return workers.map(_trial, map(whole, missing), whole=True)


def _finished(futures: Iterable[Future[Trial]]) -> Iterator[Future[Trial]]:
    yield from as_completed(list(futures))


def _settle(threads: int) -> None:
    """In a process that shares the machine with others like it."""
    import torch

    torch.set_num_threads(threads)


@functools.cache
def _opened(model: str, cache: Path) -> Student:
    return open_student(model, cache)


def _trial(job: _Job) -> Trial:
    bench, (sha256, seed) = job.bench, job.key
    config = replace(bench.config, seed=seed)
    student = _opened(config.model, bench.cache)
    started, tokens, folder = time.process_time(), 0, None
    if job.items:
        folder = bench.folder / f"{sha256[:16]}-seed{seed}"
        tokens = train(student, job.items, config, folder).plan.response_tokens
    loss = score(student, bench.tests, config, folder)
    seconds = time.process_time() - started
    return Trial(sha256, seed, tokens, tuple(loss.nats.tolist()), seconds)
