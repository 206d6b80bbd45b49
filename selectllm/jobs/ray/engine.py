"""The engine that embeds, maps, sorts and asks on the machines of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Ints
from selectllm.core.extras import check
from selectllm.core.workers import full_order

if TYPE_CHECKING:
    from selectllm.data.encoders import Encoder
    from selectllm.jobs.ray.cluster import Machines
    from selectllm.models.connect import Connections
    from selectllm.models.model import Model, ModelSpec

Thing = TypeVar("Thing")
Result = TypeVar("Result")

SHARD_BYTES = 128 * 2**20
NEEDED_BY = "`engine` ray"
SLICE = 65_536  # positions of an order that are looked at together


class RayEngine:
    """Embeds, computes and asks on the machines of a Ray cluster; nothing starts before it is used.

    `address`: HOST:PORT of the cluster's head, on one of whose machines this process has to run;
    None starts Ray on this machine alone, where all that it opens listens on 127.0.0.1. `cpus`: how
    many cores of this machine are used then, None for all. `shard_bytes`: the most that is sent as
    one piece. Raises ExtraMissing without Ray, and UsageError for what is no address.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        cpus: int | None = None,
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        from selectllm.jobs.ray.cluster import check_address

        check("ray", "ray", NEEDED_BY)
        check_address(address)
        self.address = address
        self.cpus = cpus
        self.piece_bytes = shard_bytes

    @cached_property
    def cluster(self) -> Machines:
        """The cluster, reached or started when it is first used. Raises EngineError."""
        from selectllm.jobs.ray.cluster import open_machines

        return open_machines(self.address, self.cpus)

    def model(self, spec: ModelSpec, shared: Connections) -> Model:
        """What talks to the provider of `spec` from the workers, if that is over a network.

        An embedded model, and one of the user's own code, answers in this process as ever.
        """
        from selectllm.jobs.ray.asking import RemoteModel
        from selectllm.models.connect import innermost
        from selectllm.models.providers.providers import provider_of

        if provider_of(spec).way != "network":
            return innermost(spec, shared)
        return RemoteModel(spec, shared, lambda: self.cluster)

    def encoder(self, name: str | None) -> Encoder:
        """A sentence-transformers model that every worker loads for itself."""
        from selectllm.data.encoders import load_encoder
        from selectllm.jobs.ray.embedding import RemoteEncoder

        local = load_encoder(name)
        if name is not None and Path(name).is_dir():  # workers are in other folders
            name = str(Path(name).resolve())
        return RemoteEncoder(local, name, self.piece_bytes, lambda: self.cluster)

    def map(
        self, function: Callable[[Thing], Result], things: Iterable[Thing], *, whole: bool = False
    ) -> Iterator[Result]:
        """`function` of each thing, in their order, by the workers. Raises EngineError."""
        from selectllm.jobs.ray.tasks import mapped

        return mapped(self.cluster, function, things, whole=whole)

    def sort(self, keys: NDArray[np.float32], gone: NDArray[np.bool_]) -> list[Iterator[Ints]]:
        """One worker sorts all of one row, and the orders are read from them slice by slice."""
        from selectllm.jobs.ray.tasks import begun

        return [_sliced(begin) for begin in begun(self.cluster, full_order, keys)]

    def close(self) -> None:
        """Leave the cluster; one that was started here ends. What is asked later opens it again."""
        if (cluster := self.__dict__.pop("cluster", None)) is not None:
            cluster.close()

    def __repr__(self) -> str:
        return f"RayEngine({self.address!r})"


def _sliced(result: Callable[[], Ints]) -> Iterator[Ints]:
    order = result()
    yield from (order[start : start + SLICE] for start in range(0, len(order), SLICE))
