"""What a reply says it cost, in the form of any provider. Pure; nothing here raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from selectllm.models.providers.body import at

MOST_TOKENS = 10**9
"""No call has more; a greater count is a mistake."""


def count_of(value: Any) -> int | None:
    """A count of tokens; None for what is none: text, fractions, what is below 0 or absurd."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not 0 <= value <= MOST_TOKENS or value != int(value):
        return None
    return int(value)


class Usage(NamedTuple):
    """Tokens as billed, None where they are not known.

    `reasoning`: those of `tokens_out` that are thinking; None for none as well.
    """

    tokens_in: int | None
    tokens_out: int | None
    reasoning: int | None = None


class _UsageForm(NamedTuple):
    """How one kind of API counts: where, and by which names; several are added up.

    `cached`: prompt tokens that the count of the prompt leaves out.
    """

    place: str
    tokens_in: str
    tokens_out: tuple[str, ...]
    cached: tuple[str, ...] = ()


_USAGE_FORMS = (
    _UsageForm("usage", "prompt_tokens", ("completion_tokens",)),
    _UsageForm(
        "usage",
        "input_tokens",
        ("output_tokens",),
        ("cache_read_input_tokens", "cache_creation_input_tokens"),  # Anthropic's
    ),
    _UsageForm(
        "usage",
        "inputTokens",
        ("outputTokens",),
        ("cacheReadInputTokens", "cacheWriteInputTokens"),  # Bedrock's
    ),
    _UsageForm("usageMetadata", "promptTokenCount", ("candidatesTokenCount", "thoughtsTokenCount")),
    _UsageForm("", "prompt_eval_count", ("eval_count",)),  # Ollama's
)


def usage_of(data: Any) -> Usage | None:
    """What `data`, the JSON of a reply, says it cost; None if it has no form that is known.

    No real prompt has 0 tokens: that is unknown, and so is then the count of the reply.
    """
    for form in _USAGE_FORMS:
        counts = at(data, form.place) if form.place else data
        if not isinstance(counts, Mapping) or form.tokens_in not in counts:
            continue
        tokens_in = count_of(counts[form.tokens_in]) or None
        if tokens_in is None:
            return Usage(None, None)
        tokens_in += sum(count_of(counts.get(name)) or 0 for name in form.cached)
        if form.tokens_in == "prompt_tokens":
            tokens_in = _with_cached(counts, tokens_in)
        written = [count_of(counts[name]) for name in form.tokens_out if name in counts]
        known = [each for each in written if each is not None]
        whole = len(known) == len(written) and (known or form.place == "usageMetadata")
        if not whole:
            return Usage(tokens_in, None)
        tokens_out = _with_thinking(counts, tokens_in, sum(known))
        return Usage(tokens_in, tokens_out, _reasoning(counts, tokens_out))
    return None


_DETAILS = ("completion_tokens_details", "output_tokens_details")
_REASONING = ("reasoning_tokens", "thinking_tokens")  # OpenAI's word, and Anthropic's


def _reasoning(counts: Mapping[str, Any], tokens_out: int) -> int | None:
    """Tokens of thinking, as far as they are counted apart; never more than the reply has.

    None for none: so replies of models that do not think are what they were before it was counted.
    """
    places = [(at(counts, details), name) for details in _DETAILS for name in _REASONING]
    places.append((counts, "thoughtsTokenCount"))  # Gemini's
    known = (count_of(at(place, name)) for place, name in places)
    return min(next((each for each in known if each), 0), tokens_out) or None


def _with_thinking(counts: Mapping[str, Any], tokens_in: int, tokens_out: int) -> int:
    """Tokens of the reply with those that only the total counts: thinking, which is billed."""
    total = count_of(counts.get("total_tokens")) or 0
    return max(tokens_out, total - tokens_in)


def _with_cached(counts: Mapping[str, Any], tokens_in: int) -> int:
    """Prompt tokens with those from a cache, which OpenAI counts among them.

    A server that passes on Anthropic's names may leave them out: it does if they are more than the
    prompt, or if the total is the sum of all.
    """
    names = ("cache_read_input_tokens", "cache_creation_input_tokens")
    cached = sum(count_of(counts.get(name)) or 0 for name in names)
    written = count_of(counts.get("completion_tokens")) or 0
    total = count_of(counts.get("total_tokens"))
    if cached > tokens_in or (cached and total == tokens_in + cached + written):
        return tokens_in + cached
    return tokens_in
