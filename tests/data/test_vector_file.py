"""Vectors made elsewhere: which files are taken, and that each item gets its own row."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.codec import sha256_texts
from selectllm.core.errors import EncoderError
from selectllm.core.types import Item, Pool
from selectllm.data.embedder import Embedder
from selectllm.data.encoders import FunctionEncoder
from selectllm.data.vector_file import GivenVectors, open_vectors
from selectllm.selection.clustering.cluster_pool import ClusterSettings, cluster_pool
from tests.support.hash_encoder import HashEncoder
from tests.support.made_vectors import Vectors, random_vectors


def pool_of(count: int, mark: str = "do") -> Pool:
    items = tuple(Item(f"item-{n * 7919 % 1000:03}", f"{mark} {n}") for n in range(count))
    return Pool(items, sha256_texts(item.id for item in items), "pool.jsonl")


def saved(folder: Path, vectors: np.ndarray) -> Path:
    path = folder / "v.npy"
    np.save(path, vectors)
    return path


def given_to(pool: Pool, folder: Path, vectors: Vectors) -> GivenVectors:
    return GivenVectors(open_vectors(saved(folder, vectors))).of_pool(pool)


def bare(vectors: Vectors) -> Vectors:
    """A plain array, without the map that it was read through."""
    return np.array(vectors)


# --- whose row is whose


def test_all_items_in_their_order_give_the_file_itself_and_no_copy(tmp_path: Path) -> None:
    pool, vectors = pool_of(30), random_vectors(30)
    found = given_to(pool, tmp_path, vectors).of(pool.items)
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    np.testing.assert_array_equal(found, vectors)


@given(st.lists(st.integers(0, 29)))
def test_any_items_in_any_order_get_their_own_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[int]
) -> None:
    pool, vectors = pool_of(30), random_vectors(30)
    vectors_of = given_to(pool, tmp_path_factory.mktemp("vectors"), vectors).of
    found = vectors_of([pool.items[row] for row in rows])
    np.testing.assert_array_equal(bare(found), vectors[rows])
    assert found.shape == (len(rows), 8)


def test_items_read_again_are_the_same_items(tmp_path: Path) -> None:
    vectors = random_vectors(30)
    found = given_to(pool_of(30), tmp_path, vectors).of(pool_of(30).items)
    np.testing.assert_array_equal(bare(found), vectors)


@pytest.mark.parametrize("items", [pool_of(31).items[30:], pool_of(30, "don't").items])
def test_an_item_of_another_pool_is_refused_though_its_id_be_known(
    tmp_path: Path, items: list[Item]
) -> None:
    vectors = given_to(pool_of(30), tmp_path, random_vectors(30))
    with pytest.raises(EncoderError, match=r"item '.*' is none of those that .*v\.npy has"):
        vectors.of(items)


@pytest.mark.parametrize("rows", [29, 31])
def test_another_number_of_rows_than_items_is_an_error_with_both(tmp_path: Path, rows: int) -> None:
    message = (
        rf"`vectors` .*v\.npy: The file has {rows} rows for the 30 items of pool\.jsonl\. Row i"
    )
    with pytest.raises(EncoderError, match=message):
        given_to(pool_of(30), tmp_path, random_vectors(rows))


# --- which files are taken


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.eye(3),
            r"holds float64, not float32\. Convert it: v = np\.load\('.*v\.npy'\); np\.save",
        ),
        (np.eye(3, dtype=np.float16), r"holds float16, .* v\.astype\(np\.float32\)\)"),
        (np.eye(3, dtype=">f4"), "holds >f4, not float32"),
        (np.eye(3, dtype=np.int64), "holds int64"),
        (np.ones(3, dtype=np.float32), r"has shape \(3,\)\. Save an array of shape \(items in"),
        (np.ones((1, 3, 2), dtype=np.float32), r"has shape \(1, 3, 2\)"),
        (np.ones((3, 0), dtype=np.float32), r"has shape \(3, 0\)"),
        (np.ones((0, 3), dtype=np.float32), r"has shape \(0, 3\)"),
        (np.ones((3, 2), dtype=np.float32, order="F"), r"column by column.* np\.ascontiguous"),
    ],
)
def test_an_array_of_another_kind_is_refused_with_what_to_do(
    tmp_path: Path, array: np.ndarray, message: str
) -> None:
    with pytest.raises(EncoderError, match=rf"^`vectors` .*v\.npy .*{message}"):
        open_vectors(saved(tmp_path, array))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        b"[[0.6, 0.8]]",
        b"\x93NUMPY\x01\x00\x10\x00{'descr': (((((\n",
        pickle.dumps([1.0]),
    ],
)
def test_what_is_no_npy_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "v.npy"
    path.write_bytes(data)
    with pytest.raises(EncoderError, match=r"v\.npy is not a \.npy file of numbers .*np\.save$"):
        open_vectors(path)


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, random_vectors(30))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(EncoderError, match=r"is not a \.npy file of numbers"):
        open_vectors(path)


def test_several_arrays_in_one_file_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "v.npy").open("wb") as handle:
        np.savez(handle, a=random_vectors(3))
    with pytest.raises(EncoderError, match=r"is not a \.npy file of numbers"):
        open_vectors(tmp_path / "v.npy")


class Planted:
    """What unpickling would run."""

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return (Path.touch, (Path("planted"),))  # type: ignore[return-value]


def test_objects_are_refused_and_never_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EncoderError, match="Python objects"):
        open_vectors(saved(tmp_path, np.array([[Planted()]], dtype=object)))
    assert not Path("planted").exists()


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"`vectors` .*v\.npy does not exist"):
        open_vectors(tmp_path / "v.npy")


def test_rows_of_another_length_are_an_error_with_the_line_that_divides_them(
    tmp_path: Path,
) -> None:
    vectors = random_vectors(30)
    vectors[7:9] *= 3
    pool = pool_of(30)
    message = r"2 rows are not of length 1 \(row 7, from 0, has 3\)\. Divide each by its length: "
    with pytest.raises(EncoderError, match=message) as raised:
        given_to(pool, tmp_path, vectors).of(pool.items[:2])
    line = str(raised.value).partition("length: ")[2]
    exec(line, {"np": np})  # what the message says helps
    found = GivenVectors(open_vectors(tmp_path / "v.npy")).of_pool(pool).of(pool.items)
    np.testing.assert_allclose(found, random_vectors(30), rtol=1e-6)


@pytest.mark.parametrize("length", [1 - 9e-4, 1 + 9e-4])
def test_lengths_may_be_off_by_a_thousandth(tmp_path: Path, length: float) -> None:
    pool, vectors = pool_of(30), random_vectors(30) * np.float32(length)
    np.testing.assert_array_equal(given_to(pool, tmp_path, vectors).of(pool.items), vectors)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0])
def test_rows_without_a_direction_are_named(tmp_path: Path, value: float) -> None:
    pool, vectors = pool_of(30), random_vectors(30)
    vectors[[4, 17]] = value
    message = r"2 rows hold NaN, infinity or nothing but zeros \(row 4, 17, from 0\)\. Embed"
    with pytest.raises(EncoderError, match=message):
        given_to(pool, tmp_path, vectors).of(pool.items)


def test_huge_numbers_are_no_infinity(tmp_path: Path) -> None:
    pool, vectors = pool_of(30), random_vectors(30) * np.float32(1e30)
    with pytest.raises(EncoderError, match="30 rows are not of length 1"):
        given_to(pool, tmp_path, vectors).of(pool.items)


# --- what they are known by


def test_the_identity_is_the_hash_of_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, random_vectors(30))
    assert open_vectors(path).identity == f"vectors@{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_other_vectors_are_divided_anew_and_the_same_from_the_cache(tmp_path: Path) -> None:
    pool, cache = pool_of(30), tmp_path / "clusters"

    def divided(seed: int) -> object:
        given = given_to(pool, tmp_path, random_vectors(30, seed=seed))
        return cluster_pool(
            pool, ClusterSettings("diverse", 5, 0), embedder(tmp_path, given), cache
        )

    one, other = divided(0), divided(1)
    assert one != other
    assert len(list(cache.iterdir())) == 2
    assert (divided(0), divided(1)) == (one, other)
    assert len(list(cache.iterdir())) == 2


# --- other texts beside them


def embedder(
    folder: Path, given: GivenVectors | None, encoder: HashEncoder | None = None
) -> Embedder:
    return Embedder(encoder or HashEncoder(), folder / "store", given=given)


def test_texts_that_are_no_items_go_to_the_encoder(tmp_path: Path) -> None:
    pool, encoder = pool_of(30), HashEncoder()
    mixed = embedder(tmp_path, given_to(pool, tmp_path, random_vectors(30)), encoder)
    np.testing.assert_array_equal(mixed.vectors(["a"]), [encoder.vector("a")])
    mixed.of(pool.items[:3])
    assert encoder.asked == ["a"]


def test_texts_are_compared_with_vectors_of_the_same_encoder(tmp_path: Path) -> None:
    pool, encoder = pool_of(30), HashEncoder()
    vectors = np.stack([encoder.vector(item.text) for item in pool.items])
    mixed = embedder(tmp_path, given_to(pool, tmp_path, vectors))
    np.testing.assert_array_equal(mixed.beside(["a"]), [encoder.vector("a")])


@pytest.mark.parametrize(
    ("dim", "found"), [(6, r"a cosine of -?0\.\d\d to its own"), (8, "length 8, its own 6")]
)
def test_texts_are_not_compared_with_vectors_of_another_encoder(
    tmp_path: Path, dim: int, found: str
) -> None:
    pool = pool_of(30)
    mixed = embedder(tmp_path, given_to(pool, tmp_path, random_vectors(30, dim)))
    with pytest.raises(
        EncoderError, match=rf"were not made by hash@1, .*they have {found}\)\. Name"
    ):
        mixed.beside(["a"])


def test_without_given_vectors_an_embedder_is_of_any_pool(tmp_path: Path) -> None:
    encoder = FunctionEncoder("lengths@1", lambda texts: [[len(text), 1] for text in texts])
    plain = Embedder(encoder, tmp_path)
    assert plain.of_pool(pool_of(3)) is plain
    assert plain.identity == "lengths@1"
    assert plain.of(pool_of(3).items).shape == (3, 2)
