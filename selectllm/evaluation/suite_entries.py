"""What stands under the keys of a suite: clusters, models, gate and sets; no unknown keys."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from selectllm.core.plugins import REFERENCE, is_reference
from selectllm.core.strict import NUMBER, WHOLE, Count, JsonMapping, Name, Strict, Switch, Whole
from selectllm.models.model import Answer, ModelSpec, Price, Reasoning, Rule, Transport, Vote
from selectllm.selection.clustering.partition import PARTITIONS


def _partition(name: str) -> str:
    if name not in PARTITIONS and not is_reference(name):
        *most, last = (repr(known) for known in PARTITIONS)
        raise ValueError(f"should be {', '.join(most)} or {last}, or module:attr of your own")
    return name


Partition = Annotated[
    str,
    AfterValidator(_partition),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(PARTITIONS), "type": "string"},
                {"pattern": REFERENCE, "type": "string"},
            ]
        }
    ),
]
"""The name of a partition, or `module:attr` of code beside the suite."""


def off_of(value: Any) -> Any:
    """`off`, which YAML 1.1 reads as false."""
    return "off" if value is False else value


class ClustersEntry(Strict):
    """How the pool is divided into clusters.

    `limit` uses only the first clusters of the seeded order. `group` names a column of the pool: no
    cluster mixes its values, and intervals take the groups into account. `file` names a
    clusters.json that is used as it is.
    """

    by: Partition = "diverse"
    size: Annotated[int, Field(ge=2), WHOLE] = 10
    limit: Count | None = None
    group: str | None = None
    file: str | None = None


class PriceEntry(Strict):
    """The price in USD per million tokens.

    `reasoning` is the price of thinking, if it differs from that of output.
    """

    input: Annotated[float, Field(ge=0), NUMBER]
    output: Annotated[float, Field(ge=0), NUMBER]
    reasoning: Annotated[float, Field(ge=0), NUMBER] | None = None


MOST_BALLOTS = 100
Ballots = Annotated[int, Field(ge=1, le=MOST_BALLOTS, strict=True)]


def _orders(value: Any) -> int | tuple[int, int]:
    """A number of orders, or the least and the most."""
    counts = tuple(value) if isinstance(value, list | tuple) else (value,)
    if len(counts) > 2 or not all(type(n) is int and 1 <= n <= MOST_BALLOTS for n in counts):
        raise ValueError(
            f"should be a whole number from 1 to {MOST_BALLOTS}, or the least and the most, such "
            "as [2, 7]"
        )
    return counts[0] if len(counts) == 1 else (counts[0], counts[1])


Orders = Annotated[
    int | tuple[int, int],
    PlainValidator(_orders, json_schema_input_type=Ballots | tuple[Ballots, Ballots]),
]


class VoteEntry(Strict):
    """How often a model is asked for one decision, and how its replies are combined.

    `orders` is a number, or the smallest and the largest number. With two numbers, a further order
    is asked only while the mean overlap of the ballots' picks is below `until`. The default of `by`
    is borda for more than one order and majority otherwise.
    """

    orders: Orders = 1
    repeats: Ballots = 1
    by: Rule | None = None
    until: Annotated[float, Field(gt=0, le=1), NUMBER] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        first, most = self._range()
        if first is None and self.until is not None:
            raise ValueError(
                "should name the least and the most orders beside until, such as "
                f"orders: [2, {max(most, 3)}]"
            )
        if most * self.repeats < 2:
            raise ValueError("should have orders or repeats above 1. One reply is not a vote")
        if first is not None and self.until is None:
            raise ValueError(
                "should say beside a range of orders when the ballots agree, such as until: 0.8"
            )
        if first is not None and not (first < most and first * self.repeats > 1):
            raise ValueError(
                "should have orders: [LEAST, MOST] with LEAST below MOST and at least two "
                "ballots to begin with, such as [2, 7]. One ballot agrees with itself"
            )
        return self

    def _range(self) -> tuple[int | None, int]:
        return (None, self.orders) if isinstance(self.orders, int) else self.orders

    def vote(self) -> Vote:
        """The entry as the rest of the package uses it."""
        first, most = self._range()
        until = 1.0 if self.until is None else self.until
        return Vote(most, self.repeats, self.by, first, until)


class ModelEntry(Strict):
    """One model, with these keys. A suite can also give only the id of a model.

    `models.model.ModelSpec` explains the keys.
    """

    id: Name
    name: str | None = None
    revision: str | None = None
    api_base: str | None = None
    api_key_env: str | None = None
    context: Count | None = None
    price: PriceEntry | None = None
    temperature: Annotated[float, Field(ge=0), NUMBER] | None = 0.0
    max_tokens: Count = 1024
    top_p: Annotated[float, Field(gt=0, le=1), NUMBER] | None = None
    top_k: Count | None = None
    stop: tuple[str, ...] = ()
    reasoning_effort: str | None = None
    reasoning: Annotated[
        Reasoning | None, BeforeValidator(off_of, json_schema_input_type=Reasoning | Literal[False])
    ] = None
    structured: Switch | None = None
    vote: VoteEntry | None = None
    answer: Answer = "text"
    extra: JsonMapping = Field(default={})
    timeout: Annotated[float, Field(gt=0), NUMBER] = 120.0
    transport: Transport | None = None
    rpm: Annotated[float, Field(gt=0), NUMBER] | None = None
    tpm: Annotated[float, Field(gt=0), NUMBER] | None = None

    def spec(self) -> ModelSpec:
        """The entry as the rest of the package uses it."""
        fields = self.model_dump(exclude={"price", "name", "vote"})
        price = Price(**self.price.model_dump()) if self.price else None
        vote = self.vote.vote() if self.vote else None
        return ModelSpec(name=self.name or self.id, price=price, vote=vote, **fields)


class SevereEntry(Strict):
    """How many clusters may lose how much, whatever the mean is (comparison/severity.py).

    `loss` is the loss of a cluster that counts as severe, in captured units (with --differing, as a
    share of the rating range). `share` is the share of the clusters that may lose that much. If
    `strict` is true, a larger share has to be ruled out before anything passes.
    """

    loss: Annotated[float, Field(gt=0), NUMBER] = 0.5
    share: Annotated[float, Field(ge=0, lt=1), NUMBER] = 0.02
    strict: Switch = False


class Gate(Strict):
    """The rules for a verdict. `margin` is in captured units.

    `rating_margin` is the difference that still counts as equal if only differing items are rated,
    in points of the rating scale per pick. Without it, such a verdict is never `equivalent`.
    `assisted_by` names a judge: another utility, which rates all items and supplements the ratings
    of people in `utility`.
    """

    utility: str | None = None
    assisted_by: str | None = None
    margin: Annotated[float, Field(gt=0), NUMBER] = 0.10
    alpha: Annotated[float, Field(ge=1e-6, lt=0.5), NUMBER] = 0.05
    inconclusive: Literal["fail", "warn"] = "fail"
    rating_margin: Annotated[float, Field(gt=0), NUMBER] | None = None
    severe: SevereEntry | None = None

    def recorded(self) -> dict[str, Any]:
        """As manifests have it: what came later is left out where it is not used."""
        later = {name for name in ("assisted_by", "severe") if getattr(self, name) is None}
        return self.model_dump(mode="json", exclude=later)


class BudgetEntry(Strict):
    """A budget of the workspace, shared by every command that names it.

    `limit` is in USD. `tokens` counts tokens in and out, and `requests` counts the requests that
    were sent. All spending is added up under `name`, no matter which process or suite it comes
    from. Each suite says how high the sum may get.
    """

    name: Name
    limit: Annotated[float, Field(ge=0), NUMBER] | None = None
    tokens: Annotated[int, Field(ge=0), WHOLE] | None = None
    requests: Annotated[int, Field(ge=0), WHOLE] | None = None

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.limit is None and self.tokens is None and self.requests is None:
            raise ValueError("should say how much may be spent, as limit (USD), tokens or requests")
        return self


def _distinct(values: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(values)) < len(values):
        raise ValueError("should name each number once")
    return values


class SetsEntry(Strict):
    """What `sets` selects: one set for each budget, selector and seed.

    `seeds` determine clusters, orders, ties and random fills, and replace the seed of the suite.
    `category` is a column of the pool; the entropy of its values shows how varied a set is.
    `groups` is the number of k-means groups of the pool (at most one per item) whose coverage is
    measured.
    """

    budgets: Annotated[tuple[Count, ...], Field(min_length=1), AfterValidator(_distinct)]
    seeds: Annotated[tuple[Whole, ...], Field(min_length=1), AfterValidator(_distinct)] = (0, 1, 2)
    category: Name | None = None
    groups: Count = 100
