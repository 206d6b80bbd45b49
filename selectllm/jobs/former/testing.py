"""The gate as a function, at its former place: see selectllm.regress and selectllm.jobs.gating."""

from __future__ import annotations

import warnings
from pathlib import Path

from selectllm.jobs import gating
from selectllm.jobs.gating import GateResult

__all__ = ["GateResult", "gate"]


def gate(
    suite: Path | str, baseline: Path | str, *, offline: bool = True, out: Path | None = None
) -> GateResult:
    """Test every prompt x model of `suite` against a baseline: now `selectllm.regress`."""
    warnings.warn(
        "selectllm.testing.gate goes with the next release. Use selectllm.regress(suite, "
        "baseline, offline=True)",
        DeprecationWarning,
        stacklevel=2,
    )
    return gating.gate(suite, baseline, offline=offline, out=out)
