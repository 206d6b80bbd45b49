"""What is left out of a pool before anything is asked: near-duplicates, a poor share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from selectllm.core.errors import SelectionShort, UsageError, blaming
from selectllm.core.types import Pool, empty
from selectllm.data.deduplicate import PairLimits, distinct, near_given
from selectllm.data.stored_items import ids_of, subset
from selectllm.jobs.beside import Beside
from selectllm.jobs.measuring import candidates_for, meter_for
from selectllm.jobs.session import Session
from selectllm.jobs.settings import SelectRequest
from selectllm.selection.by_model import SelectSettings, check_budget, narrowed
from selectllm.selection.clustering.near_duplicates import InCells
from selectllm.selection.scorers.item_scorer import Ahead, Meter
from selectllm.selection.strategies import Strategy, find_strategy


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What is left of a pool, by which arguments, and the calls that were not made for it.

    `ahead`: whom these would ask.
    """

    pool: Pool
    by: Mapping[str, str] = field(default_factory=empty)
    calls: int = 0
    ahead: Sequence[Ahead] = ()


async def left_of(
    session: Session,
    beside: Beside,
    request: SelectRequest,
    settings: SelectSettings,
    *,
    dry_run: bool = False,
) -> Narrowed:
    """The pool without what `distinct` and `prefilter` leave out.

    `dry_run`: nothing is measured, embedded or asked; as many items are left, at random. Raises
    UsageError where they leave fewer than `budget`, before anything is asked if that is certain.
    """
    calls, ahead, pool = 0, list[Ahead](), beside.pool
    if request.distinct is not None:
        pool = _without_duplicates(session, beside, request.cosine, dry_run=dry_run)
    if request.prefilter is not None:
        strategy, share = _filter(request.prefilter, session)
        count = math.ceil(share * len(pool))
        if request.budget is not None:
            check_budget(
                request.budget, narrowed(pool, subset(pool.items, range(count))), "left of"
            )
        with blaming("prefilter"):
            meter = meter_for(session, pool, strategy, settings, request.models)
        if strategy.needs_vectors:
            session.check_encoder()
        if dry_run and (strategy.scorer is not None or strategy.needs_vectors):
            calls = len(pool) * strategy.calls_per_item
            ahead = _asked_by(strategy, meter)
            strategy = find_strategy("random")
        candidates, _ = await candidates_for(session, pool, strategy, settings, meter, beside)
        kept = sorted(strategy.choose(candidates, count))
        if not kept:
            raise SelectionShort(
                f"`prefilter` {strategy.name}: none of {len(pool)} items could be measured, so "
                "nothing is left to select from. Leave the prefilter out, or choose another",
                argument="prefilter",
            )
        session.note(f"`prefilter` keeps {len(kept)} of {len(pool)} items.")
        pool = narrowed(pool, subset(pool.items, kept))
    if request.budget is not None:
        narrower = bool(request.narrowing or beside.items)
        check_budget(request.budget, pool, "left of" if narrower else "in")
    by = {"given_sha256": beside.sha256} if beside.items else {}
    return Narrowed(pool, request.narrowing | by, calls, ahead)


def _asked_by(strategy: Strategy, meter: Meter) -> list[Ahead]:
    from selectllm.evaluation.planning.destinations import measured_by

    return measured_by([strategy], meter)


def check_models(session: Session, strategy: Strategy, request: SelectRequest) -> None:
    """Raise UsageError for `models` where neither `strategy` nor a prefilter asks any model."""
    if request.models is None or strategy.calls_per_item:
        return
    if request.prefilter is None or not _filter(request.prefilter, session)[0].calls_per_item:
        raise UsageError(
            f"`models` are settings of a model, and the strategy {strategy.name} asks none. Leave "
            "them out",
            argument="models",
        )


def _without_duplicates(
    session: Session, beside: Beside, cosine: float | None, *, dry_run: bool
) -> Pool:
    """What is left without items that say the same as an earlier one, or as an annotated one."""
    pool, vectors = beside.pool, None
    near: set[str] = set()
    if cosine is not None and not dry_run:
        with session.computing("embedding") as advance:
            vectors = session.embedder(advance).of(pool.items)
        near = near_given(pool.items, vectors, beside.vectors(session), cosine)
        if near:
            apart = [at for at, name in enumerate(ids_of(pool.items)) if name not in near]
            pool, vectors = narrowed(pool, subset(pool.items, apart)), vectors[apart]
    limits = PairLimits(beyond=InCells(pool.items, session.engine))
    split = distinct(pool.items, vectors, cosine or 1.0, limits=limits)
    told = f"the same text as another and {len(split.semantic)} near-duplicates"
    session.note(
        f"{len(split.kept)} of {len(beside.pool)} items are distinct. Left out were "
        f"{len(split.exact)} with {told}"
        + (f", and {len(near)} that are near an annotated item." if beside.items else ".")
    )
    distinct_ids = {*split.kept}
    kept = [at for at, name in enumerate(ids_of(pool.items)) if name in distinct_ids]
    return narrowed(beside.pool, subset(pool.items, kept))


def _filter(text: str, session: Session) -> tuple[Strategy, Fraction]:
    """STRATEGY:SHARE; the share exactly as written, so that 0.07 of 100 items are 7."""
    name, _, share = text.rpartition(":")
    try:
        number = Fraction(share)
    except (ValueError, ZeroDivisionError):
        number = Fraction(0)
    if not name or not 0 < number <= 1:
        raise UsageError(
            f"`prefilter` {text!r} must be STRATEGY:SHARE with a share above 0 and at most 1, "
            "such as longest:0.5",
            argument="prefilter",
        )
    return find_strategy(session.library.numbered(name), session.base), number
