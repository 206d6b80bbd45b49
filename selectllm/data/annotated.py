"""Which items of a pool are annotated already, by id or by text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selectllm.core.errors import UsageError
from selectllm.core.names import listed
from selectllm.core.types import Item, Pool
from selectllm.data.deduplicate import normalised


@dataclass(frozen=True, slots=True)
class Annotated:
    """Items that are given beside a pool, held against it.

    `inside`: items of the pool that are among them, in the order of the pool. `by_id`, `by_text`:
    how many of the given items are in the pool by their id, and by their text alone. `outside`:
    those that are not in the pool.
    """

    inside: tuple[Item, ...]
    by_id: int
    by_text: int
    outside: tuple[Item, ...]


def annotated_in(pool: Pool, given: Sequence[Item], source: str) -> Annotated:
    """Which items of `pool` are among `given`: those of the same id, and those of the same text.

    Texts are instruction and input, compared as `deduplicate.normalised`; an item whose text was
    corrected is known by its id. `source`: where the given items are from.

    Raises UsageError if they are of another pool: none of them is in this one, or more than half of
    the ids that both have stand for different texts.
    """
    texts = {normalised(item.text) for item in given}
    ids = {item.id for item in given}
    inside = tuple(i for i in pool.items if i.id in ids or normalised(i.text) in texts)
    in_pool = {normalised(item.text) for item in inside}
    by_id = {item.id: item for item in inside}
    same_id = [item for item in given if item.id in by_id]
    changed = [i.id for i in same_id if normalised(i.text) != normalised(by_id[i.id].text)]
    rest = [item for item in given if item.id not in by_id]
    by_text = sum(normalised(item.text) in in_pool for item in rest)
    name = pool.source or "the pool"
    if 2 * len(changed) > len(same_id):
        raise UsageError(
            f"`given` {source}: {len(same_id)} of its {len(given)} ids are in {name}, but "
            f"{len(changed)} of them stand for another text there: {listed(changed)}. So the file "
            "belongs to another pool. Give the annotated items of this one",
            argument="given",
        )
    if not inside:
        raise UsageError(
            f"`given` {source}: 0 of its {len(given)} ids are in {name}, and none of its texts. "
            "So the file belongs to another pool. Give the annotated items of this one, or leave "
            "`given` out",
            argument="given",
        )
    outside = tuple(item for item in rest if normalised(item.text) not in in_pool)
    return Annotated(inside, len(same_id), by_text, outside)
