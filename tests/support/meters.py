"""A meter for runs whose strategies go by no measure."""

from __future__ import annotations

from pathlib import Path

from selectllm.prompting.library import PromptLibrary
from selectllm.selection.scorers.item_scorer import Meter


def idle_meter() -> Meter:
    """It has no models, and is never asked."""
    return Meter(PromptLibrary(), Path(), shared=None, folder=Path())  # type: ignore[arg-type]
