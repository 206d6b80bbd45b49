"""Pure functions as tasks of Ray: in order, a few at a time, done again if a worker dies."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from selectllm.core.errors import SelectLLMError
from selectllm.jobs.ray.cluster import Machines, told

Thing = TypeVar("Thing")
Result = TypeVar("Result")

AHEAD = 2  # things that are sent for every core before the first result is waited for
RETRIES = 2  # of a task whose worker died


def mapped(
    cluster: Machines,
    function: Callable[[Thing], Result],
    things: Iterable[Thing],
    *,
    whole: bool = False,
) -> Iterator[Result]:
    """`function` of each thing, in their order; `whole`: with all the cores of a machine each."""
    cores = cluster.machine_cpus if whole else 1
    most = max(2, AHEAD * cluster.cpus // cores)
    waiting: deque[Callable[[], Result]] = deque()
    for result in begun(cluster, function, things, cores):
        waiting.append(result)
        if len(waiting) >= most:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()


def begun(
    cluster: Machines, function: Callable[[Thing], Result], things: Iterable[Thing], cores: int = 1
) -> Iterator[Callable[[], Result]]:
    """For each thing what waits for its result; a task begins when its place is reached."""
    remote = cluster.ray.remote(_outcome).options(num_cpus=cores, max_retries=RETRIES)
    for thing in things:
        yield partial(_result, cluster, remote.remote(function, thing, cores))


def _result(cluster: Machines, answer: Any) -> Any:
    with told("a computation"):
        result, error = cluster.ray.get(answer)
    if error is not None:
        raise error
    return result


def _outcome(function: Callable[[Any], Any], thing: Any, cores: int) -> tuple[Any, Any]:
    """In a worker: the result, or the error of ours that ended it."""
    use_cores(cores)
    try:
        return function(thing), None
    except SelectLLMError as error:
        return None, error


def use_cores(cores: int) -> None:
    """Let this process compute with so many threads; `cores` is what Ray gave it."""
    os.environ["OMP_NUM_THREADS"] = str(cores)
    import sys

    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(cores)
