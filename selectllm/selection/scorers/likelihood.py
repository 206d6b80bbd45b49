"""Perplexity and instruction-following difficulty (IFD) of items, each text scored once, ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Floats
from selectllm.core.codec import sha256_texts
from selectllm.core.errors import ModelError, UnfitError
from selectllm.core.names import listed
from selectllm.core.types import Item, Progress, unanswered
from selectllm.data.columns import mapping
from selectllm.data.vector_store import KEY, VectorStore
from selectllm.selection.scorers.item_scorer import ItemScorer, Measured, Meter
from selectllm.selection.scorers.language_model import LanguageModel, load_language_model

Pair = tuple[str, str]

BATCH = 32  # pairs scored, then stored: what a killed run can lose
FORMAT = 1  # raise it when the same model would give other likelihoods: their cache starts anew
SEPARATOR = "\n\n"  # between what an item asks and its response; counts as context


def likelihoods(
    pairs: Sequence[Pair], model: LanguageModel, folder: Path, progress: Progress | None = None
) -> Floats:
    """(n_pairs, 2): nats and tokens of each text after its context; see LanguageModel.

    Kept in `folder` as float32 (7 digits). Only pairs that are not there are scored, each once,
    and stored batch by batch, so that a killed run goes on where it was. The longest come first:
    memory runs out at once or never, and the time left only shrinks. `progress(done, total)`
    counts the pairs that are new; it is not called if none is. Raises ModelError for values that
    cannot be likelihoods, and what `model` raises.
    """
    store = VectorStore(folder, f"likelihoods-{FORMAT} of {model.identity}")
    keys = _keys(pairs)
    absent = np.flatnonzero(store.find(keys) < 0)
    # In the order of their hashes, so that batches do not depend on the order of the pairs.
    distinct = absent[np.unique(keys[absent], return_index=True)[1]]
    new = sorted(distinct.tolist(), key=lambda i: -len(pairs[i][0]) - len(pairs[i][1]))
    report = progress or (lambda done, total: None)
    for start in range(0, len(new), BATCH):
        report(start, len(new))
        batch = new[start : start + BATCH]
        store.add(keys[batch], _scored([pairs[i] for i in batch], model))
    if new:
        report(len(new), len(new))
    return store.read(store.find(keys)).astype(np.float64).reshape(len(pairs), 2)


def perplexity(nats: Floats, tokens: Floats) -> Floats:
    """exp(nats / tokens), from 1 (certain) up; lower is likelier.

    `nats` is the summed negative log-likelihood of `tokens` tokens. NaN where there are none: a
    text without tokens has no perplexity. Source: Jelinek et al. 1977, "Perplexity - a measure of
    the difficulty of speech recognition tasks".
    """
    mean = np.full(np.shape(tokens), np.nan)
    values: Floats = np.exp(np.divide(nats, tokens, out=mean, where=np.asarray(tokens) > 0))
    return values


def ifd(conditional: Floats, alone: Floats) -> Floats:
    """Instruction-following difficulty: perplexity of a response after its instruction / alone.

    Above 0; below 1 the instruction makes the response likelier, and the nearer to 1, the less it
    helps: the more there is to learn. Above 1 it makes it less likely; the authors take those for
    mismatched. NaN where either is. Source: Li et al. 2024, Cherry LLM, arXiv 2308.12032, whose
    code divides mean losses instead, and Superfiltering, arXiv 2402.00530, which divides
    perplexities and finds that small models rank much like large ones.
    """
    return conditional / alone


def instruction_perplexity(
    items: Sequence[Item],
    model: LanguageModel,
    folder: Path,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Perplexity of what each item asks (instruction, then input), by id; see `likelihoods`."""
    pairs = [("", item.text) for item in items]
    return _by_id(items, _perplexities(likelihoods(pairs, model, folder, progress)))


def response_perplexity(
    items: Sequence[Item],
    model: LanguageModel,
    folder: Path,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Perplexity of each item's response alone, by id; see `likelihoods`.

    Raises UnfitError if an item has no response.
    """
    pairs = [("", text) for text in responses_of("response-perplexity", items)]
    return _by_id(items, _perplexities(likelihoods(pairs, model, folder, progress)))


def ifd_scores(
    items: Sequence[Item],
    model: LanguageModel,
    folder: Path,
    progress: Progress | None = None,
) -> dict[str, float]:
    """`ifd` of each item by id; see `likelihoods`.

    The response is scored after the item's text (instruction, then input) and SEPARATOR, with no
    chat template, and alone. Raises UnfitError if an item has no response.
    """
    responses = responses_of("ifd", items)
    after = [item.text + SEPARATOR for item in items]
    pairs = [*zip(after, responses, strict=True), *(("", text) for text in responses)]
    conditional, alone = np.split(_perplexities(likelihoods(pairs, model, folder, progress)), 2)
    return _by_id(items, ifd(conditional, alone))


def _keys(pairs: Sequence[Pair]) -> NDArray[np.bytes_]:
    digests = b"".join(bytes.fromhex(sha256_texts(pair)) for pair in pairs)
    return np.frombuffer(digests, dtype=KEY)


def _scored(pairs: Sequence[Pair], model: LanguageModel) -> NDArray[np.float32]:
    """What the model makes of one batch, checked: shape, finite, not negative."""
    values = np.asarray(model.log_likelihoods(pairs), dtype=np.float32)
    if values.shape != (len(pairs), 2):
        raise ModelError(
            f"language model {model.identity} returned shape {values.shape} for {len(pairs)} "
            f"texts. It must return ({len(pairs)}, 2): nats and tokens"
        )
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)).all(axis=1))
    if len(bad):
        nats, tokens = values[bad[0]]
        raise ModelError(
            f"language model {model.identity} gave {nats:.4g} nats for {tokens:.4g} tokens of "
            f"{pairs[bad[0]][1][:60]!r}. Both must be finite and not negative: check its weights"
        )
    return values


def _perplexities(values: Floats) -> Floats:
    return perplexity(values[:, 0], values[:, 1])


def _by_id(items: Sequence[Item], values: Floats) -> dict[str, float]:
    return dict(zip((item.id for item in items), values.tolist(), strict=True))


def responses_of(measure: str, items: Sequence[Item]) -> list[str]:
    """The items' responses, for `measure`. Raises UnfitError if an item has none."""
    if missing := unanswered(items):
        raise UnfitError(
            f"{measure} needs responses: {len(missing)} of {len(items)} items have none: "
            f"{listed(missing)}. Fill them in ({mapping('response', 'COL')} names their column), "
            "or take a strategy that needs none"
        )
    return [item.response or "" for item in items]


@dataclass(frozen=True)
class _LikelihoodScorer(ItemScorer):
    """A number from likelihoods under the language model `of`, "" for the embedded one."""

    of: str = ""
    reads_items = True

    def check(self, items: Sequence[Item], meter: Meter) -> None:
        """Raise for a language model that cannot be used."""
        self._model(meter)

    def describe(self, meter: Meter) -> Mapping[str, Any]:
        """The language model's identity."""
        return {"language_model": self._model(meter).identity}

    def _model(self, meter: Meter) -> LanguageModel:
        return load_language_model(self.of or None, meter.folder)


class PerplexityScorer(_LikelihoodScorer):
    """See `instruction_perplexity`."""

    name = "perplexity"

    async def score(self, items: Sequence[Item], meter: Meter) -> Measured:
        """From 1 up; lower is likelier."""
        model = self._model(meter)
        return Measured(instruction_perplexity(items, model, meter.folder, meter.progress))


class ResponsePerplexityScorer(_LikelihoodScorer):
    """See `response_perplexity`."""

    name = "response-perplexity"
    needs_responses = True

    async def score(self, items: Sequence[Item], meter: Meter) -> Measured:
        """From 1 up; lower is likelier."""
        model = self._model(meter)
        return Measured(response_perplexity(items, model, meter.folder, meter.progress))


class IfdScorer(_LikelihoodScorer):
    """See `ifd_scores`."""

    name = "ifd"
    needs_responses = True

    async def score(self, items: Sequence[Item], meter: Meter) -> Measured:
        """Below 1 the instruction helps with the response."""
        return Measured(ifd_scores(items, self._model(meter), meter.folder, meter.progress))
