"""Embedding by actors: each loads the encoder once, on a core or a GPU of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from selectllm.core.arrays import Vectors
from selectllm.core.errors import EncoderError, SelectLLMError
from selectllm.data.encoders import Encoder, check_encoder, load_encoder
from selectllm.jobs.ray.cluster import Machines, died, told
from selectllm.jobs.ray.tasks import use_cores

BATCHES = 8  # batches of a shard at most: what an actor that dies does again
AHEAD = 2  # shards that an actor has at a time, so that it never waits for the next
DEATHS = 3  # of actors with the same shard, after which no other is tried

Batches = list[Sequence[str]]


@dataclass(frozen=True, slots=True)
class RemoteEncoder:
    """The encoder `local` on the workers, which know it by `name`.

    Batches are those that the local engine makes, and vectors arrive in their order: the store
    holds the same bytes. `shard_bytes`: of text, the most that is sent at a time.
    """

    local: Encoder
    name: str | None
    shard_bytes: int
    cluster: Callable[[], Machines]

    @property
    def identity(self) -> str:
        """The local encoder's."""
        return self.local.identity

    def check(self) -> None:
        """Raise ExtraMissing if this machine could not encode: all machines have the same."""
        check_encoder(self.local)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n_texts, dim) float32, rows L2-normalised, by one worker."""
        return next(self.encode_batches([texts]))

    def encode_batches(self, batches: Iterable[Sequence[str]]) -> Iterator[Vectors]:
        """The vectors of each batch, in order. Raises EngineError, and what the encoder raises."""
        team = _Team(self.cluster(), self)
        try:
            for shard in team.encoded(_shards(batches, self.shard_bytes)):
                yield from shard
        finally:
            team.end()


class Encoding:
    """In a worker: the encoder, loaded once. `encode` gives vectors or an error of ours."""

    def __init__(self, name: str | None, identity: str) -> None:
        self._name, self._identity = name, identity
        self._encoder: Encoder | None = None

    def encode(self, shard: Batches) -> tuple[list[Vectors], SelectLLMError | None]:
        """The vectors of each batch."""
        try:
            if self._encoder is None:
                self._encoder = self._loaded()
            return [self._encoder.encode(batch) for batch in shard], None
        except SelectLLMError as error:
            return [], error

    def _loaded(self) -> Encoder:
        import torch  # before it is told how many threads to use

        del torch
        use_cores(1)
        encoder = load_encoder(self._name)
        if encoder.identity != self._identity:
            raise EncoderError(
                f"a machine of the cluster has the encoder {encoder.identity}, not "
                f"{self._identity}. Put the same files on all machines"
            )
        return encoder


@dataclass(slots=True)
class _Team:
    """The actors that share the shards of one call, each replaced if it dies."""

    cluster: Machines
    encoder: RemoteEncoder
    actors: list[Any] = field(default_factory=list)
    under_way: dict[Any, tuple[int, Batches, Any]] = field(default_factory=dict)
    deaths: dict[int, int] = field(default_factory=dict)

    def encoded(self, shards: Iterator[Batches]) -> Iterator[list[Vectors]]:
        """The vectors of every shard, in order."""
        size = self.cluster.gpus or self.cluster.cpus
        numbered = enumerate(shards)
        due: deque[tuple[int, Batches]] = deque()
        ready: dict[int, list[Vectors]] = {}
        wanted = 0
        while True:
            room = AHEAD * size - len(self.under_way) - len(due)
            if len(ready) < AHEAD * size:  # one slow shard must not let the others pile up
                due.extend(islice(numbered, max(0, room)))
            while due:
                self._send(*due.popleft(), size)
            if wanted in ready:
                yield ready.pop(wanted)
                wanted += 1
            elif self.under_way:
                due.extend(self._received(ready))
            else:
                return

    def end(self) -> None:
        """Let all actors go: others need their cores."""
        for actor in self.actors:
            self.cluster.end(actor)

    def _send(self, number: int, shard: Batches, size: int) -> None:
        busy = [of for _, _, of in self.under_way.values()]
        if len(self.actors) < size and all(actor in busy for actor in self.actors):
            self.actors.append(self._made())
        actor = min(self.actors, key=busy.count)
        self.under_way[actor.encode.remote(shard)] = (number, shard, actor)

    def _made(self) -> Any:
        gpu = self.cluster.gpus > 0
        return self.cluster.actor(
            Encoding,
            self.encoder.name,
            self.encoder.identity,
            num_cpus=0 if gpu else 1,
            num_gpus=1 if gpu else 0,
            scheduling_strategy="SPREAD",
        )

    def _received(self, ready: dict[int, list[Vectors]]) -> list[tuple[int, Batches]]:
        """Wait for a shard, into `ready`; gives those that a dead actor had, to be sent again."""
        from ray import exceptions

        ray = self.cluster.ray
        (answer,), _ = ray.wait(list(self.under_way), num_returns=1)
        number, _, actor = self.under_way[answer]
        try:
            with told("embedding"):
                try:
                    vectors, error = ray.get(answer)
                except (exceptions.RayActorError, exceptions.OutOfMemoryError) as reason:
                    return self._lost(actor, number, str(reason))
        finally:
            self.under_way.pop(answer, None)
        if error is not None:
            raise error
        ready[number] = [np.asarray(each) for each in vectors]
        return []

    def _lost(self, actor: Any, number: int, reason: str) -> list[tuple[int, Batches]]:
        """The shards of a dead actor. Raises EngineError once one has cost several."""
        self.cluster.end(actor)
        self.actors.remove(actor)
        mine = [(answer, *what) for answer, what in self.under_way.items() if what[2] is actor]
        for answer, *_ in mine:
            del self.under_way[answer]
        first = min(of for _, of, _, _ in mine)  # it works on one after the other
        self.deaths[first] = self.deaths.get(first, 0) + 1
        if self.deaths[first] >= DEATHS:
            raise died("embedding", reason)
        return [(of, shard) for _, of, shard, _ in mine]


def _shards(batches: Iterable[Sequence[str]], most_bytes: int) -> Iterator[Batches]:
    """Batches together: one for each of the first shards, then up to BATCHES, by their size."""
    shard: Batches = []
    size = made = 0
    for batch in batches:
        length = sum(4 * len(text) for text in batch)  # of a character at most
        if shard and (len(shard) > min(BATCHES - 1, made // 32) or size + length > most_bytes):
            yield shard
            shard, size, made = [], 0, made + 1
        shard.append(batch)
        size += length
    if shard:
        yield shard
