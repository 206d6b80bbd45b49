"""Utilities of one's own, at their former place: see selectllm.UtilitySource."""

from __future__ import annotations

import warnings

from selectllm.utility.sources import UTILITIES, UtilitySource

__all__ = ["UTILITIES", "UtilitySource"]

warnings.warn(
    "selectllm.utility_sources goes with the next release. Import UtilitySource from selectllm, "
    "UTILITIES from selectllm.utility.sources",
    DeprecationWarning,
    stacklevel=2,
)
