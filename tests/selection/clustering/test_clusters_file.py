"""What clusters.json keeps, and which files it refuses to be read from."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.codec import sha256_json
from selectllm.core.errors import RunError
from selectllm.core.types import Cluster, Item, Pool
from selectllm.selection.clustering.clusters_file import read_clusters, write_clusters

CLUSTERS = (Cluster(0, ("a", "c")), Cluster(1, ("b", "d")))


def pool_of(*ids: str, sha256: str = "pool-hash") -> Pool:
    items = [Item(id=name, instruction=f"do {name}") for name in ids]
    return Pool(items=items, sha256=sha256, source="pool.jsonl")


POOL = pool_of("a", "b", "c", "d", "e")


def written(folder: Path, clusters: tuple[Cluster, ...] = CLUSTERS) -> Path:
    path = folder / "clusters.json"
    write_clusters(
        path,
        clusters,
        by="diverse",
        size=2,
        seed=3,
        pool_sha256="pool-hash",
        encoder="mini@1",
    )
    return path


def edited(path: Path, **changes: Any) -> Path:
    """The file with fields changed and its own hash made to fit again."""
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    del content["sha256"]
    text = json.dumps(content | {"sha256": sha256_json(content)})
    path.write_text(text, encoding="utf-8")
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert read_clusters(written(tmp_path), POOL) == CLUSTERS


@given(st.sets(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=20))
def test_any_id_survives(ids: set[str]) -> None:
    clusters = tuple(Cluster(n, (name,)) for n, name in enumerate(sorted(ids)))
    with TemporaryDirectory() as folder:
        path = written(Path(folder), clusters)
        assert read_clusters(path, pool_of(*ids)) == clusters


def test_the_file_is_json_with_one_cluster_a_line(tmp_path: Path) -> None:
    text = written(tmp_path).read_text(encoding="utf-8")
    assert text == (
        "{\n"
        '  "by": "diverse",\n'
        '  "clusters": [\n'
        '    {"id":0,"members":["a","c"]},\n'
        '    {"id":1,"members":["b","d"]}\n'
        "  ],\n"
        '  "encoder": "mini@1",\n'
        '  "format": 1,\n'
        '  "pool_sha256": "pool-hash",\n'
        '  "seed": 3,\n'
        '  "size": 2,\n'
        f'  "sha256": "{json.loads(text)["sha256"]}"\n'
        "}\n"
    )


def test_the_hash_is_that_of_the_rest_as_canonical_json(tmp_path: Path) -> None:
    content = json.loads(written(tmp_path).read_text(encoding="utf-8"))
    claimed = content.pop("sha256")
    assert claimed == sha256_json(content)


def test_spaces_and_line_ends_do_not_count(tmp_path: Path) -> None:
    path = written(tmp_path)
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content, indent=8).replace("\n", "\r\n"), encoding="utf-8")
    assert read_clusters(path, POOL) == CLUSTERS


def test_clusters_without_vectors_name_no_encoder(tmp_path: Path) -> None:
    path = tmp_path / "clusters.json"
    write_clusters(path, CLUSTERS, by="random", size=2, seed=0, pool_sha256="pool-hash")
    assert json.loads(path.read_text(encoding="utf-8"))["encoder"] is None


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"clusters\.json does not exist"):
        read_clusters(tmp_path / "clusters.json", POOL)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff{}", b'{"a": NaN}'])
def test_what_is_not_json_is_an_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "clusters.json"
    path.write_bytes(data)
    with pytest.raises(RunError, match="is not JSON"):
        read_clusters(path, POOL)


@pytest.mark.parametrize("data", ["[]", "null", "{}", '{"clusters": []}'])
def test_json_without_its_hash_is_an_error(tmp_path: Path, data: str) -> None:
    path = tmp_path / "clusters.json"
    path.write_text(data, encoding="utf-8")
    with pytest.raises(RunError, match="sha256 does not fit its content"):
        read_clusters(path, POOL)


@pytest.mark.parametrize(
    ("old", "new"), [('"a"', '"e"'), ('"seed": 3', '"seed": 4'), ('"mini@1"', "null")]
)
def test_an_edit_by_hand_is_an_error(tmp_path: Path, old: str, new: str) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(RunError, match="edited or cut"):
        read_clusters(path, POOL)


@pytest.mark.parametrize(
    "changes", [{"format": 2}, {"clusters": None}, {"clusters": {}}, {"pool_sha256": None}]
)
def test_another_format_is_an_error(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = edited(written(tmp_path), **changes)
    with pytest.raises(RunError, match=r"not clusters\.json of format 1"):
        read_clusters(path, POOL)


@pytest.mark.parametrize(
    "entry", [None, [], {"id": 0}, {"id": "0", "members": ["a"]}, {"id": 0, "members": [1]}]
)
def test_an_entry_that_is_no_cluster_is_an_error(tmp_path: Path, entry: Any) -> None:
    path = edited(written(tmp_path), clusters=[entry])
    with pytest.raises(RunError, match="is not a cluster"):
        read_clusters(path, POOL)


def test_an_item_in_two_clusters_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, (Cluster(0, ("a", "b")), Cluster(1, ("b", "c"))))
    with pytest.raises(RunError, match="item 'b' is in it 2 times"):
        read_clusters(path, POOL)


def test_a_cluster_number_used_twice_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, (Cluster(4, ("a",)), Cluster(4, ("b",))))
    with pytest.raises(RunError, match="cluster 4 is in it 2 times"):
        read_clusters(path, POOL)


def test_items_that_the_pool_lacks_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"2 items are not in pool\.jsonl: 'c', 'd'\. Use the pool"):
        read_clusters(written(tmp_path), pool_of("a", "b"))


def test_no_more_than_five_missing_items_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, (Cluster(0, tuple("abcdefg")),))
    with pytest.raises(
        RunError, match=r"6 items .*'b', 'c', 'd', 'e', 'f' and 1 more\. Use the pool"
    ):
        read_clusters(path, pool_of("a"))


def test_the_same_ids_with_other_texts_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"from another pool than pool\.jsonl: the ids fit"):
        read_clusters(written(tmp_path), pool_of("a", "b", "c", "d", "e", sha256="other"))
