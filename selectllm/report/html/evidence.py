"""What a page of a run shows besides figures: cases, and how it all was made. Types alone.

jobs/evidence.py reads it from a run folder; here nothing is read or computed. Items, replies and
pieces of prompts stand once each and are named by their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ShownArm:
    """A prompt with a model, or a strategy; the rest is None."""

    name: str
    prompt: str | None = None
    model: str | None = None
    strategy: str | None = None


@dataclass(frozen=True, slots=True)
class ShownItem:
    """An item of the pool; `values`: by utility, in their order, None where it has none."""

    id: str
    instruction: str
    input: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class ShownCluster:
    """A cluster. `lost`: by arm, the share of what could be gained in it that its picks missed.

    0: the best possible picks, 1: the worst; None where that is not known or nothing to lose.
    """

    id: int
    group: str | None
    lost: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Showing:
    """A cluster in one order: numbers of a cluster and of its items, first slot first."""

    cluster: int
    order: int
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShownAttempt:
    """A request and what came back. `reply`: a number. `failed`: what went wrong, None: nothing.

    `shown`: of a question about some of the candidates, their slots in its order; else None.
    """

    reply: int
    finish_reason: str
    tokens_in: int | None
    tokens_out: int | None
    cost_usd: float | None
    failed: str | None
    shown: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class ShownChoice:
    """A decision: numbers of its arm, showing and prompt's shape; `picks`: slots, from 0."""

    arm: int
    showing: int
    repeat: int
    picks: tuple[int, ...]
    status: str
    problems: tuple[str, ...]
    attempts: tuple[ShownAttempt, ...]
    shape: int | None


@dataclass(frozen=True, slots=True)
class PromptShape:
    """A message of a rendered prompt, in parts.

    `parts`: each the number of a piece of text, or (slot, 0 or 1): instruction or input of the
    item shown there.
    """

    role: str
    parts: tuple[int | tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class AskedRatings:
    """What raters of differing items are asked, as a sheet says it: see utility/annotation."""

    suite: str
    pool_sha256: str
    range: tuple[float, float]
    rubric: str
    how_to_fill: str
    mark: str


@dataclass(frozen=True, slots=True)
class LengthBin:
    """Of an arm: items of `low` to `high` characters, how often shown and how often picked."""

    arm: str
    low: int
    high: int
    shown: int
    picked: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a result was made. `command`: makes it again, in the folder `where`; "" if not known.

    `facts`: labels with what they say. `when`: when its last reply came, such as `29 November
    2026`; "" if not known.
    """

    command: str
    when: str
    facts: tuple[tuple[str, str], ...]
    where: str = "in the folder of the suite"


@dataclass(frozen=True, slots=True)
class RunEvidence:
    """The cases of a run. `picks`: asked for in each cluster. `reference`, `judged`: arms.

    `deciding`: the utility that decides, None without one. `notes`: what could not be shown.
    `simulated`: the models that are scripts of ours, if no other was asked.
    """

    picks: int
    arms: tuple[ShownArm, ...]
    utilities: tuple[str, ...]
    deciding: str | None
    reference: int
    judged: int
    items: tuple[ShownItem, ...]
    clusters: tuple[ShownCluster, ...]
    showings: tuple[Showing, ...]
    choices: tuple[ShownChoice, ...]
    replies: tuple[str, ...]
    pieces: tuple[str, ...]
    shapes: tuple[tuple[PromptShape, ...], ...]
    labels: Mapping[str, str]
    lengths: tuple[LengthBin, ...]
    asked: AskedRatings | None
    provenance: Provenance
    notes: tuple[str, ...] = field(default=())
    simulated: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """What the page's scripts read: rows as lists, in the order of their fields."""
        return {
            "picks": self.picks,
            "arms": [arm.name for arm in self.arms],
            "models": [arm.model for arm in self.arms],
            "prompts": [arm.prompt for arm in self.arms],
            "utilities": list(self.utilities),
            "deciding": None if self.deciding is None else self.utilities.index(self.deciding),
            "reference": self.reference,
            "judged": self.judged,
            "items": [[i.id, i.instruction, i.input, i.values] for i in self.items],
            "clusters": [[c.id, c.group, c.lost] for c in self.clusters],
            "showings": [[s.cluster, s.order, s.items] for s in self.showings],
            "choices": [_choice(choice) for choice in self.choices],
            "replies": list(self.replies),
            "pieces": list(self.pieces),
            "shapes": [[[m.role, m.parts] for m in shape] for shape in self.shapes],
            "labels": dict(self.labels),
            "asked": None if self.asked is None else asdict(self.asked),
        }


def _choice(choice: ShownChoice) -> list[Any]:
    attempts = [
        [a.reply, a.finish_reason, a.tokens_in, a.tokens_out, a.cost_usd, a.failed, a.shown]
        for a in choice.attempts
    ]
    rest = [choice.status, choice.problems, attempts, choice.shape]
    return [choice.arm, choice.showing, choice.repeat, choice.picks, *rest]
