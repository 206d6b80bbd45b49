"""Utilities: a number per item that stands for downstream quality. Higher is better, always.

A source computes one. A utility says of what kind it is, because agreement with a proxy is not
agreement with downstream quality:

outcome   measured by training on the item, or imported from such a measurement
human     people rated the item
model     a model rated the item
proxy     computed from texts or vectors; correlates with the above at best
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, cast, get_args

from selectllm.core.codec import sha256_json, sha256_pairs
from selectllm.core.errors import UtilityError
from selectllm.core.names import listed
from selectllm.core.types import empty
from selectllm.data.packed_values import PackedValues
from selectllm.utility.schema import DrawnSample, UtilityKind, UtilitySummary, ValidationSummary


@dataclass(frozen=True)
class Utility:
    """A finite number for every item it was asked about, by item id; higher is better.

    `name`: what the suite calls it. `source`: what computed it, a key of
    `sources.UTILITIES` or a `module:attr`. `rater`: who or what the numbers come from,
    printed beside every agreement; None if nobody said. `reliability`: how far the numbers would
    repeat, from 0 (not at all) to 1 (exactly), on the scale of a correlation; None if unknown. No
    agreement with the utility can be expected to exceed its square root. `range`: the lowest and
    the highest value that its scale allows, None if unknown. `cost`: what computing them took, by
    unit, such as `cpu_seconds`; it differs from time to time, so no hash has it. `validation`: of
    its values by training, None if nobody did. `of_set`: what a set of items (ids) is worth, of
    utilities that know more of it than the sum of its items' values; higher is better. `sample`:
    the clusters that were rated, where `utility ask --sample` drew them.

    Raises UtilityError if a value is not finite, for another kind, and for a reliability that is
    not from 0 to 1.
    """

    name: str
    source: str
    kind: UtilityKind
    values: Mapping[str, float]
    rater: str | None = None
    reliability: float | None = None
    range: tuple[float, float] | None = None
    cost: Mapping[str, float] = field(default_factory=empty, compare=False)
    validation: ValidationSummary | None = None
    of_set: Callable[[Collection[str]], float] | None = field(
        default=None, compare=False, repr=False
    )
    sample: DrawnSample | None = None

    def __post_init__(self) -> None:
        infinite = (name for name, value in self.values.items() if not math.isfinite(value))
        check_covered(infinite, self.values, f"utility {self.name}")
        if self.kind not in get_args(UtilityKind):
            raise UtilityError(
                f"utility {self.name}: kind must be one of {', '.join(get_args(UtilityKind))}, "
                f"not {self.kind!r}"
            )
        if self.reliability is not None and not 0 <= self.reliability <= 1:
            raise UtilityError(
                f"utility {self.name}: reliability must be from 0 to 1, not {self.reliability}"
            )

    @cached_property
    def sha256(self) -> str:
        """Hash of ids and values, in whatever order they came; not of the names."""
        if isinstance(self.values, PackedValues):
            return sha256_pairs(self.values.by_name())
        return sha256_json({item_id: float(value) for item_id, value in self.values.items()})

    @property
    def ceiling(self) -> float | None:
        """The square root of the reliability: no agreement can be expected above it."""
        return None if self.reliability is None else math.sqrt(self.reliability)

    @property
    def origin(self) -> dict[str, Any]:
        """The fields of a `UtilityOrigin`: what is told of it beside its name."""
        return {
            "source": self.source,
            "kind": self.kind,
            "rater": self.rater,
            "reliability": self.reliability,
            "ceiling": self.ceiling,
            "validation": self.validation,
        }

    def summary(self) -> UtilitySummary:
        """What is told beside every figure that rests on it."""
        return UtilitySummary(name=self.name, **self.origin)

    def turned(self) -> Utility:
        """With the sign of every value turned: of numbers of which lower is better."""
        of_set = self.of_set
        return replace(
            self,
            values={item_id: -value for item_id, value in self.values.items()},
            range=self.range and (-self.range[1], -self.range[0]),
            of_set=of_set and (lambda ids: -of_set(ids)),
        )

    def of(self, ids: Iterable[str]) -> Utility:
        """The same utility for those of `ids` that it has a value for."""
        return replace(self, values={i: self.values[i] for i in ids if i in self.values})


def check_covered(ids: Iterable[str], values: Mapping[str, float], what: str) -> None:
    """Raise UtilityError unless every id has a finite value; says how many lack one, names five.

    `what` begins the message: which utility, or for whom it was asked.
    """
    bad = [item_id for item_id in ids if not math.isfinite(values.get(item_id, math.nan))]
    if bad:
        raise UtilityError(
            f"{what}: items have no finite value ({len(bad)}): {listed(bad)}. Give every item a "
            "number, or leave these items out of the pool"
        )


def utility_row(utility: Utility) -> dict[str, Any]:
    """A utility as a manifest or a baseline describes it.

    Its validation and its sample only where there is one, so that hashes of what was made without
    stay the same.
    """
    names = ("name", "source", "kind", "rater", "reliability", "range")
    row = {name: getattr(utility, name) for name in names} | {"sha256": utility.sha256}
    if utility.validation is not None:
        row["validation"] = asdict(utility.validation)
    if utility.sample is not None:
        row["sample"] = utility.sample.to_json()
    return row


def utility_from(row: Mapping[str, Any], values: Mapping[str, float]) -> Utility:
    """The inverse of `utility_row`, with the values."""
    found, sample = row.get("validation"), row.get("sample")
    return Utility(
        name=row["name"],
        source=row["source"],
        kind=cast("UtilityKind", row["kind"]),
        values=values,
        rater=row["rater"],
        reliability=row["reliability"],
        range=row["range"] and tuple(row["range"]),
        validation=found and ValidationSummary(**found),
        sample=sample and DrawnSample(**sample),
    )
