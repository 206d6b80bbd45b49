"""What tests of providers share."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["openai", "hosted_vllm"])
def provider(request: pytest.FixtureRequest) -> str:
    """The two routes to servers that speak OpenAI: through OpenAI's SDK, and litellm's own."""
    return str(request.param)
