"""What the tests of jobs share: a session in a folder that hears notes, and how a job fails."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from selectllm.core.errors import SelectLLMError, UsageError
from selectllm.jobs.session import Session
from selectllm.jobs.sync import finished


@dataclass
class Heard:
    """A session of a folder with its own cache, and what it was told while jobs ran."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def session(self, **settings: Any) -> Session:
        """A new one."""
        places = {"cache": self.folder / "cache"} | self.settings | settings
        return Session(self.folder, notes=self.notes.append, **places)


def fails(
    job: Coroutine[Any, Any, Any],
    *words: str,
    argument: str | None = None,
    kind: type[SelectLLMError] = UsageError,
) -> SelectLLMError:
    """The error of `job`: it holds `words`, no flag, and the name of the argument that is wrong."""
    with pytest.raises(kind) as caught:
        finished(job)
    message = str(caught.value)
    for word in words:
        assert word.lower() in message.lower()
    assert " --" not in message
    assert caught.value.argument == argument
    return caught.value
