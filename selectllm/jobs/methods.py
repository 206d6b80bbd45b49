"""Jobs as methods of a session."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Unpack, overload

from selectllm.jobs.arguments import checked
from selectllm.jobs.listed import JOBS
from selectllm.jobs.sync import blocking


def job(name: str) -> Callable[..., Any]:
    """The job of that name, to be awaited, its arguments held to its signature.

    Its module loads when it is used.
    """
    function: Callable[..., Any] = getattr(import_module(f"selectllm.jobs.{JOBS[name]}"), name)
    return checked(function)


class Jobs:
    """Every job as a method that waits and as one that is awaited.

    `session.evaluate(...)`, `await session.evaluate_async(...)`: the arguments are the function's,
    without those of a session.
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        bare = name.removesuffix("_async")
        if bare not in JOBS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        function = partial(job(bare), session=self)
        return function if bare != name else blocking(function)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *JOBS, *(f"{name}_async" for name in JOBS)})

    if TYPE_CHECKING:
        from pathlib import Path

        from selectllm.core.types import Pool
        from selectllm.evaluation.suite import Suite
        from selectllm.jobs import (
            auditing,
            checking,
            comparing,
            evaluating,
            gating,
            optimizing,
            planning,
            selecting,
        )
        from selectllm.jobs import sets as making_sets
        from selectllm.jobs.selection_plan import SelectionPlan
        from selectllm.jobs.settings import SelectArguments

        aa = staticmethod(blocking(comparing.aa))
        aa_async = staticmethod(comparing.aa)
        ab = staticmethod(blocking(comparing.ab))
        ab_async = staticmethod(comparing.ab)
        audit = staticmethod(blocking(auditing.audit))
        audit_async = staticmethod(auditing.audit)
        check_models = staticmethod(blocking(checking.check_models))
        check_models_async = staticmethod(checking.check_models)
        evaluate = staticmethod(blocking(evaluating.evaluate))
        evaluate_async = staticmethod(evaluating.evaluate)
        optimize = staticmethod(blocking(optimizing.optimize))
        optimize_async = staticmethod(optimizing.optimize)
        plan_audit = staticmethod(blocking(auditing.plan_audit))
        plan_audit_async = staticmethod(auditing.plan_audit)
        plan_sets = staticmethod(blocking(planning.plan_sets))
        plan_sets_async = staticmethod(planning.plan_sets)
        regress = staticmethod(blocking(gating.regress))
        regress_async = staticmethod(gating.regress)
        select = staticmethod(blocking(selecting.select))
        select_async = staticmethod(selecting.select)
        sets = staticmethod(blocking(making_sets.sets))
        sets_async = staticmethod(making_sets.sets)
        swap = staticmethod(blocking(comparing.swap))
        swap_async = staticmethod(comparing.swap)

        # Spelled out, since `staticmethod` keeps only the first of several signatures.
        @overload
        def plan(  # type: ignore[overload-overlap]  # see planning.plan
            self, suite: Suite | Path | str, **arguments: Unpack[planning.PlanArguments]
        ) -> planning.SuitePlan: ...
        @overload
        def plan(
            self, suite: Pool | Path | str, **arguments: Unpack[SelectArguments]
        ) -> SelectionPlan: ...
        def plan(self, suite: Any, **arguments: Any) -> Any:
            """See planning.plan."""

        @overload
        async def plan_async(  # type: ignore[overload-overlap]
            self, suite: Suite | Path | str, **arguments: Unpack[planning.PlanArguments]
        ) -> planning.SuitePlan: ...
        @overload
        async def plan_async(
            self, suite: Pool | Path | str, **arguments: Unpack[SelectArguments]
        ) -> SelectionPlan: ...
        async def plan_async(self, suite: Any, **arguments: Any) -> Any:
            """The same, awaited."""
