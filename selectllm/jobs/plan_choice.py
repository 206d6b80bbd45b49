"""Which plan is meant: that of a suite, of its sets, or of a selection from a pool."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from selectllm.core.errors import UsageError
from selectllm.core.verdict_words import KindName
from selectllm.jobs.plan_request import ARMS
from selectllm.jobs.planning import SuitePlan, check_fitting, is_pool, plan, plan_sets
from selectllm.jobs.selecting import ahead
from selectllm.jobs.selection_plan import SelectionPlan
from selectllm.jobs.session import Session
from selectllm.jobs.sets import SetsArguments
from selectllm.jobs.settings import SelectArguments

UNUSED: Mapping[str, tuple[str, ...]] = {
    "eval": ("prompt", "model"),
    "regress": ("prompt", "model"),
}
"""What completes arms of other kinds, where a suite's own pairs are asked."""


async def plan_either(
    target: Path, kind: str = "eval", *, session: Session, **given: Any
) -> SuitePlan | SelectionPlan:
    """What `plan` or `plan_sets` says of a suite, or `plan` of a pool, as `selectllm plan` has it.

    `kind`: as in PlanRequest, or sets. `given`: their arguments, `budget` being several numbers.
    Raises UsageError for an argument of another of the three.
    """
    if is_pool(target):
        check_fitting(given, SelectArguments, "a suite", f"{target} is a pool")
        budgets = given.pop("budget", ())
        if len(budgets) != 1 or not ({"prompt", "model"} <= {*given} or "strategy" in given):
            raise UsageError(
                f"{target} is a pool, not a suite (.yaml). To plan a selection from it, run: "
                f"selectllm plan {target} --budget N --prompt NAME --model PROVIDER/MODEL (or "
                "--strategy NAME)."
            )
        return await ahead(target, session=session, budget=budgets[0], **given)
    if kind == "sets":
        return await plan_sets(target, session=session, **_of_sets(given))
    for name in ("pool", "budget", "only"):
        if name in given:
            raise UsageError(
                f"`{name}` goes with `kind` sets. Leave one of them out.", argument=name
            )
    return await plan(target, session=session, kind=cast("KindName", kind), **given)


def _of_sets(given: dict[str, Any]) -> SetsArguments:
    """The arguments of `plan_sets`. Raises UsageError for those of another kind of plan."""
    own = SetsArguments(budgets=given.pop("budget", ()), only=given.pop("only", ()))
    if "seed" in given:
        own["seeds"] = (given.pop("seed"),)
    if "pool" in given:
        own["pool"] = given.pop("pool")
    of_kinds = {name: kind for kind, names in ARMS.items() for name in (*names, "retain")}
    for name in given:
        if name in ("strategy", "by", "columns"):
            raise UsageError(
                f"`{name}` goes with a pool. Write it into the suite instead.", argument=name
            )
        kind = of_kinds.get(name)
        fits = "does not go with" if kind is None else f"goes with `kind` {kind}, not with"
        raise UsageError(f"`{name}` {fits} `kind` sets. Leave it out.", argument=name)
    return own
