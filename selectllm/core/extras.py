"""What `pip install selectllm` leaves out: each part is asked for here, and named when missing.

An extra is what brackets hold in `pip install "selectllm[embed]"`; pyproject.toml says which
packages each brings. Whoever imports one of those asks `need`, so that a missing one is always told
in the same words; `check` asks beforehand, without the seconds that an import may take.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

from selectllm.core.errors import ExtraMissing

Extra = Literal["embed", "hf", "local", "optimize", "ray", "student"]

MAIN: Mapping[Extra, str] = {
    "embed": "sentence_transformers",
    "hf": "datasets",
    "local": "xllamacpp",
    "optimize": "dspy",
    "ray": "ray",
    "student": "peft",
}
"""The module that each extra is for."""

PACKAGES: Mapping[str, str] = {
    "dspy": "dspy-ai",
    "sentence_transformers": "sentence-transformers",
    "sklearn": "scikit-learn",
}
"""What pip calls a module, where that is not the module's name."""


def need(extra: Extra, module: str, what: str) -> Any:
    """The module `module` of `extra`, imported; `what` needs it, the beginning of a sentence.

    Raises ExtraMissing, with the line that installs it.
    """
    check(extra, module, what)
    try:
        return import_module(module)
    except ImportError as error:
        raise _missing(extra, module, what, f"cannot be imported ({error})") from None


def check(extra: Extra, module: str, what: str) -> None:
    """Raise as `need` does if `module` is not installed; nothing is imported."""
    if _absent(module):
        raise _missing(extra, module, what, "is not installed")


def missing(*extras: Extra) -> tuple[Extra, ...]:
    """Those of `extras` of which the main package is not installed."""
    return tuple(extra for extra in extras if _absent(MAIN[extra]))


def pip_line(*extras: Extra) -> str:
    """What a user runs to have these extras."""
    return f'pip install "selectllm[{",".join(extras)}]"'


def _absent(module: str) -> bool:
    if module in sys.modules:
        return sys.modules[module] is None
    return find_spec(module) is None


def _missing(extra: Extra, module: str, what: str, how: str) -> ExtraMissing:
    package = PACKAGES.get(module, module)
    return ExtraMissing(
        f"{what} needs {package}, which {how}. To install it, run: {pip_line(extra)}"
    )
