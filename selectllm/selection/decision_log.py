"""The decision log: what every selector decided on every cluster, order and repeat."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from selectllm.core.jsonl_log import LogContent, RowFormat, RowLog, each_row, read_rows
from selectllm.core.sequences import InOrder
from selectllm.core.spilled_rows import SpilledRows
from selectllm.core.types import Attempt, Decision, Status

RARE = ("kind", "status", "waited", "at_most_usd", "tokens_reasoning")
"""Fields of an attempt that old logs have not, nor calls that were answered at once."""

Key = tuple[str, str, int, int, int, int]


def decision_key(decision: Decision) -> Key:
    """(prompt, model or strategy, cluster, order, repeat, round): what a decision answers."""
    return (
        decision.prompt or "",
        decision.model or f"strategy:{decision.strategy}",
        decision.cluster,
        decision.order,
        decision.repeat,
        decision.round,
    )


def decision_row(decision: Decision) -> dict[str, Any]:
    """A decision as JSON fields; a model's has no `strategy`, a strategy's no `model`."""
    row: dict[str, Any] = {
        name: getattr(decision, name) for name in ("cluster", "order", "repeat", "round", "status")
    }
    for name in ("shown", "picks", "problems"):
        row[name] = list(getattr(decision, name))
    if decision.strategy is not None:
        row["strategy"] = decision.strategy
    else:
        row |= {
            "prompt": decision.prompt,
            "prompt_sha256": decision.prompt_sha256,
            "model": decision.model,
        }
    if decision.ranking is not None:
        row["ranking"] = list(decision.ranking)
    if decision.scores is not None:
        row["scores"] = list(decision.scores)
    if decision.ballots is not None:
        row["ballots"] = decision.ballots
    if decision.wins is not None:
        row["wins"] = list(decision.wins)
    row["attempts"] = [_attempt_row(attempt) for attempt in decision.attempts]
    return row


def _attempt_row(attempt: Attempt) -> dict[str, Any]:
    """An attempt as JSON fields; of the last five only those that there are."""
    row = {name: getattr(attempt, name) for name in Attempt.__slots__}
    return {name: value for name, value in row.items() if value is not None or name not in RARE}


def decision_from_row(row: Mapping[str, Any]) -> Decision:
    """The inverse of `decision_row`. Raises KeyError or TypeError on other rows."""
    fields = dict(row)
    for name in ("cluster", "order", "repeat", "round"):
        if type(fields[name]) is not int:
            raise TypeError(name)
    for name in ("prompt", "prompt_sha256", "model", "strategy"):
        if name in fields and fields[name] is not None:
            fields[name] = sys.intern(fields[name])
    if type(fields.get("ballots", 0)) is not int:
        raise TypeError("ballots")
    if "wins" in fields:
        fields["wins"] = _counts(fields["wins"])
    fields["status"] = STATUSES[fields["status"]]
    for name in ("shown", "picks", "problems", "ranking"):
        if fields.get(name) is not None or name != "ranking":
            fields[name] = _texts(fields[name])
    if "scores" in fields:
        fields["scores"] = tuple(map(float, fields["scores"]))
    fields["attempts"] = tuple(map(_attempt, fields["attempts"]))
    return Decision(**fields)


STATUSES: Mapping[str, Status] = {status: status for status in get_args(Status)}


FAILED = frozenset[Status]({"invalid", "refused", "error"})
"""No pick came of it: what is `input_truncated` is an error, too."""

SHORT = 32  # characters: replies of labels alone, of which there are few


def _counts(values: Any) -> tuple[int, ...]:
    counts = tuple(values)
    if any(type(count) is not int for count in counts):
        raise TypeError("wins")
    return counts


def _texts(values: object) -> tuple[str, ...]:
    """Interned: the same ids stand in many rows, and a log has hundreds of thousands."""
    if not isinstance(values, list):
        raise TypeError(values)
    return tuple(map(sys.intern, values))


def _attempt(fields: Any) -> Attempt:
    match fields:
        case {
            "request_sha256": str(),
            "reply": str(reply),
            "finish_reason": str(reason),
            "tokens_in": int() | None,
            "tokens_out": int() | None,
            "cost_usd": int() | float() | None,
            "seconds": int() | float(),
            "cached": bool(),
        }:
            shared = {"finish_reason": sys.intern(reason)}
            if len(reply) <= SHORT:
                shared["reply"] = sys.intern(reply)
            return Attempt(**fields | shared)
    raise TypeError("not an attempt")


def fruitless(decisions: Collection[Decision]) -> bool:
    """Whether every question failed, in whatever way: no model gave a pick that could be used.

    What strategies picked meanwhile took no call. Replies that were paid for stay in the reply
    cache. A log in which nothing failed is of worth if it holds anything.
    """
    if not any(decision.status in FAILED for decision in decisions):
        return not decisions
    return not any(
        decision.status not in FAILED and (decision.model is not None or decision.attempts)
        for decision in decisions
    )


DECISIONS: RowFormat[Key, Decision] = RowFormat(
    "decision", decision_key, decision_row, decision_from_row, fruitless
)


def read_log(path: Path) -> LogContent[Key, Decision]:
    """Read a log without changing it; see jsonl_log.read_rows."""
    return read_rows(path, DECISIONS)


def each_decision(path: Path) -> Iterator[Decision]:
    """Every decision of a log, one in memory at a time; see jsonl_log.each_row."""
    return each_row(path, DECISIONS)


def is_fruitless(path: Path) -> bool:
    """Whether the log at `path` is not there, or holds nothing of worth. Raises RunError."""
    return not path.exists() or fruitless(read_log(path).latest.values())


class DecisionLog(RowLog[Key, Decision]):
    """The decisions of one call, kept alone without a path; only `error` is asked again.

    `spill`: a folder, where those on a pool that is too large for memory are kept meanwhile.
    """

    def __init__(
        self,
        path: Path | None,
        manifest: Mapping[str, Any],
        argument: str = "out",
        spill: Path | None = None,
    ) -> None:
        kept = (
            None
            if spill is None
            else SpilledRows[Key, Decision](
                spill, decision_row, decision_from_row, "the decisions on a large pool"
            )
        )
        super().__init__(path, manifest, DECISIONS, argument, kept)

    def done(self, key: Key) -> bool:
        """Whether `key` has a decision that stands; an error does not."""
        decision = self.latest.get(key)
        return decision is not None and decision.status != "error"

    def decisions(self) -> Sequence[Decision]:
        """The latest decision of every key, in the order of the keys."""
        keys = sorted(self.latest)
        if isinstance(self.latest, SpilledRows):
            return InOrder(self.latest, keys)
        return [self.latest[key] for key in keys]
