"""The one text that a student sees of an item, in training, scoring and generation. Pure.

    Instruction:
    <instruction>

    Input:                 (these two lines only for an item with an input)
    <input>

    Response:
    <response>

A start token comes before it and the model's end token after it. The part up to `Response:` is
the prompt; the response and the end token are what is learned and scored. What the item asks, the
cue `Response:` and the response are tokenised each on its own, so that no token lies across the
borders, and what looks like a control token of the model is read as plain text.

An example has at most `max_length` tokens. A longer one loses the end of what it asks first; its
response keeps whatever is free, at least half. A response that was cut has no end token: nothing
learns to stop there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selectllm.core.codec import sha256_texts
from selectllm.core.errors import UsageError
from selectllm.core.names import listed
from selectllm.core.types import Item, unanswered
from selectllm.data.columns import mapping

INSTRUCTION = "Instruction:\n"
INPUT = "\n\nInput:\n"
CUE = "\n\nResponse:\n"
TEMPLATE = sha256_texts((INSTRUCTION, INPUT, CUE))  # what manifests call this template

Tokens = tuple[int, ...]
Tokenise = Callable[[list[str]], list[list[int]]]


@dataclass(frozen=True, slots=True)
class Ends:
    """The tokens that open and close every example of a model."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Example:
    """An item as a student sees it.

    `prompt`: start token, what the item asks, cue. `response`: with the end token, unless it was
    cut. `lost_prompt`, `lost_response`: tokens that did not fit, the end token not counted.
    """

    id: str
    prompt: Tokens
    response: Tokens
    lost_prompt: int = 0
    lost_response: int = 0

    @property
    def tokens(self) -> Tokens:
        """Prompt, then response."""
        return self.prompt + self.response


@dataclass(frozen=True, slots=True)
class Cut:
    """What did not fit: examples whose prompt or response was cut, and the tokens they lost."""

    prompts: int
    prompt_tokens: int
    responses: int
    response_tokens: int


def asked(item: Item) -> str:
    """What comes before the cue."""
    return f"{INSTRUCTION}{item.instruction}" + (f"{INPUT}{item.input}" if item.input else "")


def encode(items: Sequence[Item], tokenise: Tokenise, ends: Ends, max_length: int) -> list[Example]:
    """One example per item, in their order.

    `tokenise` gives the tokens of each text, with none of its own before or after. Raises
    UsageError if an item has no response or a blank one.
    """
    check_responses(items)
    (cue,) = tokenise([CUE])
    bodies = tokenise([asked(item) for item in items])
    responses = tokenise([item.response or "" for item in items])
    room = max_length - 1 - len(cue)
    examples = []
    for item, body, response in zip(items, bodies, responses, strict=True):
        answer = [*response, ends.end]
        kept = max(room - len(body), room - room // 2)
        question = body[: room - min(len(answer), kept)]
        examples.append(
            Example(
                item.id,
                (ends.start, *question, *cue),
                tuple(answer[:kept]),
                len(body) - len(question),
                max(0, len(response) - kept),
            )
        )
    return examples


def prompts(
    items: Sequence[Item], tokenise: Tokenise, ends: Ends, max_length: int
) -> list[Example]:
    """Examples without responses, for a student to answer; of at most `max_length` tokens."""
    if not items:
        return []
    (cue,) = tokenise([CUE])
    room = max_length - 1 - len(cue)
    return [
        Example(item.id, (ends.start, *body[:room], *cue), (), max(0, len(body) - room))
        for item, body in zip(items, tokenise([asked(item) for item in items]), strict=True)
    ]


def cut(examples: Sequence[Example]) -> Cut:
    """What the examples lost together."""
    prompts = [each.lost_prompt for each in examples if each.lost_prompt]
    responses = [each.lost_response for each in examples if each.lost_response]
    return Cut(len(prompts), sum(prompts), len(responses), sum(responses))


def check_responses(items: Sequence[Item], where: str = "student") -> None:
    """Raise UsageError if there are no items, or items whose response is missing or blank.

    `where`: what messages begin with.
    """
    if not items:
        raise UsageError(f"{where}: there are no items. Give at least one with a response")
    if missing := unanswered(items):
        raise UsageError(
            f"{where}: {len(missing)} of {len(items)} items have no response: {listed(missing)}. "
            f"Fill them in ({mapping('response', 'COL')} names their column) or leave them out",
            argument="columns",
        )
