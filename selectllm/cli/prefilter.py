"""What `select` leaves out of a pool before anything is asked: near-duplicates, a poor share."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from selectllm.cli.options import ModelOptions
from selectllm.cli.select_by_strategy import candidates_for, meter_for
from selectllm.cli.session import Session
from selectllm.errors import UsageError
from selectllm.measures.meter import calls_per_item
from selectllm.near_duplicates import distinct
from selectllm.select import SelectSettings, narrowed
from selectllm.strategies import Strategy, find_strategy
from selectllm.types import Pool

NO_SETTINGS = ModelOptions(None, ())  # those of the command line are the selecting model's


def without_duplicates(session: Session, pool: Pool, threshold: float | None) -> Pool:
    """The pool without items that say the same as an earlier one.

    `threshold`: the cosine from which on two items do; None: only the same text does.
    """
    vectors = None if threshold is None else _vectors(session, pool)
    found = distinct(pool.items, vectors, threshold or 1.0)
    session.note(
        f"{len(found.kept)} of {len(pool)} items are distinct; {len(found.exact)} repeat a text, "
        f"{len(found.semantic)} are near-duplicates"
    )
    return narrowed(pool, [pool.by_id[item_id] for item_id in found.kept])


def prefiltered(
    session: Session, pool: Pool, text: str, settings: SelectSettings, dry_run: bool
) -> Pool:
    """The share of the pool that a strategy puts first; `text` is STRATEGY:SHARE.

    What could not be measured is left out, so that fewer may be left. In a dry run no model is
    asked: as many items are left, at random.
    """
    strategy, share = _filter(text)
    meter = meter_for(session, pool, strategy, settings, NO_SETTINGS)
    calls = 0 if strategy.measure is None else calls_per_item(strategy.measure) * len(pool)
    if dry_run and calls:
        session.note(f"--prefilter {text} would take {calls} calls first")
        strategy = find_strategy("random")
    candidates, _ = candidates_for(session, pool, strategy, settings, meter)
    kept = sorted(strategy.choose(candidates, math.ceil(share * len(pool))))
    session.note(f"{len(kept)} of {len(pool)} items are left by {strategy.name}")
    return narrowed(pool, [pool.items[position] for position in kept])


def _filter(text: str) -> tuple[Strategy, float]:
    name, _, share = text.rpartition(":")
    try:
        number = float(share)
    except ValueError:
        number = math.nan
    if not name or not 0 < number <= 1:
        raise UsageError(
            f"--prefilter {text!r}: must be STRATEGY:SHARE with a share above 0 and at most 1, "
            "such as longest:0.5"
        )
    return find_strategy(name), number


def _vectors(session: Session, pool: Pool) -> NDArray[np.float32]:
    with session.progress("embedding") as advance:
        return session.embedder(advance).of(pool.items)
