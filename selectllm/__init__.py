"""Let any LLM select which instructions to annotate, and measure how good its picks are.

The names below load when they are used, so that importing the package imports nothing heavy. A
function called like its module (`agreement.agreement`, `parse.parse`, `partition.partition`) is
reached through the module.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "PARTITIONS": "selection.clustering.partition",
    "STRATEGIES": "selection.strategies",
    "UTILITIES": "utility.sources",
    "Agreement": "evaluation.metrics.agreement",
    "Choice": "evaluation.metrics.agreement",
    "Cluster": "core.types",
    "Decision": "core.types",
    "Encoder": "data.encoders",
    "Item": "core.types",
    "Model": "models.model",
    "ModelSpec": "models.model",
    "Parsed": "core.types",
    "Pool": "core.types",
    "Price": "models.model",
    "Prompt": "prompting.prompt",
    "PromptLibrary": "prompting.library",
    "Question": "core.types",
    "Reply": "core.types",
    "Request": "models.model",
    "SelectLLMError": "core.errors",
    "Strategy": "selection.strategies.strategy",
    "Utility": "utility.utility",
    "Vote": "models.model",
    "load_pool": "data.pool",
    "render": "prompting.prompt",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
