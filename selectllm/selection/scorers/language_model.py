"""How likely a causal language model finds texts: models by name, run by torch in this process."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from selectllm.core.arrays import Floats, Ints
from selectllm.core.choices import LANGUAGE_MODEL
from selectllm.core.errors import ModelError
from selectllm.core.extras import need
from selectllm.data.model_files import ModelRole, find_model, loading
from selectllm.models.providers.weights import local_model
from selectllm.selection.scorers.gguf_conversion import convert

ROLE = ModelRole("language model", ModelError)
LOCAL = "local/"
FOLDER = "language_models"  # inside the cache
# Of smollm2-135m: what stood before every document that it learned from. Its declared BOS opens a
# chat turn instead, and no plain text follows that: instructions of Dolly cost it 5.5 nats a token
# there, against 4.6 here.
START = "<|endoftext|>"
WINDOW = 8_192  # tokens of one sequence at most, whatever the model takes: bounds memory
FORWARD = 512  # tokens whose logits are held at once: 100 MB for 49,152 words

Tokens = list[int]


class LanguageModel(Protocol):
    """Whatever tells how likely a text is after another.

    `identity` is what likelihoods are cached under: it must change whenever they would, and be
    cheap to know, for a run that finds all it needs in the cache asks for nothing else.
    """

    @property
    def identity(self) -> str:
        """Name and version of the model."""
        ...

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> Floats:
        """(n_pairs, 2), in the order of the (context, text) pairs.

        Column 0: the negative log-likelihood of the text after the context, in nats, summed over
        its tokens, lower is likelier. Column 1: how many tokens that were; (0, 0) if none.
        """
        ...


@dataclass(frozen=True, slots=True)
class CausalModel:
    """A causal language model of transformers, loaded when it is first asked.

    `source`: a folder or a name on the hub, there with an optional `revision`. `embedded`: the
    embedded model whose weights are converted into the folder `source` if it is not there yet.
    `start`: the token before every sequence, so that its first token is scored too; "" is the
    model's BOS token, or its EOS token if it has no BOS.

    Context and text are tokenised each on its own, so that nothing merges across their border and
    a text has the same tokens after any context. What looks like a control token of the model is
    read as plain text. A sequence takes at most the model's window, or WINDOW tokens if that is
    smaller. Of a text the first three quarters of the window are scored, the same after any
    context; of a context the end is kept, as much as the text leaves free.
    """

    identity: str
    source: str
    revision: str | None = None
    embedded: str = ""
    start: str = ""

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> Floats:
        """(n_pairs, 2): nats and tokens of each text; the same in any batch, within 1e-4 nats.

        Runs on the GPU if torch sees one. Memory grows with the longest sequence and with FORWARD
        times the size of the vocabulary, not with the number of pairs. Raises ModelError if the
        model cannot be loaded.
        """
        result = np.zeros((len(pairs), 2))
        if not pairs:
            return result
        loaded = _load(self)
        sequences = loaded.sequences(pairs)
        result[:, 1] = [sequence.scored for sequence in sequences]
        for batch in _batches([len(sequence.tokens) for sequence in sequences]):
            result[batch, 0] = loaded.nats([sequences[i] for i in batch])
        return result


def load_language_model(name: str | None, cache: Path) -> LanguageModel:
    """The language model called `name`: `local/NAME`, a folder, or NAME[@REVISION] on the hub.

    None is local/smollm2-135m, the embedded weights; they are converted once, into a folder of
    `cache`. Nothing is loaded or converted before the first question. The identity holds a hash
    of the weights, except for a hub model, whose identity is its name: pin it as NAME@REVISION.
    Raises ModelError for an unknown embedded model and for a folder that is not there or holds no
    model.
    """
    name = name or LANGUAGE_MODEL
    if name.startswith(LOCAL):
        return _embedded(name.removeprefix(LOCAL), cache)
    folder = Path(name).expanduser()
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise ModelError(f"folder {name} holds no config.json. Give a language model's folder")
    model = find_model(name, ROLE)
    return CausalModel(model.identity, model.source, model.revision)


def _embedded(name: str, cache: Path) -> CausalModel:
    prefix = local_model(name).sha256[:12]
    source = str(cache / FOLDER / prefix)
    return CausalModel(f"{name}@{prefix}", source, embedded=name, start=START)


@dataclass(frozen=True, slots=True)
class _Sequence:
    """Start, context and text; the last `scored` tokens are the text's."""

    tokens: Tokens
    scored: int


def _sequence(start: int, context: Tokens, text: Tokens, window: int) -> _Sequence:
    """Cut as CausalModel says."""
    room = window - 1
    text = text[: room - room // 4]
    context = context[max(0, len(context) + len(text) - room) :]
    return _Sequence([start, *context, *text], len(text))


def _batches(lengths: Sequence[int]) -> Iterator[Ints]:
    """Positions, the longest first, in batches of at most FORWARD tokens once padded.

    What is longer than that comes alone.
    """
    order = np.argsort([-length for length in lengths], kind="stable")
    at = 0
    while at < len(order):
        rows = max(1, FORWARD // lengths[order[at]])
        yield order[at : at + rows]
        at += rows


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model in memory."""

    tokenizer: Any
    network: Any
    start: int
    window: int

    def sequences(self, pairs: Sequence[tuple[str, str]]) -> list[_Sequence]:
        contexts = self._tokens([context for context, _ in pairs])
        texts = self._tokens([text for _, text in pairs])
        both = zip(contexts, texts, strict=True)
        return [_sequence(self.start, context, text, self.window) for context, text in both]

    def _tokens(self, texts: list[str]) -> list[Tokens]:
        tokens: list[Tokens] = self.tokenizer(
            texts, add_special_tokens=False, split_special_tokens=True, verbose=False
        )["input_ids"]
        return tokens

    def nats(self, batch: Sequence[_Sequence]) -> list[float]:
        """Summed over the text of each sequence."""
        import torch

        longest = max(len(sequence.tokens) for sequence in batch)
        # Padding stands behind all that counts, where a causal model cannot see it, and its own
        # values are not summed: any token will do, and no mask is needed.
        rows = [each.tokens + [self.start] * (longest - len(each.tokens)) for each in batch]
        with torch.inference_mode():
            each_token = _token_nats(self.network, torch.tensor(rows, device=self.network.device))
        ends = [len(sequence.tokens) - 1 for sequence in batch]  # the first token has no value
        return [
            float(values[end - sequence.scored : end].sum())
            for values, end, sequence in zip(each_token, ends, batch, strict=True)
        ]


def _token_nats(network: Any, tokens: Any) -> Floats:
    """(rows, length - 1): of each token but the first, after all before it; tokens (rows, length).

    A long row goes through in pieces, each after the remembered keys and values of those before.
    """
    import torch

    last = tokens.shape[1] - 1
    pieces, memory = [np.zeros((len(tokens), 0))], None
    for start in range(0, last, FORWARD):
        end = min(start + FORWARD, last)
        wanted = tokens[:, start + 1 : end + 1]
        output = network(
            input_ids=tokens[:, start:end], past_key_values=memory, use_cache=last > FORWARD
        )
        memory = output.past_key_values
        nats = torch.nn.functional.cross_entropy(
            output.logits.flatten(0, 1).float(), wanted.flatten(), reduction="none"
        )
        pieces.append(nats.double().cpu().numpy().reshape(wanted.shape))
    return np.concatenate(pieces, axis=1)


def load_weights(model: CausalModel, role: ModelRole = ROLE) -> tuple[Any, Any]:
    """Tokeniser and network of a model, converted first if need be: new ones with every call.

    The network is float32, in evaluation mode and without gradients, on the GPU if torch sees
    one. Raises the error of `role` if it cannot be loaded.
    """
    torch = need("embed", "torch", f"scoring with {model.identity}")
    need("embed", "transformers", f"scoring with {model.identity}")
    if model.embedded:
        convert(model.embedded, Path(model.source))
    from transformers import AutoModelForCausalLM, AutoTokenizer

    fix = "check the name, or give the folder of a causal language model"
    settings: dict[str, Any] = {} if model.revision is None else {"revision": model.revision}
    with loading(model.source, role, fix) as local:
        settings["local_files_only"] = local
        tokenizer = AutoTokenizer.from_pretrained(model.source, **settings)
        network: Any = AutoModelForCausalLM.from_pretrained(
            model.source, dtype=torch.float32, **settings
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return tokenizer, network.eval().requires_grad_(False).to(device)


@functools.lru_cache(maxsize=1)
def _load(model: CausalModel) -> _Loaded:
    """Kept for the process: models come and go, weights stay."""
    tokenizer, network = load_weights(model)
    start = _start(model, tokenizer)
    limit = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    return _Loaded(tokenizer, network, start, min(limit or WINDOW, WINDOW))


def _start(model: CausalModel, tokenizer: Any) -> int:
    if model.start:
        return int(tokenizer.convert_tokens_to_ids(model.start))
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    raise ModelError(
        f"language model {model.source} has neither a BOS nor an EOS token to start texts with. "
        "Set bos_token in its tokenizer_config.json"
    )
