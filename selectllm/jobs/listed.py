"""The jobs by name: what `selectllm` and a Session offer. It imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping

PUBLIC: Mapping[str, str] = {
    "ab": "comparing",
    "evaluate": "evaluating",
    "optimize": "optimizing",
    "plan": "planning",
    "regress": "gating",
    "select": "selecting",
    "swap": "comparing",
}
"""The module of every job that is a function of the package and a method of a session."""
JOBS: Mapping[str, str] = {
    **PUBLIC,
    "aa": "comparing",
    "audit": "auditing",
    "check_models": "checking",
    "plan_audit": "auditing",
    "plan_sets": "planning",
    "sets": "sets",
}
"""The same with those that are methods alone."""
