"""What stands under the keys of a suite: clusters, models, gate and sets; no unknown keys."""

from __future__ import annotations

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
    """The clusters of a suite."""

    by: Partition = Field(
        default="diverse",
        description="How the clusters are made: a name, or module:attr of your own code.",
    )
    size: Annotated[int, Field(ge=2), WHOLE] = Field(
        default=10, description="The number of items in a cluster."
    )
    limit: Count | None = Field(
        default=None, description="Use only the first clusters of the seeded order."
    )
    group: str | None = Field(
        default=None,
        description="A column of the pool. No cluster mixes its values, and intervals take the "
        "groups into account.",
    )
    file: str | None = Field(
        default=None,
        description="A clusters.json that is used as it is, instead of dividing the pool.",
    )


class PriceEntry(Strict):
    """The price of a model in USD per million tokens."""

    input: Annotated[float, Field(ge=0), NUMBER] = Field(
        description="The price of the tokens of prompts."
    )
    output: Annotated[float, Field(ge=0), NUMBER] = Field(
        description="The price of the tokens of replies."
    )
    reasoning: Annotated[float, Field(ge=0), NUMBER] | None = Field(
        default=None,
        description="The price of the tokens of thinking, if it differs from that of output.",
    )


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
    """How often a model is asked for one decision, and how its replies are combined."""

    orders: Orders = Field(
        default=1,
        description="A number of orders, or the smallest and the largest number. With two "
        "numbers, a further order is asked only while the ballots disagree.",
    )
    repeats: Ballots = Field(default=1, description="How often each order is asked.")
    by: Rule | None = Field(
        default=None,
        description="How the replies are combined. By default, borda for more than one order, "
        "else majority.",
    )
    until: Annotated[float, Field(gt=0, le=1), NUMBER] | None = Field(
        default=None,
        description="With two numbers of orders: the mean overlap of the ballots' picks that is "
        "enough.",
    )

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
    """One model, with these keys. A suite can also give only the id of a model."""

    id: Name = Field(description="What litellm calls the model: provider/model.")
    name: str | None = Field(
        default=None, description="What results and arms call it. By default, its id."
    )
    revision: str | None = Field(
        default=None,
        description="Anything else that distinguishes two models with the same id, such as the "
        "quantisation.",
    )
    api_base: str | None = Field(
        default=None,
        description="The URL of the server, if it is not that of the provider. The key of the "
        "provider is not sent to it.",
    )
    api_key_env: str | None = Field(
        default=None, description="The environment variable that holds the key."
    )
    context: Count | None = Field(
        default=None, description="How many tokens prompt and reply may have together."
    )
    price: PriceEntry | None = Field(
        default=None, description="The price, if litellm does not know it."
    )
    temperature: Annotated[float, Field(ge=0), NUMBER] | None = Field(
        default=0.0, description="The temperature. null leaves it to the provider."
    )
    max_tokens: Count = Field(default=1024, description="How many tokens a reply may have.")
    top_p: Annotated[float, Field(gt=0, le=1), NUMBER] | None = Field(
        default=None, description="Sample from the most likely tokens with this total probability."
    )
    top_k: Count | None = Field(
        default=None, description="Sample from this many of the most likely tokens."
    )
    stop: tuple[str, ...] = Field(default=(), description="Texts at which a reply ends.")
    reasoning_effort: str | None = Field(
        default=None,
        description="Passed to the provider unchanged. Use either this or `reasoning`.",
    )
    reasoning: Annotated[
        Reasoning | None, BeforeValidator(off_of, json_schema_input_type=Reasoning | Literal[False])
    ] = Field(default=None, description="How much the model may think before it answers.")
    structured: Switch | None = Field(
        default=None,
        description="Whether a JSON schema may be sent. The default depends on the provider.",
    )
    vote: VoteEntry | None = Field(
        default=None, description="Ask for each decision several times, and combine the replies."
    )
    answer: Answer = Field(
        default="text",
        description="logprobs generates one token and ranks the candidates by the "
        "log-probabilities of their labels.",
    )
    extra: JsonMapping = Field(
        default={}, description="Settings that are passed to the provider unchanged."
    )
    timeout: Annotated[float, Field(gt=0), NUMBER] = Field(
        default=120.0, description="How many seconds a call may take."
    )
    transport: Transport | None = Field(
        default=None, description="direct calls servers with OpenAI's API without litellm."
    )
    rpm: Annotated[float, Field(gt=0), NUMBER] | None = Field(
        default=None,
        description="How many requests per minute all commands of the workspace may send together.",
    )
    tpm: Annotated[float, Field(gt=0), NUMBER] | None = Field(
        default=None,
        description="How many tokens per minute all commands of the workspace may send together.",
    )

    def spec(self) -> ModelSpec:
        """The entry as the rest of the package uses it."""
        fields = self.model_dump(exclude={"price", "name", "vote"})
        price = Price(**self.price.model_dump()) if self.price else None
        vote = self.vote.vote() if self.vote else None
        return ModelSpec(name=self.name or self.id, price=price, vote=vote, **fields)


class SevereEntry(Strict):
    """How many clusters may lose how much, whatever the mean is (comparison/severity.py)."""

    loss: Annotated[float, Field(gt=0), NUMBER] = Field(
        default=0.5,
        description="The loss of a cluster that counts as severe, in captured units (with "
        "--differing, as a share of the rating range).",
    )
    share: Annotated[float, Field(ge=0, lt=1), NUMBER] = Field(
        default=0.02, description="The share of clusters that may lose that much."
    )
    strict: Switch = Field(
        default=False,
        description="If true, a larger share has to be ruled out before anything passes.",
    )


class Gate(Strict):
    """The rules for a verdict."""

    utility: str | None = Field(
        default=None, description="The utility that decides. By default, the first one."
    )
    assisted_by: str | None = Field(
        default=None,
        description="A judge: another utility, which rates all items and supplements the "
        "ratings of people in `utility`.",
    )
    margin: Annotated[float, Field(gt=0), NUMBER] = Field(
        default=0.10,
        description="How large a difference may be and still not matter, in captured units.",
    )
    alpha: Annotated[float, Field(ge=1e-6, lt=0.5), NUMBER] = Field(
        default=0.05, description="The largest share of comparisons that may get a wrong verdict."
    )
    inconclusive: Literal["fail", "warn"] = Field(
        default="fail",
        description="Whether an inconclusive regress ends with exit code 3 (fail) or 0 (warn).",
    )
    rating_margin: Annotated[float, Field(gt=0), NUMBER] | None = Field(
        default=None,
        description="The margin if only differing items are rated, in points of the rating "
        "scale per pick. Without it, such a verdict is never `equivalent`.",
    )
    severe: SevereEntry | None = Field(
        default=None, description="A guard against clusters that lose very much."
    )

    def recorded(self) -> dict[str, Any]:
        """As manifests have it: what came later is left out where it is not used."""
        later = {name for name in ("assisted_by", "severe") if getattr(self, name) is None}
        return self.model_dump(mode="json", exclude=later)


class BudgetEntry(Strict):
    """A budget of the workspace, shared by every command that names it.

    Spending is added up under `name`, no matter which process or suite it comes from. Each suite
    says how high the sum may get.
    """

    name: Name = Field(
        description="The name of the budget. Everything that is spent under it is added up."
    )
    limit: Annotated[float, Field(ge=0), NUMBER] | None = Field(
        default=None, description="How much may be spent in USD."
    )
    tokens: Annotated[int, Field(ge=0), WHOLE] | None = Field(
        default=None, description="How many tokens may be read and written."
    )
    requests: Annotated[int, Field(ge=0), WHOLE] | None = Field(
        default=None, description="How many requests may be sent."
    )

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
    """What `sets` selects: one set for each budget, selector and seed."""

    budgets: Annotated[tuple[Count, ...], Field(min_length=1), AfterValidator(_distinct)] = Field(
        description="How many items a set has. One set is made for each budget, selector and seed."
    )
    seeds: Annotated[tuple[Whole, ...], Field(min_length=1), AfterValidator(_distinct)] = Field(
        default=(0, 1, 2),
        description="The seeds of clusters, orders, ties and random fills. They replace the "
        "seed of the suite.",
    )
    category: Name | None = Field(
        default=None,
        description="A column of the pool. The entropy of its values shows how varied a set is.",
    )
    groups: Count = Field(
        default=100,
        description="The number of k-means groups of the pool whose coverage is measured, at "
        "most one per item.",
    )
