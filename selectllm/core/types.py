"""The frozen types that everything else passes around. No behaviour beyond what they say."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypedDict

from selectllm.core.figures import Amount, Sha256

ReplyKind = str  # a key of prompting.replies.formats.REPLY_FORMATS, or module:attr
LabelKind = Literal["numbers", "letters"]
Status = Literal["ok", "repaired", "partial", "invalid", "refused", "error"]

Progress = Callable[[int, int], None]
"""Hears how far a piece of work is: (done, total)."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a piece of work is: `done` of `total`, which may grow.

    The calls of models since it began: `sent` and answered, answered from the cache or a pack
    (`cached`), and tries that `failed`. `spent_usd`: what the job has spent so far, all in all.
    """

    done: int
    total: int
    sent: int = 0
    cached: int = 0
    failed: int = 0
    spent_usd: float = 0.0


Heard = Callable[[Step], object]
"""Hears of every step."""

EMPTY: Mapping[str, Any] = MappingProxyType({})


def empty() -> Mapping[str, Any]:
    """The default of mapping fields (one shared empty mapping)."""
    return EMPTY


class Message(TypedDict):
    """One chat message: `role` is system, user or assistant."""

    role: str
    content: str


class Turn(NamedTuple):
    """One turn of a conversation: who speaks, and what is said.

    `role`: system, user, assistant or tool, or another word where its file has another. `text`:
    what is no text stands in it in brackets, such as `[image]`; data/turns.py says how.
    """

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Item:
    """One instruction of the pool, text byte for byte as in its file.

    `input` is "" and `response` None where the pool has none. `row` is the file's own row with
    all its columns; it is data to hand back, not to compute with.
    """

    id: str
    instruction: str
    input: str = ""
    response: str | None = None
    row: Mapping[str, Any] = field(default_factory=empty, repr=False, compare=False)

    @property
    def text(self) -> str:
        """What an encoder and the length strategies see: instruction, then input."""
        return f"{self.instruction}\n\n{self.input}" if self.input else self.instruction

    @property
    def has_response(self) -> bool:
        """Whether there is a response that is more than white space."""
        return bool((self.response or "").strip())

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Every turn of the conversation that its row holds; none if it holds none."""
        return ()

    @property
    def turns_asked(self) -> tuple[Turn, ...]:
        """The turns up to the one that asks."""
        return self.turns

    @property
    def is_conversation(self) -> bool:
        """Whether there are more turns than a question and its answer."""
        roles = tuple(turn.role for turn in self.turns)
        return roles not in ((), ("user",), ("user", "assistant"))

    def asking(self, instruction: str) -> Item:
        """The same item with another instruction, also in the turn that holds it."""
        return replace(self, instruction=instruction)


@dataclass(frozen=True, slots=True)
class ChatItem(Item):
    """An item whose row holds a conversation. `turns`: all of them, shown or not.

    Its instruction is one of them, or several as one text. A type of its own, so that the items of
    other pools need no place for turns.
    """

    turns: tuple[Turn, ...] = field(default=(), repr=False, compare=False)

    @property
    def asked_at(self) -> int | None:
        """The place of the turn that asks, the last one of a text of several; None without any."""
        users = [n for n, turn in enumerate(self.turns) if turn.role == "user"]
        asks = [n for n in users if self.turns[n].text == self.instruction] or users
        return asks[-1] if asks else None

    @property
    def turns_asked(self) -> tuple[Turn, ...]:
        """The turns up to the one that asks."""
        return self.turns if self.asked_at is None else self.turns[: self.asked_at + 1]

    def asking(self, instruction: str) -> ChatItem:
        """The same item with another instruction, also in the turn that holds it."""
        turns = list(self.turns)
        if self.asked_at is not None:
            turns[self.asked_at] = Turn("user", instruction)
        return replace(self, instruction=instruction, turns=tuple(turns))


def unanswered(items: Iterable[Item]) -> list[str]:
    """The ids of the items without a response, see `Item.has_response`."""
    return [item.id for item in items if not item.has_response]


@dataclass(frozen=True)
class Pool:
    """The unlabelled instructions on offer, in file order; ids are unique.

    `sha256` covers ids, instructions, inputs and responses, in file order. `notes`: sentences about
    what of its file is not shown, or not as it was written.
    """

    items: Sequence[Item]
    sha256: str
    source: str = ""
    notes: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def from_records(cls, records: Any, *, columns: Mapping[str, str] | None = None) -> Pool:
        """The pool of `records`, as it would be if they stood in a file.

        `records`: dicts, a DataFrame of polars or pandas, or one split of a Hugging Face data set.
        `columns`: which column holds instruction, input, response or id, where their names do not
        say so. Raises PoolError for what is no pool, naming the record (from 1) and the fix.
        """
        # What columns mean is known one room above, in data; core imports nothing.
        pool: Pool = importlib.import_module("selectllm.data.pool").pool_of(records, columns)
        return pool

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def by_id(self) -> Mapping[str, Item]:
        """Items by id."""
        return {item.id: item for item in self.items}


@dataclass(frozen=True, slots=True)
class Cluster:
    """What one prompt shows: the ids of its candidates, sorted; order of showing is drawn later.

    `group`: the value that its items share in the suite's `clusters.group`, None without one.
    """

    id: int
    members: tuple[str, ...]
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What one prompt asks: the candidates in shown order, their labels, and how many to pick.

    `folders`: where code of the user's own that `reply` names may be. `scale`: where the one item
    shown is put on a scale, the value of each of `labels`, which are its points then; else empty.
    `cluster`: all candidates of the decision where this question shows some of them, for scripted
    models; else empty.
    """

    shown: tuple[Item, ...]
    labels: tuple[str, ...]
    k: int
    reply: ReplyKind
    folders: tuple[Path, ...] = ()
    scale: tuple[float, ...] = ()
    cluster: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a reply says, as positions in shown order (0-based).

    `picks`: distinct, at most k. `ranking`: all m positions, best first, when the reply orders
    all of them, else None. `status` is ok, repaired, partial or invalid; `problems` names what
    was odd, one short word each (see parse.PROBLEMS). `scores`: of all m, in shown order, higher
    is better, when the reply scores them, else None.
    """

    picks: tuple[int, ...]
    status: Status
    problems: tuple[str, ...] = ()
    ranking: tuple[int, ...] | None = None
    scores: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model sent back.

    `finish_reason`: stop, length, refused (the provider's own field said so), too_long (the
    provider says the prompt does not fit its context) or another word of the provider's.
    `tokens_in`, `tokens_out`: as billed, None if not reported. `cost_usd`: None if not priced.
    `tokens_reasoning`: those of `tokens_out` that are thinking, None for none or if not known.
    `seconds`: the original latency, also on a cache hit; `cached`: nothing was sent this time.

    Of this time alone, and kept in no cache: `waited`, `at_most_usd` as in Attempt, and `failed`,
    the tries before it.
    """

    text: str
    finish_reason: str = "stop"
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_usd: float | None = None
    seconds: float = 0.0
    cached: bool = False
    waited: float | None = None
    at_most_usd: float | None = None
    failed: tuple[Attempt, ...] = ()
    tokens_reasoning: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request of a decision and the reply to it, or how it failed. The log contains it, too.

    `kind` says what went wrong (ProviderError.kind); it is null if the request was answered.
    `status` is the HTTP status of a failure, and null if no response came. `waited` is how many
    seconds passed between when the request could have been sent and when it was; it is null for
    none. `at_most_usd` is what the request may have cost, if the provider did not say what it cost;
    it is null if it did, or if nothing is billed. `tokens_reasoning` counts the tokens of thinking,
    as in a reply.

    A field that has a default may be missing in the log. The JSON Schema of a decision is generated
    from these types.
    """

    request_sha256: Sha256
    reply: str
    finish_reason: str
    tokens_in: int | None
    tokens_out: int | None
    cost_usd: float | None
    seconds: Amount
    cached: bool
    kind: str | None = None
    status: int | None = None
    waited: Amount | None = None
    at_most_usd: Amount | None = None
    tokens_reasoning: int | None = None

    def as_reply(self) -> Reply:
        """What was sent back, as it came."""
        return Reply(
            text=self.reply,
            finish_reason=self.finish_reason,
            tokens_in=self.tokens_in,
            tokens_out=self.tokens_out,
            cost_usd=self.cost_usd,
            seconds=self.seconds,
            tokens_reasoning=self.tokens_reasoning,
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """The record of one selector on one (cluster, order, repeat).

    `shown`, `picks` and `ranking` are item ids: `shown` in shown order, `ranking` best first and
    only when the selector ordered all candidates. `model` and `prompt` are None for a strategy.
    `scores`: the numbers that it was picked by, one for each of `picks`, if a strategy goes by any,
    or a prompt asks about one item or two at a time. `ballots`: how many an adaptive vote had; None
    for everything else. `wins`: by place, how often what stood there won, of a prompt that asks
    which of two or a few is better; None for everything else.
    """

    cluster: int
    order: int
    repeat: int
    round: int
    shown: tuple[str, ...]
    picks: tuple[str, ...]
    status: Status
    prompt: str | None = None
    prompt_sha256: str | None = None
    model: str | None = None
    strategy: str | None = None
    problems: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    ranking: tuple[str, ...] | None = None
    scores: tuple[float, ...] | None = None
    ballots: int | None = None
    wins: tuple[int, ...] | None = None

    @property
    def replies(self) -> tuple[Attempt, ...]:
        """The attempts that were answered; what these took is what the decision takes."""
        return answered(self.attempts)


def answered(attempts: Iterable[Attempt]) -> tuple[Attempt, ...]:
    """Those of `attempts` that did not fail."""
    return tuple(attempt for attempt in attempts if attempt.kind is None)
