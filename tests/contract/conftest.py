"""What the contracts share."""

from __future__ import annotations

import shutil

import pytest

from tests.conftest import Command
from tests.support.written_by_0_1_0 import GOLDEN


@pytest.fixture
def workspace(selectllm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """What 0.1.0 wrote in the current folder, its cache in use, and no key of a provider."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    shutil.copytree(GOLDEN, ".", dirs_exist_ok=True)
