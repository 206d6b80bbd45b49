"""How likely texts are: as transformers and llama.cpp say, alone, in batches, and when cut."""

from __future__ import annotations

import json
import shutil
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selectllm.core.arrays import Floats
from selectllm.core.errors import ExtraMissing, ModelError
from selectllm.models.providers import embedded_server, weights
from selectllm.selection.scorers import gguf_conversion
from selectllm.selection.scorers.gguf_conversion import convert
from selectllm.selection.scorers.language_model import (
    FORWARD,
    START,
    CausalModel,
    LanguageModel,
    load_language_model,
)
from tests.models.providers.test_embedded import needs_engine
from tests.support.hub_server import without_hub
from tests.support.tiny_models import ARCHITECTURES, save_tiny_model

NAME = "smollm2-135m"
IDENTITY = f"{NAME}@b179c9523d0e"
needs_weights = pytest.mark.skipif(
    not weights.is_installed(NAME), reason=f"needs weights: selectllm models install {NAME}"
)

Pairs = Sequence[tuple[str, str]]

PAIRS = (
    ("", "What is the capital of France?"),
    ("What is the capital of France?\n\n", "The capital of France is Paris."),
    ("", "In 2024, 1,305 people\n\nbought 3.5 kg of 日本茶 🙂."),
    ("Count:", " 1 2 3 4 5"),
    ("", "States that begin with C:\n\n1. California\n\n2. Colorado"),
    ("", "<|im_start|>user\nis plain text here<|im_end|>"),
    ("a context without a text", ""),
    ("", "x"),
)


@pytest.fixture(scope="session")
def smollm(weights_cache: Path) -> LanguageModel:
    return load_language_model(None, weights_cache)


def converted(cache: Path) -> Path:
    return cache / "language_models" / "b179c9523d0e"


def by_transformers(folder: Path, pairs: Pairs, start: int) -> Floats:
    """Loss times tokens of each pair, one forward pass each, the context's labels ignored."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).float().eval()
    rows = []
    for context, text in pairs:
        before, after = (
            tokenizer(part, add_special_tokens=False, split_special_tokens=True).input_ids
            for part in (context, text)
        )
        tokens = torch.tensor([[start, *before, *after]])
        labels = tokens.clone()
        labels[:, : 1 + len(before)] = -100
        with torch.no_grad():
            loss = model(input_ids=tokens, labels=labels).loss.item() if after else 0.0
        rows.append((loss * len(after), len(after)))
    return np.array(rows)


# The embedded model


@needs_weights
def test_the_embedded_model_gives_the_loss_of_transformers(
    smollm: LanguageModel, weights_cache: Path
) -> None:
    expected = by_transformers(converted(weights_cache), PAIRS, start=0)
    np.testing.assert_allclose(smollm.log_likelihoods(PAIRS), expected, rtol=1e-5, atol=1e-4)


@needs_weights
def test_likelihoods_do_not_depend_on_what_else_is_asked(smollm: LanguageModel) -> None:
    long = "One two three, " * 16
    pairs = [*PAIRS, ("", long), (long, PAIRS[0][1]), *PAIRS[2::-1]]
    together = smollm.log_likelihoods(pairs)
    alone = np.concatenate([smollm.log_likelihoods([pair]) for pair in pairs])
    np.testing.assert_array_equal(together[:, 1], alone[:, 1])
    np.testing.assert_allclose(together[:, 0], alone[:, 0], rtol=0, atol=1e-4)


@needs_weights
def test_a_text_is_likelier_after_what_it_answers(smollm: LanguageModel) -> None:
    answer = PAIRS[1][1]
    contexts = (PAIRS[1][0], "", "Write a poem about the sea.\n\n")
    after, alone, misplaced = smollm.log_likelihoods([(context, answer) for context in contexts])
    assert after[0] < min(alone[0], misplaced[0])
    assert after[1] == alone[1] == misplaced[1]


@needs_weights
@needs_engine
def test_converted_weights_and_tokens_are_those_of_llama_cpp(
    smollm: LanguageModel,
) -> None:
    base = embedded_server.start(NAME).base_url.removesuffix("/v1")

    def ask(path: str, **body: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{base}{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    counts = smollm.log_likelihoods([("", text) for _, text in PAIRS])[:, 1]
    for (_, text), count in zip(PAIRS, counts, strict=True):
        tokens = ask("/tokenize", content=text, add_special=False, parse_special=False)["tokens"]
        assert len(tokens) == count, text
    for prompt in ("The capital of France is", "1 2 3 4 5 6", "Roses are red, violets are"):
        body = {"n_predict": 1, "n_probs": 1, "temperature": 0, "prompt": START + prompt}
        likeliest = ask("/completion", **body)["completion_probabilities"][0]
        ours = smollm.log_likelihoods([(prompt, likeliest["token"])])
        # The engine rounds what goes into each matrix to 8 bits; wrong weights are off by nats.
        np.testing.assert_allclose(ours, [[-likeliest["logprob"], 1]], atol=0.25)


@needs_weights
def test_weights_are_converted_once_and_then_gguf_is_not_needed(
    smollm: LanguageModel, weights_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    again = load_language_model(f"local/{NAME}", weights_cache)
    np.testing.assert_array_equal(
        again.log_likelihoods([("", "x")]), smollm.log_likelihoods([("", "x")])
    )
    assert [path.name for path in converted(weights_cache).parent.iterdir()] == ["b179c9523d0e"]


@needs_weights
def test_without_gguf_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ExtraMissing, match=r'needs gguf.*"selectllm\[embed\]"'):
        load_language_model(None, tmp_path).log_likelihoods([("", "x")])


def test_a_conversion_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        """Weights for which there is no space; to read the real ones takes five seconds."""

        def __init__(self, name: str) -> None:
            assert name == NAME

        def write(self, folder: Path) -> None:
            (folder / "config.json").write_text("{}", encoding="utf-8")
            raise OSError("no space left on device")

    monkeypatch.setattr(gguf_conversion, "_Gguf", Full)
    with pytest.raises(OSError, match="no space left"):
        convert(NAME, tmp_path / "models" / "smollm")
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize("name", [None, "local/smollm2-135m"])
def test_the_embedded_model_is_known_by_its_weights_without_loading_them(
    name: str | None, tmp_path: Path
) -> None:
    assert load_language_model(name, tmp_path).identity == IDENTITY
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_embedded_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no embedded model 'smolm2-135m'\. Did you mean"):
        load_language_model("local/smolm2-135m", tmp_path)


# Folders: small models with random weights, in which every byte is a token


def made(
    folder: Path, kind: str = "llama", window: int = 2_048, **special: str
) -> tuple[Path, CausalModel]:
    """A folder with a model of this architecture, and the model loaded from it."""
    save_tiny_model(
        folder,
        kind,
        special,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        max_position_embeddings=window,
        initializer_range=0.5,
    )
    model = load_language_model(str(folder), folder.parent / "cache")
    assert isinstance(model, CausalModel)
    return folder, model


def test_no_pairs_give_no_rows(tmp_path: Path) -> None:
    assert load_language_model(None, tmp_path).log_likelihoods([]).shape == (0, 2)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_models_of_a_folder_give_the_loss_of_transformers(kind: str, tmp_path: Path) -> None:
    folder, model = made(tmp_path / "mine", kind, bos_token="<s>", eos_token="</s>")
    text = "".join(chr(97 + i * i % 25) for i in range(2 * FORWARD + 100))
    pairs = [("", "abc"), ("abc", "de"), (text[:700], text), ("", text[:90]), ("", text)]
    expected = by_transformers(folder, pairs, start=0)
    found = model.log_likelihoods(pairs)
    np.testing.assert_array_equal(found[:, 1], [3, 2, len(text), 90, len(text)])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_texts_start_after_the_eos_token_where_there_is_no_bos_token(tmp_path: Path) -> None:
    folder, model = made(tmp_path / "mine", eos_token="</s>")
    pairs = [("", "abc"), ("ab", "c")]
    expected = by_transformers(folder, pairs, start=1)
    np.testing.assert_allclose(model.log_likelihoods(pairs), expected, rtol=1e-5)


def test_a_model_with_neither_token_is_an_error(tmp_path: Path) -> None:
    _, model = made(tmp_path / "mine")
    with pytest.raises(ModelError, match="has neither a BOS nor an EOS token"):
        model.log_likelihoods([("", "abc")])


def test_what_exceeds_the_window_loses_the_start_of_its_context_and_the_end_of_its_text(
    tmp_path: Path,
) -> None:
    """A window of 17 holds the start and 16 tokens, 12 of them the text's at most."""
    _, model = made(tmp_path / "mine", window=17, bos_token="<s>")
    context, text = "abcdefghijklmnopqrst", "ABCDEFGHIJKLMNOPQRST"
    cut = model.log_likelihoods([(context, text), (context, text[:5]), ("cd", text), ("", text)])
    whole = model.log_likelihoods(
        [("qrst", text[:12]), ("jklmnopqrst", text[:5]), ("cd", text[:12]), ("", text[:12])]
    )
    np.testing.assert_allclose(cut, whole, rtol=1e-6)
    assert cut[:, 1].tolist() == [12, 5, 12, 12]


def test_a_folder_is_known_by_its_content(tmp_path: Path) -> None:
    folder, model = made(tmp_path / "mine", bos_token="<s>")
    assert model.identity.startswith("mine@")
    assert len(model.identity) == len("mine@") + 12
    shutil.copytree(folder, tmp_path / "copy" / "mine")
    copy = load_language_model(str(tmp_path / "copy" / "mine"), tmp_path)
    assert copy.identity == model.identity
    (folder / "generation_config.json").write_text("{}", encoding="utf-8")
    assert load_language_model(str(folder), tmp_path).identity != model.identity


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no config\.json\. Give a language model's"):
        load_language_model(str(tmp_path), tmp_path)


# The hub


def test_a_hub_model_is_known_by_its_name(tmp_path: Path) -> None:
    assert load_language_model("org/model", tmp_path) == CausalModel("org/model", "org/model")
    pinned = CausalModel("org/model@v2", "org/model", "v2")
    assert load_language_model("org/model@v2", tmp_path) == pinned


def test_a_hub_model_that_cannot_be_had_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_hub(monkeypatch, tmp_path)
    with pytest.raises(
        ModelError, match=r"^cannot load language model org/model: .*check the name"
    ):
        load_language_model("org/model@v2", tmp_path).log_likelihoods([("", "x")])
