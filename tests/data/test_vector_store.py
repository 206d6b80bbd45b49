"""Vectors on disk: found by their text, appended by several at once, never half read."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import EncoderError
from selectllm.data.encoders import embed
from selectllm.data.vector_store import VectorStore, stores, text_keys
from tests.support.hash_encoder import HashEncoder, store_in, words


def filled(folder: Path, count: int = 10) -> VectorStore:
    store = store_in(folder)
    store.add(text_keys(words(count)), HashEncoder().encode(words(count)))
    return store


def test_a_new_store_is_empty_and_writes_nothing(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    assert (len(store), store.dim) == (0, None)
    assert store.find(text_keys(["a"])).tolist() == [-1]
    assert list(tmp_path.iterdir()) == []


def test_a_store_finds_the_first_row_of_each_text(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.add(text_keys(words(3)), -HashEncoder().encode(words(3)))
    keys = text_keys([*words(10)[::-1], "unknown", words(1)[0]])
    assert store.find(keys).tolist() == [*range(9, -1, -1), -1, 0]
    assert (len(store), store.dim) == (13, 6)


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such modes there")
def test_the_folder_is_private(tmp_path: Path) -> None:
    assert stat.S_IMODE(filled(tmp_path).path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("torn", [1, 31, 32, 40, 55])
def test_a_torn_last_record_is_not_read_and_is_cut_by_the_next_that_adds(
    tmp_path: Path, torn: int
) -> None:
    store = filled(tmp_path)
    whole = store.path.read_bytes()
    store.path.write_bytes(whole[: len(whole) - torn])
    assert len(store) == 9
    assert store.find(text_keys(words(10)))[-1] == -1
    encoder = HashEncoder()
    vectors = embed(words(12), encoder, store)
    assert sorted(encoder.asked) == sorted(words(12)[9:])
    np.testing.assert_array_equal(vectors, [encoder.vector(text) for text in words(12)])


@pytest.mark.parametrize("size", [0, 1, 4_095])
def test_a_header_that_was_cut_off_counts_as_an_empty_store(tmp_path: Path, size: int) -> None:
    store = filled(tmp_path)
    store.path.write_bytes(store.path.read_bytes()[:size])
    assert (len(store), store.dim) == (0, None)
    assert len(filled(tmp_path)) == 10


@pytest.mark.parametrize(
    "header", [b"not json", b"[]", b"[" * 4_096, b"9" * 4_096, b'{"dim": 6, "identity": "other"}']
)
def test_a_file_that_is_no_store_of_this_encoder_is_an_error(tmp_path: Path, header: bytes) -> None:
    store = filled(tmp_path)
    store.path.write_bytes(header.ljust(4_096) + store.path.read_bytes()[4_096:])
    with pytest.raises(EncoderError, match=r"holds no vectors of hash@1\. Delete the file"):
        store.find(text_keys(["a"]))


def test_a_folder_in_its_place_and_a_file_in_its_folders_are_errors(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.path.mkdir(parents=True)
    for use in (lambda: store.dim, lambda: filled(tmp_path)):
        with pytest.raises(EncoderError, match=r"cannot be used \(Is a directory\).*`cache`"):
            use()
    (tmp_path / "file").touch()
    with pytest.raises(EncoderError, match=r"cannot be used \("):
        filled(tmp_path / "file")


def test_rows_are_read_in_any_order_and_more_than_once(tmp_path: Path) -> None:
    vectors = np.arange(100_000, dtype=np.float32).reshape(-1, 2)
    texts = [str(number) for number in range(len(vectors))]
    store = store_in(tmp_path)
    store.add(text_keys(texts), vectors)
    rows = np.random.default_rng(0).integers(0, len(vectors), 60_000)
    found = store.find(text_keys([texts[row] for row in rows]))
    np.testing.assert_array_equal(found, rows)
    np.testing.assert_array_equal(store.read(found), vectors[rows])


READ_ALL = """
import sys
from pathlib import Path
import numpy as np
from selectllm.data.vector_store import VectorStore, text_keys

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024

store = VectorStore(Path(sys.argv[1]), "hash@1")
keys = text_keys([str(number) for number in range(40_000)])
np.searchsorted(np.sort(keys), keys)
before = peak()
vectors = store.read(store.find(keys[::-1]))
print((peak() - before) / vectors.nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other ways there")
def test_reading_a_whole_store_takes_the_memory_of_its_vectors_once(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    keys = text_keys([str(number) for number in range(40_000)])
    store.add(keys, np.full((40_000, 384), 0.5, dtype=np.float32))
    command = [sys.executable, "-c", READ_ALL, str(store.path.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.6  # both the file and the copy: 2


def test_identities_that_look_alike_as_file_names_do_not_meet(tmp_path: Path) -> None:
    names = ["org/model", "org-model", "org model", "org/modèle", "x" * 300, "x" * 301]
    assert len({store_in(tmp_path, name).path for name in names}) == len(names)
    assert all(len(store_in(tmp_path, name).path.name) < 100 for name in names)


def test_an_identity_too_long_for_the_header_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="identity has 5000 characters"):
        store_in(tmp_path, "x" * 5_000).add(text_keys(["a"]), np.ones((1, 2), dtype=np.float32))


def add_one_by_one(folder: Path, worker: int) -> None:
    for number in range(50):
        text = f"{worker} {number}"
        store_in(folder).add(text_keys([text]), HashEncoder().encode([text]))


def forking() -> BaseContext:
    """Processes that load what this module needs once for all of them."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


@pytest.mark.skipif(sys.platform == "win32", reason="files are not locked there")
@pytest.mark.parametrize(
    "workers",
    [
        pytest.param(lambda: ThreadPoolExecutor(4), id="threads"),
        pytest.param(lambda: ProcessPoolExecutor(4, forking()), id="processes"),
    ],
)
def test_several_may_add_at_once(tmp_path: Path, workers: Callable[[], Executor]) -> None:
    with workers() as pool:
        list(pool.map(partial(add_one_by_one, tmp_path), range(4)))
    store = store_in(tmp_path)
    texts = [f"{worker} {number}" for worker in range(4) for number in range(50)]
    assert len(store) == len(texts)
    rows = store.find(text_keys(texts))
    np.testing.assert_array_equal(store.read(rows), HashEncoder().encode(texts))


texts = st.lists(st.text(max_size=5), max_size=8)


@given(texts, st.sets(st.text(max_size=5), max_size=4))
def test_what_is_forgotten_is_gone_and_all_else_stays_in_its_row(
    tmp_path_factory: pytest.TempPathFactory, kept: list[str], more: set[str]
) -> None:
    store = VectorStore(tmp_path_factory.mktemp("vectors"), "encoder")
    if kept:
        store.add(text_keys(kept), np.arange(len(kept) * 2, dtype=np.float32).reshape(-1, 2) + 1)
    gone = {*kept[::2], *more}
    before = store.find(text_keys(kept))
    assert len(store.holding(text_keys(sorted(gone)))) == sum(text in gone for text in kept)
    assert store.forget(text_keys(sorted(gone))) == sum(text in gone for text in kept)
    assert len(store) == len(kept)
    for text, old, new in zip(kept, before, store.find(text_keys(kept)), strict=True):
        assert new == (-1 if text in gone else old)
        if text not in gone:
            assert store.read(np.array([new])).tolist() == [[2.0 * old + 1, 2.0 * old + 2]]
    rows = [row for row, text in enumerate(kept) if text in gone]
    assert not np.any(store.read(np.array(rows, dtype=np.intp)))
    if kept:
        store.add(text_keys(kept[:1]), np.ones((1, 2), dtype=np.float32))
        assert store.find(text_keys(kept[:1])) >= 0


def test_every_store_of_a_folder_is_found_and_another_file_is_told(tmp_path: Path) -> None:
    for name in ("b", "a"):
        VectorStore(tmp_path, name).add(text_keys(["x"]), np.ones((1, 2), dtype=np.float32))
    assert [store.identity for store in stores(tmp_path)] == ["a", "b"]
    assert stores(tmp_path / "none") == []
    (tmp_path / "c.vectors").write_bytes(b"")
    assert len(stores(tmp_path)) == 2
    (tmp_path / "c.vectors").write_bytes(b"no vectors")
    with pytest.raises(EncoderError, match=r"c\.vectors is no file of vectors"):
        stores(tmp_path)
