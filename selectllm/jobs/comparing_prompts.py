"""Prompts as a model would see them: rendered for the first items of a pool, and compared."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from selectllm.core.codec import seeded_hash
from selectllm.core.types import Item, Message
from selectllm.data.pool import load_pool
from selectllm.prompting.prompt import Prompt, first_question

if TYPE_CHECKING:
    from selectllm.jobs.watching import Watcher


def first_items(
    file: Path, columns: Mapping[str, str], size: int, watcher: Watcher, seed: int | None = None
) -> Sequence[Item]:
    """The first `size` items of a pool, shuffled if there is a `seed`; its notes go to `watcher`.

    Raises PoolError for a file that cannot be read.
    """
    pool = load_pool(file, columns=columns).pool
    for note in pool.notes:
        watcher.note(f"Note on {file}: {note}")
    items = pool.items[:size]
    if seed is None:
        return items
    return sorted(items, key=lambda item: seeded_hash("render", seed, item.id))


def transcript(messages: Sequence[Message]) -> str:
    """Messages as text, each under its role."""
    return "".join(f"--- {each['role']} ---\n{each['content']}\n" for each in messages)


def differences(old: Prompt, new: Prompt, items: Sequence[Item] | None, k: int) -> dict[str, str]:
    """Unified diffs of two prompts' files, and of what they say of `items` if there are any."""
    found = {"source": _difference(old, new, old.source, new.source)}
    if items is not None:
        before, after = (transcript(first_question(prompt, items, k)) for prompt in (old, new))
        found["rendered"] = _difference(old, new, before, after)
    return found


def _difference(old: Prompt, new: Prompt, before: str, after: str) -> str:
    # Every line gets an end, so that a last line without one cannot run into the next.
    left, right = ([f"{line}\n" for line in text.split("\n")] for text in (before, after))
    return "".join(difflib.unified_diff(left, right, old.ref, new.ref))
