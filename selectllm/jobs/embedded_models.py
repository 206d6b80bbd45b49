"""The embedded models: which there are, and what is missing to run them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from selectllm.core.extras import pip_line
from selectllm.models.providers import weights
from selectllm.models.providers.weights import ENGINE, LOCAL_MODELS, NO_ENGINE


@dataclass(frozen=True, slots=True)
class EmbeddedModels:
    """Every embedded model as JSON, and the version of the engine, or NO_ENGINE."""

    rows: tuple[dict[str, Any], ...]
    engine: str

    @property
    def text(self) -> str:
        """Two lines for each model, and one for the engine."""
        lines = []
        for row in self.rows:
            state = "installed" if row["installed"] else "not installed"
            lines.append(
                f"local/{row['name']}  {state}  {row['package']} {row['version']}  "
                f"{row['download_bytes'] / 1e6:.0f} MB  {row['licence']}  "
                f"context {row['context']}  sha256 {row['sha256'][:12]}"
            )
            lines.append(f"  {row['note']}")
        missing = self.engine == NO_ENGINE
        lines.append(f"engine: {install_engine() if missing else f'{ENGINE} {self.engine}'}")
        return "\n".join(lines)

    def to_json(self) -> list[dict[str, Any]]:
        """As --json prints it."""
        return list(self.rows)


def embedded_models() -> EmbeddedModels:
    """What there is here."""
    rows = tuple(model.to_json() for model in LOCAL_MODELS.values())
    return EmbeddedModels(rows, weights.engine_version())


def install_engine() -> str:
    """What is missing where there is no engine, with the line that installs it."""
    return f"{ENGINE} is not installed. To install it, run: {pip_line('local')}"
