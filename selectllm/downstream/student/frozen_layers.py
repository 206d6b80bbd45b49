"""What the first blocks of a student make of an example, run once and kept on disk.

Those blocks are never adapted in fast mode, so their output is the same in every epoch, for every
set and seed. It is kept as float32 in one memory-mapped file per model and number of blocks: 4
bytes times the width of the model a token (2.3 kB for 576), some 350 kB for an item of Dolly.
`Tally` counts the tokens of all that runs, here and in training.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Ints
from selectllm.core.errors import ModelError
from selectllm.core.types import Progress
from selectllm.data.vector_store import KEY, VectorStore
from selectllm.downstream.student.config import StudentConfig
from selectllm.downstream.student.network import Nats, Student, passed_on, replaced, response_nats
from selectllm.downstream.student.template import Example

FORMAT = 1  # raise it when the same tokens would give other numbers
EXACT = 1e-3  # nats by which a token's loss may differ from that of the whole model
Run = Callable[[Example], Nats]


@dataclass(slots=True)
class Tally:
    """Tokens that are to run and have run; `progress(done, total)` hears of every change."""

    progress: Progress | None = None
    total: int = 0
    done: int = 0

    def expect(self, tokens: int) -> None:
        """So many more are to come."""
        self.total += tokens

    def add(self, tokens: int) -> None:
        """So many have run."""
        self.done += tokens
        if self.progress is not None:
            self.progress(self.done, self.total)


@contextlib.contextmanager
def running(
    student: Student, config: StudentConfig, examples: Sequence[Example], tally: Tally
) -> Iterator[Run]:
    """How these examples are run: `run(example)` gives `response_nats`, as the mode has it.

    In fast mode the first blocks are run here, once for every example that is new; `tally` hears
    of its tokens. Raises ModelError if the last blocks alone do not give the loss of the whole
    model: then the architecture does more between its blocks than hand on what comes out.
    """
    if config.mode == "full":
        yield functools.partial(response_nats, student.network)
        return
    first = student.first_adapted(config)
    trunk = Trunk(student, first, examples)
    trunk.fill(tally)
    with trunk.left_out():
        yield trunk.run


def unseen(student: Student, config: StudentConfig, examples: Sequence[Example]) -> list[Example]:
    """Those that the first blocks have not run yet; none in full mode, which has no such blocks."""
    if config.mode == "full":
        return []
    trunk = Trunk(student, student.first_adapted(config), examples)
    return [example for example in examples if not trunk.holds(example)]


class Trunk:
    """The first `blocks` blocks of a student and what they make of some examples."""

    def __init__(self, student: Student, blocks: int, examples: Sequence[Example]) -> None:
        self._student = student
        *self._others, self._last = student.blocks[:blocks]
        self._adapted = student.blocks[blocks:]
        self._examples = {example.tokens: example for example in examples}
        identity = f"trunk-{FORMAT} of {student.identity}, {blocks} blocks"
        self._store = VectorStore(student.folder, identity)
        self._rows = self._found()

    def fill(self, tally: Tally) -> None:
        """Run what is new; a killed run loses one example at most."""
        import torch

        new = [tokens for tokens in self._examples if tokens not in self._rows]
        tally.expect(sum(len(tokens) for tokens in new))
        for number, tokens in enumerate(new):
            with torch.inference_mode():
                hidden = self._activations(tokens)
                if number == 0:
                    self._check(self._examples[tokens], hidden)
            self._store.add(_keys(tokens), hidden[0].cpu().numpy())
            tally.add(len(tokens))
        if new:
            self._rows = self._found()

    def holds(self, example: Example) -> bool:
        """Whether what the blocks make of it is kept."""
        return example.tokens in self._rows

    def left_out(self) -> contextlib.AbstractContextManager[None]:
        """While the first blocks are passed over, as `run` needs it."""
        return replaced(self._others, passed_on)

    def run(self, example: Example) -> Nats:
        """`response_nats` from the kept activations on, while the first blocks are left out."""
        import torch

        values = self._store.read(self._rows[example.tokens])
        network = self._student.network
        return self._from(torch.from_numpy(values)[None].to(network.device), example)

    def _from(self, hidden: Any, example: Example) -> Nats:
        with replaced([self._last], lambda *_, **__: hidden):
            return response_nats(self._student.network, example)

    def _activations(self, tokens: tuple[int, ...]) -> Any:
        """(1, n_tokens, width) what goes into the first adapted block."""
        import torch

        seen = []

        def keep(hidden: Any, *_: Any, **__: Any) -> Any:
            seen.append(hidden)
            return hidden

        network = self._student.network
        row = torch.tensor([tokens], device=network.device)
        with replaced([self._adapted[0]], keep), replaced(self._adapted[1:], passed_on):
            network(input_ids=row, use_cache=False, logits_to_keep=1)
        return seen[0]

    def _check(self, example: Example, hidden: Any) -> None:
        whole = response_nats(self._student.network, example)
        with self.left_out():
            ours = self._from(hidden, example)
        apart = float((whole - ours).abs().max())
        if not apart <= EXACT:
            raise ModelError(
                f"student {self._student.identity}: fast mode cannot be used, because its last "
                f"blocks alone give a loss that differs by {apart:.2g} nats from that of the "
                "whole model. Use mode full"
            )

    def _found(self) -> dict[tuple[int, ...], Ints]:
        """Rows of the store by the tokens of each example that is wholly there."""
        keys = [_keys(tokens) for tokens in self._examples]
        if not keys:
            return {}
        rows = self._store.find(np.concatenate(keys))
        parts = np.split(rows, np.cumsum([len(each) for each in keys])[:-1])
        return {
            tokens: part
            for tokens, part in zip(self._examples, parts, strict=True)
            if part.min() >= 0
        }


def _keys(tokens: tuple[int, ...]) -> NDArray[np.bytes_]:
    """(n_tokens,) one key per token: of all tokens of its example, and its place among them."""
    whole = hashlib.sha256(np.array(tokens, dtype="<i8").tobytes())
    digests = []
    for place in range(len(tokens)):
        digest = whole.copy()
        digest.update(place.to_bytes(8, "little"))
        digests.append(digest.digest())
    return np.frombuffer(b"".join(digests), dtype=KEY)
