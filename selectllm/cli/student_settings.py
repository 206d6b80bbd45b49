"""Options that say how a student is trained: the fields of StudentConfig."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import click

from selectllm.cli.options import grouped
from selectllm.core.errors import UsageError
from selectllm.downstream.student import StudentConfig

DEFAULT = StudentConfig()


@dataclass(frozen=True, slots=True)
class Settings:
    """The fields of StudentConfig but the seed; `learning_rate` is None where none is named."""

    model: str
    mode: str
    epochs: int
    batch_size: int
    rank: int
    alpha: int
    blocks: int
    learning_rate: float | None
    max_length: int

    def config(self, seed: int = 0) -> StudentConfig:
        """The student's settings. Raises UsageError for a value out of range."""
        named = {name: value for name, value in asdict(self).items() if value is not None}
        return StudentConfig(**named, seed=seed)

    def check_free_rate(self) -> None:
        """Raise UsageError if a learning rate is named though dev items are to choose one."""
        if self.learning_rate is not None:
            raise UsageError("--dev chooses the learning rate; leave --learning-rate out")


def setting(name: str, words: str) -> Any:
    """The option of one field of StudentConfig, with its default."""
    value = getattr(DEFAULT, name)
    option = f"--{name.replace('_', '-')}"
    return click.option(option, type=type(value), default=value, show_default=True, help=words)


settings_options = grouped(
    "settings",
    Settings,
    setting("model", "local/NAME, a folder or NAME[@REVISION] on the hub."),
    click.option(
        "--mode",
        type=click.Choice(["fast", "full"]),
        default=DEFAULT.mode,
        show_default=True,
        help="Adapt the last blocks alone, at a quarter of the cost, or all of them.",
    ),
    setting("epochs", "Passes over the items."),
    setting("batch_size", "Items of a step."),
    setting("rank", "Of the adapter (LoRA)."),
    setting("alpha", "The adapter's update is scaled by alpha / rank."),
    setting("blocks", "Blocks that mode fast adapts."),
    click.option(
        "--learning-rate",
        type=float,
        help=f"Of the first step; it falls to 0 [{DEFAULT.learning_rate}, or as --dev says].",
    ),
    setting("max_length", "Tokens of an item at most; what is longer is cut, and told."),
)
