"""A selector: a prompt, a model and an endpoint, together what is asked for picks."""

from __future__ import annotations

from dataclasses import dataclass

from selectllm.core.errors import PromptError
from selectllm.models.connect import Connections, connect, request_endpoint, settled
from selectllm.models.model import Model, ModelSpec
from selectllm.models.providers.endpoint import missing_key
from selectllm.models.providers.providers import (
    check_lists_logprobs,
    provider_of,
    tokens_to_list,
)
from selectllm.prompting.prompt import Prompt
from selectllm.prompting.replies.formats import write_reply


@dataclass(frozen=True, slots=True)
class Selector:
    """A prompt run through a model. `endpoint` is part of the request identity (model.Request).

    `keyless`: its model has no key that it needs, so that only what is cached can be answered.
    Raises PromptError for a prompt whose answer is more than one token, if log-probabilities are
    to answer it.
    """

    prompt: Prompt
    spec: ModelSpec
    model: Model
    endpoint: str | None = None
    keyless: bool = False

    @property
    def by_logprobs(self) -> bool:
        """Whether one token answers, with the probabilities of those that might have."""
        return answers_by_logprobs(self.prompt, self.spec)

    def __post_init__(self) -> None:
        check_pair(self.prompt, self.spec)
        if self.by_logprobs:
            tokens_to_list(self.spec)


def answers_by_logprobs(prompt: Prompt, spec: ModelSpec) -> bool:
    """Whether one token answers `prompt`, with the probabilities of those that might have."""
    return spec.answer == "logprobs" or prompt.form.shows == "item"


def check_pair(prompt: Prompt, spec: ModelSpec) -> None:
    """Raise PromptError or ModelError for a prompt and a model that do not go together.

    Either may be fine with another one.
    """
    one_letter = prompt.form.shows == "item" or (
        prompt.labels == "letters" and prompt.form.is_label
    )
    if prompt.form.shows != "cluster" and spec.vote is not None:
        raise PromptError(
            f"{prompt.ref} has reply: {prompt.reply}, which asks several questions about a "
            f"cluster, and model {spec.name!r} has a vote, which shows whole clusters in "
            "several orders. Name the model without `vote` for this prompt, in a suite as an "
            "entry of its own"
        )
    if spec.answer == "logprobs" and not one_letter:
        raise PromptError(
            f"{prompt.ref} has reply: {prompt.reply} and labels: {prompt.labels}, but model "
            f"{spec.name!r} answers by logprobs, the probability of one letter. Ask it "
            "with a prompt that has reply: indices and labels: letters, such as best@1"
        )
    if answers_by_logprobs(prompt, spec):
        check_lists_logprobs(spec, prompt.ref)


def check_batched(prompt: Prompt) -> None:
    """Raise PromptError for a prompt of which a cluster takes several questions."""
    if prompt.form.shows != "cluster":
        why = (
            "each question depends on the answers before it, so that it would need a batch of its "
            "own"
            if prompt.form.shows == "some"
            else "batches bring no log-probabilities"
        )
        raise PromptError(
            f"{prompt.ref} has reply: {prompt.reply} and cannot be asked in batches: {why}. Run "
            "the same command without `batch`, or use a prompt that shows whole clusters"
        )


def open_selector(prompt: Prompt, spec: ModelSpec, shared: Connections) -> Selector:
    """`prompt` run through the model of `spec`, ready to be asked.

    Raises PromptError for a prompt that cannot be asked in batches, if that is how it is asked.
    """
    spec = settled(spec, shared.base)
    if shared.batch is not None and provider_of(spec).way == "network":
        check_batched(prompt)
    return Selector(
        prompt=prompt,
        spec=spec,
        model=connect(spec, shared, write_reply),
        endpoint=request_endpoint(spec, shared),
        keyless=missing_key(spec, shared.environment) is not None,
    )
