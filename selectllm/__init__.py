"""Let any LLM select which instructions to annotate, and measure how good its picks are.

The names below load when they are used, so that importing the package imports nothing heavy. A
function called like its module (`agreement.agreement`, `parse.parse`, `partition.partition`) is
reached through the module.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "PARTITIONS": "partition",
    "STRATEGIES": "strategies",
    "UTILITIES": "utility_sources",
    "Agreement": "agreement",
    "Choice": "agreement",
    "Cluster": "types",
    "Decision": "types",
    "Encoder": "embed",
    "Item": "types",
    "Model": "model",
    "ModelSpec": "model",
    "Parsed": "types",
    "Pool": "types",
    "Price": "model",
    "Prompt": "prompt",
    "PromptLibrary": "prompt_library",
    "Question": "types",
    "Reply": "types",
    "Request": "model",
    "SelectLLMError": "errors",
    "Utility": "utility",
    "Vote": "vote",
    "load_pool": "pool",
    "render": "prompt",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
