"""A Ray cluster: started on this machine or reached by its address, and what can be wrong with it.

Whatever Ray raises is told here in our words; nothing of its own passes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import re
import shutil
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from selectllm.core.errors import EngineError, UsageError
from selectllm.core.extras import need
from selectllm.jobs.ray.leftovers import claim, sweep

REACHED_WITHIN = 10.0  # seconds until a port that does not answer counts as none
JOINED_WITHIN = 60.0  # seconds that Ray may take to join the cluster that listens there
PROBED_WITHIN = 120.0  # seconds in which each machine has to say what it has installed
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_task_oom_retries": "2",  # without end otherwise
}
ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # what makes Ray listen on 127.0.0.1 only
SAME = (  # what has to be the same everywhere, for results to be
    *("selectllm", "ray", "numpy", "torch", "transformers", "sentence-transformers"),
)
HINT = "What is finished is kept. Run the same command again to continue from there"


@dataclass(eq=False)
class Machines:
    """A cluster that this process has joined. `started`: here, and ends with it.

    `folder`: of its logs and sockets if it was started here, which nobody needs after it;
    `claimed`: its mark (leftovers.py).
    """

    ray: Any
    started: bool
    folder: Path | None = None
    claimed: IO[bytes] | None = None
    actors: list[Any] = field(default_factory=list)

    @property
    def cpus(self) -> int:
        """Cores of all machines together."""
        return max(1, int(self.ray.cluster_resources().get("CPU", 1)))

    @property
    def gpus(self) -> int:
        """GPUs of all machines together."""
        return int(self.ray.cluster_resources().get("GPU", 0))

    @property
    def machine_cpus(self) -> int:
        """Cores of the smallest machine."""
        counts = [node["Resources"].get("CPU", 0) for node in self.alive]
        return max(1, int(min((count for count in counts if count), default=1)))

    @property
    def alive(self) -> list[Mapping[str, Any]]:
        """The machines, as Ray describes them."""
        return [node for node in self.ray.nodes() if node["Alive"]]

    def actor(self, kind: type[Any], *arguments: Any, **options: Any) -> Any:
        """A new actor of `kind`, a plain class; `options` of Ray's."""
        made = self.ray.remote(kind).options(max_restarts=0, max_task_retries=0, **options)
        actor = made.remote(*arguments)
        self.actors.append(actor)
        return actor

    def end(self, actor: Any) -> None:
        """Let go of an actor; it ends, if it has not."""
        if actor in self.actors:
            self.actors.remove(actor)
            with contextlib.suppress(Exception):  # it, or all of the cluster, is gone already
                self.ray.kill(actor)

    def close(self) -> None:
        """Leave; what was started here ends."""
        for actor in list(self.actors):
            self.end(actor)
        with contextlib.suppress(Exception):
            self.ray.shutdown()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self.claimed is not None:
            self.claimed.close()


def check_address(address: str | None) -> None:
    """Raise UsageError unless `address` is None or HOST:PORT."""
    if address is None or re.fullmatch(r"[\w.-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}", address):
        return
    raise UsageError(
        f"`ray_address` {address!r} is not HOST:PORT, such as 10.0.0.1:6379, which `ray start "
        "--head` prints",
        argument="ray_address",
    )


def open_machines(address: str | None, cpus: int | None) -> Machines:
    """Reach the cluster at `address`, or start one of `cpus` cores. Raises EngineError."""
    os.environ.update(QUIET)
    if address is None or address.startswith(("127.0.0.1:", "localhost:")):
        os.environ.update(ALONE)
    ray = need("ray", "ray", "`engine` ray")
    if ray.is_initialized():
        raise EngineError(
            "this process uses Ray already. Use one session with a RayEngine at a time, or call "
            "ray.shutdown() first"
        )
    _silence()
    if address is None:
        alone = {"address": "local", "num_cpus": cpus, "include_dashboard": False}
        folder = _init(ray, "this machine", **alone)
        claimed = None if folder is None else claim(folder)
        if folder is not None:
            sweep(folder.parent)
        return Machines(ray, started=True, folder=folder, claimed=claimed)
    _reach(address)
    _joined(ray, address)
    cluster = Machines(ray, started=False)
    try:
        check_machines(cluster)
    except BaseException:
        cluster.close()
        raise
    return cluster


def _silence() -> None:
    """Ray says nothing: what it tells of dead workers would stand on stdout, between our JSON."""
    from ray._private import worker

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    worker._worker_logs_enabled = False


def _reach(address: str) -> None:
    """Raise EngineError unless something listens at `address`: Ray itself would wait for long."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACHED_WITHIN).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise EngineError(
            f"`ray_address` {address}: no Ray cluster answers there ({reason}). Start one with "
            f"`ray start --head --port={port}` on that machine, or leave `ray_address` out to use "
            "this machine alone",
            argument="ray_address",
        ) from None


def _init(ray: Any, where: str, **options: Any) -> Path | None:
    """Start or join; gives the folder of its logs and sockets."""
    try:
        joined = ray.init(
            **options, log_to_driver=False, logging_level=logging.CRITICAL, namespace="selectllm"
        )
    except (OSError, RuntimeError, ValueError, AssertionError, ray.exceptions.RayError) as error:
        raise _not_joined(where, error) from None
    folder = joined.address_info.get("session_dir")
    return None if folder is None else Path(folder)


def _joined(ray: Any, address: str) -> None:
    """Join the cluster, given up after a while: in a thread, since Ray cannot be told how long.

    A cluster cannot be started so: its processes would end with the thread.
    """
    failed: list[EngineError] = []

    def join() -> None:
        try:
            _init(ray, address, address=address)
        except EngineError as error:
            failed.append(error)

    thread = threading.Thread(target=join, daemon=True)
    thread.start()
    thread.join(JOINED_WITHIN)
    if thread.is_alive():
        raise EngineError(
            f"`ray_address` {address}: what listens there did not answer as Ray does within "
            f"{JOINED_WITHIN:.0f} seconds. Look at `ray status` on that machine",
            argument="ray_address",
        )
    if failed:
        raise failed[0]


def _not_joined(where: str, error: BaseException) -> EngineError:
    """Our error for what Ray says of a cluster that it cannot join."""
    text = " ".join(str(error).split())
    if "ersion mismatch" in text:
        return EngineError(
            f"`ray_address` {where}: the cluster has other versions than this process ({text}). "
            "Install the same versions of Ray and Python on all machines",
            argument="ray_address",
        )
    return EngineError(
        f"Ray cannot be used on {where} ({text[:300]}). This command has to run on a machine of "
        "the cluster: run `ray start --address=HOST:PORT` here first, or leave `ray_address` out "
        "to use this machine alone",
        argument="ray_address",
    )


def installed() -> dict[str, str | None]:
    """What this process has of what has to be the same everywhere."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in SAME:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def check_machines(cluster: Machines) -> None:
    """Raise EngineError unless every machine of the cluster has what this one has."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

    probe = cluster.ray.remote(installed)
    asked = [
        (
            node["NodeManagerAddress"],
            probe.options(
                num_cpus=0, max_retries=1, scheduling_strategy=On(node["NodeID"], soft=False)
            ).remote(),
        )
        for node in cluster.alive
    ]
    ours = installed()
    for machine, answer in asked:
        with told(f"the check of {machine}"):
            theirs = cluster.ray.get(answer, timeout=PROBED_WITHIN)
        other = [
            f"{name} {theirs[name] or 'missing'} instead of {ours[name] or 'none'}"
            for name in ours
            if theirs[name] != ours[name]
        ]
        if other:
            raise EngineError(
                f"the machine {machine} of the cluster has {', '.join(other)}. Install the same "
                "versions on all machines, and start Ray there again",
                argument="ray_address",
            )


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """While Ray is waited for: EngineError instead of what Ray raises about `what`."""
    from ray import exceptions

    try:
        yield
    except exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, ModuleNotFoundError):
            raise EngineError(
                f"a machine of the cluster lacks {cause.name}, which {what} needs. Install "
                "selectllm with the same extras on all machines"
            ) from None
        raise
    except exceptions.GetTimeoutError:
        raise EngineError(
            f"{what} did not end in time. The cluster may have no free core: look at `ray status`"
        ) from None
    except exceptions.OutOfMemoryError:
        raise died(what, "memory ran out") from None
    except exceptions.RayError as error:
        raise died(what, str(error)) from None


def died(what: str, reason: str) -> EngineError:
    """Our error for a worker that ended while it was at `what`."""
    text = " ".join(reason.split())
    short = re.search(r"memory ran out|running low on memory|exit type: \w+", text)
    return EngineError(
        f"a worker of the cluster ended again and again during {what} "
        f"({short.group() if short else text[:120]}). This happens when a machine runs out of "
        f"memory: use fewer workers a machine, or larger machines. {HINT}"
    )
