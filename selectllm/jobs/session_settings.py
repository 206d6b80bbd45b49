"""What a session is told: its settings, and which of them cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from selectllm.core.errors import UsageError, check_number, check_whole
from selectllm.core.stopping import DRAIN_SECONDS
from selectllm.jobs.budgets import check_limits

MOST_CALLS = 512  # in flight


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How a session works; see `Session`."""

    concurrency: int = 8
    max_cost: float | None = None
    max_total_tokens: int | None = None
    max_requests: int | None = None
    shared_budget: str | None = None
    allow_unpriced: bool = False
    offline: bool = False
    env_file: Path | None = None
    prompts: Path | None = None
    cache: Path | None = None
    encoder: str | None = None
    vectors: Path | None = None
    drain: float = DRAIN_SECONDS
    batch: bool = False
    wait: bool = True


class Settings(TypedDict, total=False):
    """The same as keyword arguments."""

    concurrency: int
    max_cost: float | None
    max_total_tokens: int | None
    max_requests: int | None
    shared_budget: str | None
    allow_unpriced: bool
    offline: bool
    env_file: Path | str | None
    prompts: Path | str | None
    cache: Path | str | None
    encoder: str | None
    vectors: Path | str | None
    drain: float
    batch: bool
    wait: bool


def check_session(settings: SessionSettings) -> None:
    """Raise UsageError for numbers that cannot be."""
    check_whole("concurrency", settings.concurrency)
    check_limits(settings)
    if not 1 <= settings.concurrency <= MOST_CALLS:
        raise UsageError(
            f"`concurrency` {settings.concurrency} is not from 1 to {MOST_CALLS}",
            argument="concurrency",
        )
    if settings.batch and settings.offline:
        raise UsageError(
            "`batch` sends questions, and `offline` sends nothing. Leave one of them out",
            argument="batch",
        )
    check_number("drain", settings.drain)
    if settings.drain is None or settings.drain < 0:
        raise UsageError(
            f"`drain` {settings.drain} is not a number of seconds. Give at least 0",
            argument="drain",
        )


def load_environment(path: Path) -> None:
    """Set what the file holds where it is not set already. Raises UsageError for no such file."""
    from dotenv import load_dotenv

    if not path.is_file():
        raise UsageError(f"`env_file` {path} does not exist", argument="env_file")
    try:
        load_dotenv(path, override=False)
    except UnicodeDecodeError:
        raise UsageError(
            f"`env_file` {path} is not UTF-8. Save it as UTF-8", argument="env_file"
        ) from None
