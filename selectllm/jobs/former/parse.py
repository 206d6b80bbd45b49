"""Replies to picks, at their former place: see selectllm.prompting.replies.parse."""

from __future__ import annotations

import warnings

from selectllm.prompting.replies.parse import parse

__all__ = ["parse"]

warnings.warn(
    "selectllm.parse goes with the next release. Import parse from "
    "selectllm.prompting.replies.parse",
    DeprecationWarning,
    stacklevel=2,
)
