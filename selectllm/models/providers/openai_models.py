"""What OpenAI's models take, as litellm 1.106.2 knows it; pure but for the table of models.

A setting that a model does not take is told before anything is sent, as litellm tells it: the
server would refuse it, or worse, take it for something else. The rules are of
litellm/llms/openai/chat (gpt_, gpt_5_ and o_series_transformation.py), the facts of its table.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from selectllm.models.model import ModelSpec
from selectllm.models.providers.failures import Fault
from selectllm.models.providers.model_table import Row, openai_row

Limit = Literal["max_tokens", "max_completion_tokens"]
_SAMPLING = frozenset(("logprobs", "top_logprobs", "top_p"))
_PENALTIES = frozenset(("presence_penalty", "frequency_penalty"))
_WITHOUT_FORMAT = ("gpt-4", "gpt-3.5-turbo-16k")


@dataclass(frozen=True, slots=True)
class Takes:
    """What a model takes.

    `without`: the settings that it refuses. `unsent`: those that are left out in silence, as
    litellm does. `limit`: the name of the limit of tokens. `reasons`: it thinks first, and samples
    as it likes meanwhile. `efforts`: what the table says of each effort to reason with; `effort`:
    the one that it reasons with unless told. `not_direct`: why only litellm can ask it, None if
    the direct way can.
    """

    without: Collection[str] = ()
    unsent: Collection[str] = ()
    limit: Limit = "max_tokens"
    reasons: bool = False
    system_messages: bool = True
    efforts: Mapping[str, bool] = field(default_factory=dict)
    effort: str | None = None
    not_direct: str | None = None

    def refuses(self, settings: dict[str, Any]) -> Fault | None:
        """Why `settings` cannot be sent, None if they can; takes out what is left unsent."""
        for name in self.unsent:
            settings.pop(name, None)
        lacking = sorted(settings.keys() & set(self.without))
        if lacking:
            return Fault("setting", f"it takes no {', '.join(lacking)}")
        return self._refuses_while_reasoning(settings) if self.reasons else None

    def _refuses_while_reasoning(self, settings: Mapping[str, Any]) -> Fault | None:
        effort = settings.get("reasoning_effort")
        if effort is not None and not self.efforts.get(effort, effort != "xhigh"):
            return Fault("setting", f"it takes no reasoning_effort={effort}")
        thinks = (effort or self.effort) != "none" or not self.efforts.get("none", False)
        if thinks and (given := sorted(_SAMPLING & settings.keys())):
            return Fault("setting", f"it takes no {', '.join(given)} while it reasons")
        temperature = settings.get("temperature")
        if thinks and temperature is not None and temperature != 1:
            return Fault(
                "setting", f"it takes no temperature={temperature} while it reasons, only 1"
            )
        return None


def takes(spec: ModelSpec) -> Takes:
    """What the model of `spec` takes."""
    provider, _, name = spec.id.partition("/")
    return _takes(provider, name)


@lru_cache(maxsize=64)
def _takes(provider: str, name: str) -> Takes:
    without = {"response_format"} if name in _WITHOUT_FORMAT else set()
    row = openai_row(name)
    unsent = () if row is not None and not _is_tuned(name) else ("user",)
    if provider == "lm_studio":
        return Takes(without={*without, "reasoning_effort"}, unsent=unsent)
    if provider != "openai":
        return Takes(without=without, unsent=unsent)
    if (reason := _not_direct(name, row)) is not None:
        return Takes(not_direct=reason)
    if re.match(r"o\d", name) and row is not None:
        return _of_o_series(row)
    if re.search(r"gpt-[56]", name) and "gpt-5-chat" not in name.rpartition("/")[2]:
        return _of_gpt_5(row or {}, unsent)
    if row is not None and not _is_tuned(name):
        without.add("reasoning_effort")
    return Takes(without=without, unsent=unsent)


def _is_tuned(name: str) -> bool:
    """Whether `name` is the table's word for every fine-tuned model of a base."""
    return name.startswith("ft:") and name.count(":") <= 1


def _not_direct(name: str, row: Row | None) -> str | None:
    if name.startswith("responses/") or (row or {}).get("mode", "chat") != "chat":
        return "it answers elsewhere than under /chat/completions"
    if re.search(r"audio|search", name):
        return "it answers in a way of its own"
    return None


def _of_o_series(row: Row) -> Takes:
    without = {*_SAMPLING, *_PENALTIES}
    if not row.get("supports_parallel_function_calling"):
        without.add("parallel_tool_calls")
    if not row.get("supports_response_schema"):
        without.add("response_format")
    return Takes(
        without=without,
        limit="max_completion_tokens",
        reasons=True,
        system_messages=bool(row.get("supports_system_messages")),
        efforts={"xhigh": True},
    )


def _of_gpt_5(row: Row, unsent: Collection[str]) -> Takes:
    pattern = re.compile(r"supports_(\w+)_reasoning_effort")
    found = ((pattern.fullmatch(key), value) for key, value in row.items())
    efforts = {match[1]: bool(value) for match, value in found if match and match[1] != "max"}
    without = {*_PENALTIES, "stop", "logit_bias", "modalities", "prediction"}
    if not efforts.get("none", False):
        without |= _SAMPLING
    return Takes(
        without=without,
        unsent=unsent,
        limit="max_completion_tokens",
        reasons=True,
        efforts=efforts,
        effort=row.get("default_reasoning_effort"),
    )
