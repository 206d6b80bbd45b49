"""Let any LLM select which instructions to annotate, and measure how good its picks are.

    import selectllm as sl

    chosen = sl.select("pool.jsonl", budget=100, prompt="criteria@1", model="openai/gpt-4o-mini")
    run = sl.evaluate("suites/quickstart.yaml", offline=True)
    verdict = sl.ab("suites/quickstart.yaml", a="short@1", b="criteria@1")

Each job waits for its result, in a script as in a notebook; its twin in `_async` is awaited. A
`Session` shares cache, budget and encoder among several. The names below load when they are used,
so that importing the package imports nothing heavy; what is not among them is found in its room:
`selectllm.core.types.Cluster`, `selectllm.models.model.Request`, `selectllm.jobs`.
"""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectllm.jobs.listed import PUBLIC as _PUBLIC

if TYPE_CHECKING:
    from selectllm.core.errors import SelectLLMError as SelectLLMError
    from selectllm.core.types import Item as Item
    from selectllm.core.types import Pool as Pool
    from selectllm.data.encoders import Encoder as Encoder
    from selectllm.data.pool import load_pool as load_pool
    from selectllm.jobs.comparing import Verdict as Verdict
    from selectllm.jobs.comparing import ab as ab_async
    from selectllm.jobs.comparing import swap as swap_async
    from selectllm.jobs.engine import Engine as Engine
    from selectllm.jobs.evaluating import evaluate as evaluate_async
    from selectllm.jobs.evaluation import Evaluation as Evaluation
    from selectllm.jobs.gating import GateResult as GateResult
    from selectllm.jobs.gating import regress as regress_async
    from selectllm.jobs.optimizing import optimize as optimize_async
    from selectllm.jobs.planning import plan as plan_async
    from selectllm.jobs.selecting import select as select_async
    from selectllm.jobs.selection import Selection as Selection
    from selectllm.jobs.session import Session as Session
    from selectllm.jobs.sync import blocking
    from selectllm.models.model import Model as Model
    from selectllm.models.model import ModelSpec as ModelSpec
    from selectllm.prompting.prompt import Prompt as Prompt
    from selectllm.selection.strategies import STRATEGIES as STRATEGIES
    from selectllm.selection.strategies import Strategy as Strategy
    from selectllm.utility.sources import UtilitySource as UtilitySource
    from selectllm.utility.utility import Utility as Utility

    ab = blocking(ab_async)
    evaluate = blocking(evaluate_async)
    optimize = blocking(optimize_async)
    plan = blocking(plan_async)
    regress = blocking(regress_async)
    select = blocking(select_async)
    swap = blocking(swap_async)

_HOME = {
    "STRATEGIES": "selection.strategies",
    "Encoder": "data.encoders",
    "Engine": "jobs.engine",
    "Evaluation": "jobs.evaluation",
    "GateResult": "jobs.gating",
    "Item": "core.types",
    "Model": "models.model",
    "ModelSpec": "models.model",
    "Pool": "core.types",
    "Prompt": "prompting.prompt",
    "SelectLLMError": "core.errors",
    "Selection": "jobs.selection",
    "Session": "jobs.session",
    "Strategy": "selection.strategies",
    "Utility": "utility.utility",
    "UtilitySource": "utility.sources",
    "Verdict": "jobs.comparing",
    "load_pool": "data.pool",
}
_FORMER = {
    "PARTITIONS": "selection.clustering.partition",
    "UTILITIES": "utility.sources",
    "Agreement": "evaluation.metrics.agreement",
    "Choice": "evaluation.metrics.agreement",
    "Cluster": "core.types",
    "Decision": "core.types",
    "Parsed": "core.types",
    "Price": "models.model",
    "PromptLibrary": "prompting.library",
    "Question": "core.types",
    "Reply": "core.types",
    "Request": "models.model",
    "Vote": "models.model",
    "render": "prompting.prompt",
}
"""Public names until 0.1; they work for one more release."""

__all__ = sorted([*_HOME, *_PUBLIC, *(f"{name}_async" for name in _PUBLIC)])
__path__.append(str(Path(__file__).parent / "jobs" / "former"))


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    if name in _FORMER:
        place = f"{__name__}.{_FORMER[name]}"
        warnings.warn(
            f"{__name__}.{name} is {place}.{name} now; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=2,
        )
        # Kept, since `from selectllm import x` looks twice: it warns once.
        globals()[name] = former = getattr(importlib.import_module(place), name)
        return former
    bare = name.removesuffix("_async")
    if bare not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from selectllm.jobs.methods import job
    from selectllm.jobs.sync import blocking

    globals()[name] = function = job(bare) if bare != name else blocking(job(bare))
    return function


def __dir__() -> list[str]:
    return __all__
