"""What is left of an error that nobody expected: a file with its traceback, without secrets."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from selectllm.core.errors import UsageError

KEY = re.compile(r"\b(sk-|hf_|Bearer\s+|AIza|gsk_)[A-Za-z0-9._-]{8,}|(?<=://)[^/\s@]+(?=@)")
"""What looks like a key wherever it stands, and user and password of an address."""


def record_defect(error: BaseException) -> Path | None:
    """Write the traceback of `error` to a file; None if that is impossible, too."""
    with contextlib.suppress(RecursionError, MemoryError, ValueError):
        text = _without_secrets("".join(traceback.format_exception(error)))
        name = time.strftime(f"error-%Y%m%d-%H%M%S-{os.getpid()}.txt")
        for folder in _folders():
            with contextlib.suppress(OSError, RuntimeError, ValueError):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as handle:
                    handle.write(f"{sys.version}\n{text}")
                return folder / name
    return None


def _folders() -> Iterator[Path]:
    """Where it may be written, the best place first."""
    from selectllm.jobs.workspace import user_cache

    with contextlib.suppress(UsageError):  # no home folder
        yield user_cache(os.environ) / "errors"
    with contextlib.suppress(OSError):
        yield Path(tempfile.gettempdir())


def _without_secrets(text: str) -> str:
    from selectllm.models.providers.endpoint import environment_secrets
    from selectllm.models.secrets import scrub

    named = {word.partition("api_key_env=")[2] for word in sys.argv if "api_key_env=" in word}
    also = [value for name in named if (value := os.environ.get(name))]
    return KEY.sub("***", scrub(text, [*also, *environment_secrets(os.environ)]))
