"""Utilities of one's own, at their former place: see selectllm.UtilitySource."""

from __future__ import annotations

import warnings

from selectllm.utility.sources import UtilitySource

__all__ = ["UtilitySource"]

warnings.warn(
    "selectllm.utility_sources goes with the next release; import UtilitySource from selectllm",
    DeprecationWarning,
    stacklevel=2,
)
