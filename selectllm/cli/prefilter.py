"""What `select` leaves out of a pool before anything is asked: near-duplicates, a poor share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selectllm.cli.options import ModelOptions
from selectllm.cli.select_by_strategy import candidates_for, meter_for
from selectllm.cli.select_options import SelectOptions, given_threshold
from selectllm.cli.session import CommandSession
from selectllm.core.errors import UsageError
from selectllm.core.types import Pool, empty
from selectllm.data.deduplicate import distinct
from selectllm.selection.by_model import SelectSettings, check_budget, narrowed
from selectllm.selection.strategies import Strategy, find_strategy

NO_SETTINGS = ModelOptions(None, ())  # those of the command line are the selecting model's


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What is left of a pool, by which options, and the calls that a dry run did not make."""

    pool: Pool
    by: Mapping[str, str] = field(default_factory=empty)
    calls: int = 0


def left_of(
    session: CommandSession, pool: Pool, options: SelectOptions, settings: SelectSettings
) -> Narrowed:
    """The pool without what --distinct and --prefilter leave out.

    In a dry run nothing is measured, embedded or asked: as many items are left, at random. Raises
    UsageError where they leave fewer than --budget, before anything is asked if that is certain.
    """
    by = {name: getattr(options, name) for name in ("distinct", "prefilter")}
    by = {name: text for name, text in by.items() if text is not None}
    calls = 0
    if options.distinct is not None:
        pool = _without_duplicates(session, pool, options)
    if options.prefilter is not None:
        strategy, share = _filter(options.prefilter)
        count = math.ceil(share * len(pool))
        if options.budget is not None:
            check_budget(options.budget, narrowed(pool, pool.items[:count]), "left of")
        meter = meter_for(session, pool, strategy, settings, NO_SETTINGS)
        if options.dry_run and (strategy.scorer is not None or strategy.needs_vectors):
            calls = len(pool) * strategy.calls_per_item
            strategy = find_strategy("random")
        candidates, _ = candidates_for(session, pool, strategy, settings, meter)
        kept = sorted(strategy.choose(candidates, count))
        session.note(f"{len(kept)} of {len(pool)} items are left by --prefilter")
        pool = narrowed(pool, [pool.items[position] for position in kept])
    if options.budget is not None:
        check_budget(options.budget, pool, "left of" if by else "in")
    return Narrowed(pool, by, calls)


def _without_duplicates(session: CommandSession, pool: Pool, options: SelectOptions) -> Pool:
    """The pool without items that say the same as an earlier one."""
    threshold = given_threshold(options.distinct)
    vectors = None if threshold is None or options.dry_run else _vectors(session, pool)
    found = distinct(pool.items, vectors, threshold or 1.0)
    session.note(
        f"{len(found.kept)} of {len(pool)} items are distinct; {len(found.exact)} repeat a text, "
        f"{len(found.semantic)} are near-duplicates"
    )
    return narrowed(pool, [pool.by_id[item_id] for item_id in found.kept])


def _filter(text: str) -> tuple[Strategy, Fraction]:
    """STRATEGY:SHARE; the share exactly as written, so that 0.07 of 100 items are 7."""
    name, _, share = text.rpartition(":")
    try:
        number = Fraction(share)
    except (ValueError, ZeroDivisionError):
        number = Fraction(0)
    if not name or not 0 < number <= 1:
        raise UsageError(
            f"--prefilter {text!r}: must be STRATEGY:SHARE with a share above 0 and at most 1, "
            "such as longest:0.5"
        )
    return find_strategy(name, Path.cwd()), number


def _vectors(session: CommandSession, pool: Pool) -> NDArray[np.float32]:
    with session.progress("embedding") as advance:
        return session.embedder(advance).of(pool.items)
