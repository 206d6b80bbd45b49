"""What a plan is asked for: of a suite, or of a selection from a pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from selectllm.core.choices import RETAIN
from selectllm.core.errors import UsageError, check_number
from selectllm.core.names import unknown
from selectllm.core.verdict_words import KindName
from selectllm.evaluation.comparison.arms import Arm, Halves
from selectllm.evaluation.comparison.kinds import KINDS
from selectllm.jobs.session_settings import Settings
from selectllm.jobs.settings import SelectArguments

ARMS: Mapping[str, tuple[str, str]] = {"ab": ("a", "b"), "swap": ("from_", "to")}
"""The arguments that name the arms of a comparison, by its kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What to plan for a suite.

    `kind`: eval, ab, swap or regress. `a`, `b` (for ab) and `from_`, `to` (for swap): the arms, as
    these jobs take them; without them every pair of the suite is planned. `prompt`, `model`:
    complete arms that name only one of the two. `retain`: the share of the old model's gain that
    `swap` demands, above 0 and at most 1. `pilot`: the folder of a finished run that shows how much
    arms differ and how long replies are. `raters`: the number of ratings of each item.
    `rating_cost`: USD for one rating. `seed`, `limit`: replace the suite's seed and number of
    clusters.
    """

    kind: KindName = "eval"
    a: str | None = None
    b: str | Sequence[str] = ()
    from_: str | None = None
    to: str | None = None
    prompt: str | None = None
    model: str | None = None
    retain: float = RETAIN[0]
    pilot: Path | str | None = None
    raters: int = 1
    rating_cost: float | None = None
    seed: int | None = None
    limit: int | None = None

    def check(self) -> None:
        """Raise UsageError for arms that are incomplete or of another kind, and for no amount."""
        known = [kind.name for kind in KINDS.values() if kind.is_planned]
        if self.kind not in known:
            raise UsageError(f"`kind`: {unknown('kind', self.kind, known)}", argument="kind")
        for kind, names in ARMS.items():
            present = [name for name in names if getattr(self, name)]
            if present and self.kind != kind:
                raise UsageError(
                    f"`{present[0]}` goes with `kind` {kind}, not with `kind` {self.kind}. Leave "
                    "it out",
                    argument=present[0],
                )
            if len(present) == 1:
                lacking = next(name for name in names if name not in present)
                raise UsageError(
                    f"`{present[0]}` needs `{lacking}`. Name both arms, or neither",
                    argument=lacking,
                )
        if not 0 < self.retain <= 1:
            raise UsageError(
                f"`retain` {self.retain} is not above 0 and at most 1", argument="retain"
            )
        check_number("rating_cost", self.rating_cost)
        if self.rating_cost is not None and self.rating_cost < 0:
            raise UsageError(
                f"`rating_cost` {self.rating_cost} is not an amount. Give it in USD",
                argument="rating_cost",
            )

    def arms(self, among: Halves) -> tuple[Arm, ...]:
        """The arms that are named, the reference first; none: every pair of the suite."""
        if not (self.a or self.from_):
            return ()
        among = among.with_default(prompt=self.prompt, model=self.model)
        if self.a:
            others = (self.b,) if isinstance(self.b, str) else self.b
            arms = (among.arm("a", self.a), *(among.arm("b", name) for name in others))
        else:
            arms = among.swapped(self.from_ or "", self.to or "")
        if len(set(arms)) < len(arms):
            names = ", ".join(arm.name for arm in arms)
            raise UsageError(f"The arms {names} contain one twice. Name different arms")
        return arms


class PlanArguments(Settings, total=False):
    """A PlanRequest as keyword arguments, with the settings of a session."""

    kind: KindName
    a: str | None
    b: str | Sequence[str]
    from_: str | None
    to: str | None
    prompt: str | None
    model: str | None
    retain: float
    pilot: Path | str | None
    raters: int
    rating_cost: float | None
    seed: int | None
    limit: int | None


class EitherArguments(SelectArguments, total=False):
    """Those of a plan of a suite and of one of a selection together."""

    kind: KindName
    a: str | None
    b: str | Sequence[str]
    from_: str | None
    to: str | None
    retain: float
    pilot: Path | str | None
    raters: int
    rating_cost: float | None
    seed: int | None  # type: ignore[misc]  # a suite has its own
    limit: int | None
