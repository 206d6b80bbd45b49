"""What a student answers, by greedy decoding in batches, and how like the references that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.core.types import Item, Progress
from selectllm.data.encoders import Encoder, embed
from selectllm.data.vector_store import VectorStore
from selectllm.downstream.student.adapter import trained
from selectllm.downstream.student.config import (
    NEW_TOKENS,
    StudentConfig,
    check_new_tokens,
)
from selectllm.downstream.student.failures import memory_errors
from selectllm.downstream.student.network import Student
from selectllm.downstream.student.template import Example, Tokens, prompts

BATCH = 16  # prompts at once: weights are read once for all, and that is what decoding waits for


@dataclass(frozen=True, slots=True)
class Answer:
    """What the student wrote for an item.

    `text` is its answer without control tokens, and `tokens` how many tokens it generated, the end
    token included. `stopped` is "end" if the student ended the answer itself, and "length" if it
    was cut off at the limit. `lost_prompt` is how many tokens of the question did not fit.
    """

    id: str
    text: str
    tokens: int
    stopped: Literal["end", "length"]
    lost_prompt: int = 0


def answer(
    student: Student,
    items: Sequence[Item],
    config: StudentConfig,
    folder: Path | None = None,
    *,
    new_tokens: int = NEW_TOKENS,
    progress: Progress | None = None,
) -> list[Answer]:
    """Let the student answer the items, by greedy decoding: always the likeliest next token.

    An answer ends with the end token, or after `new_tokens` tokens. The answers come in the order
    of `items`, whose own responses are not used. `folder` is as in `score`. Prompts are cut so that
    prompt and answer together have at most `max_length` tokens. The model's own settings for
    generation, such as temperature and penalties, are not used. A batch holds prompts of similar
    length; if two tokens are almost equally likely, the batch may decide between them.
    `progress(done, total)` hears how many items are answered.

    Raises UsageError if `new_tokens` leaves fewer than 32 tokens for a prompt, and RunError as
    `score` does.
    """
    check_new_tokens(new_tokens, config)
    asked = prompts(items, student.tokenise, student.ends, config.max_length - new_tokens)
    order = sorted(range(len(items)), key=lambda i: -len(asked[i].prompt))
    found: dict[int, Answer] = {}
    with memory_errors(config), trained(student, config, folder):
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            replies = _greedy(student, [asked[i].prompt for i in batch], new_tokens)
            for i, reply in zip(batch, replies, strict=True):
                found[i] = _answer(student, asked[i], reply)
            if progress is not None:
                progress(len(found), len(items))
    return [found[i] for i in range(len(items))]


def cosine_of(
    texts: Sequence[str], references: Sequence[str], encoder: Encoder, store: VectorStore
) -> Floats:
    """(n,) cosine of each text's vector with that of its own reference; 0 where a text is blank."""
    pairs = list(zip(texts, references, strict=True))
    said = [i for i, text in enumerate(texts) if text.strip()]
    cosines = np.zeros(len(pairs))
    if said:
        ours, theirs = (embed([pairs[i][side] for i in said], encoder, store) for side in (0, 1))
        cosines[said] = np.einsum("nd,nd->n", ours, theirs, dtype=np.float64)
    return cosines


def _answer(student: Student, asked: Example, reply: list[int]) -> Answer:
    ended = reply[-1] == student.ends.end
    text = student.tokenizer.decode(reply[:-1] if ended else reply, skip_special_tokens=True)
    stopped: Literal["end", "length"] = "end" if ended else "length"
    return Answer(asked.id, text, len(reply), stopped, asked.lost_prompt)


def _greedy(student: Student, asked: Sequence[Tokens], limit: int) -> list[list[int]]:
    """The tokens after each prompt, its end token last if one came."""
    import torch

    end = student.ends.end
    tokens, mask = _padded(asked, end, student.network.device)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    replies: list[list[int]] = [[] for _ in asked]
    rows, memory = list(range(len(asked))), None
    with torch.inference_mode():
        while True:
            output = student.network(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=memory,
                use_cache=True,
                logits_to_keep=1,
            )
            memory, chosen = output.past_key_values, output.logits[:, -1].argmax(dim=-1)
            for row, token in zip(rows, chosen.tolist(), strict=True):
                replies[row].append(token)
            going = [at for at, row in enumerate(rows) if _goes_on(replies[row], end, limit)]
            if not going:
                return replies
            if len(going) < len(rows):
                memory.batch_select_indices(torch.tensor(going, device=tokens.device))
            rows, tokens = [rows[at] for at in going], chosen[going, None]
            mask = torch.nn.functional.pad(mask[going], (0, 1), value=1)
            positions = positions[going, -1:] + 1


def _goes_on(reply: list[int], end: int, limit: int) -> bool:
    return reply[-1] != end and len(reply) < limit


def _padded(asked: Sequence[Tokens], filler: int, device: Any) -> tuple[Any, Any]:
    """Prompts as rows of one length, filled up in front, and the mask that hides the filling."""
    import torch

    width = max(len(tokens) for tokens in asked)
    rows = [(filler,) * (width - len(tokens)) + tokens for tokens in asked]
    shown = [[0] * (width - len(tokens)) + [1] * len(tokens) for tokens in asked]
    return torch.tensor(rows, device=device), torch.tensor(shown, device=device)
