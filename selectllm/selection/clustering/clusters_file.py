"""clusters.json: which items are in which cluster, written once and then only read.

A partition may come out differently on another machine, so wherever two things are compared
both read the membership from this file. It carries a hash of its own content.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selectllm.core.codec import canonical_json, load_json, sha256_json
from selectllm.core.errors import RunError
from selectllm.core.files import atomic_write
from selectllm.core.names import listed
from selectllm.core.types import Cluster, Pool
from selectllm.data.stored_items import not_in
from selectllm.selection.schema import ClusterEntry

FORMAT = 1


def write_clusters(
    path: Path,
    clusters: Sequence[Cluster],
    *,
    by: str,
    size: int,
    seed: int,
    pool_sha256: str,
    encoder: str | None = None,
) -> None:
    """Write the clusters and what they were made from: JSON with one cluster a line.

    `encoder`: the identity of the encoder behind the vectors, None where none was used.
    """
    entries = [
        ClusterEntry(id=cluster.id, members=cluster.members, group=cluster.group).to_json()
        for cluster in clusters
    ]
    content = {
        "by": by,
        "clusters": entries,
        "encoder": encoder,
        "format": FORMAT,
        "pool_sha256": pool_sha256,
        "seed": seed,
        "size": size,
    }
    with atomic_write(path) as handle:
        handle.write("{\n")
        for name, value in content.items():
            text = canonical_json(value)
            if name == "clusters":
                lines = ",\n    ".join(canonical_json(entry) for entry in entries)
                text = f"[\n    {lines}\n  ]"
            handle.write(f'  "{name}": {text},\n')
        handle.write(f'  "sha256": "{sha256_json(content)}"\n}}\n')


def read_clusters(path: Path, pool: Pool | None = None) -> tuple[Cluster, ...]:
    """The clusters of `path`; given a `pool`, they must have been made from it.

    They need not cover the pool. Raises RunError if the file is missing or damaged, was made
    from another pool, or has an item twice.
    """
    content = _content(path)
    clusters = tuple(_cluster(path, entry) for entry in content["clusters"])
    _check_once(path, clusters)
    if pool is not None:
        _check_pool(path, content["pool_sha256"], clusters, pool)
    return clusters


def _content(path: Path) -> Mapping[str, Any]:
    """The file's JSON object, once its own hash fits."""
    try:
        content: Any = load_json(path.read_bytes())
        claimed = content.pop("sha256", None) if isinstance(content, dict) else None
        intact = claimed == sha256_json(content)
    except FileNotFoundError as error:
        raise RunError(f"{path} does not exist. Name a clusters.json that was written") from error
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}). Name a clusters.json") from error
    except ValueError as error:
        raise RunError(f"{path} is not JSON ({error}). Restore it from where it came") from error
    if not intact:
        raise RunError(
            f"{path}: its sha256 does not fit its content, so it was edited or cut. Restore it "
            "from where it came"
        )
    match content:
        case {"clusters": [*_], "format": 1, "pool_sha256": str()}:
            return dict(content)
    raise RunError(f"{path} is not clusters.json of format {FORMAT}. Write it again")


def _cluster(path: Path, entry: Any) -> Cluster:
    match entry:
        case {"id": int(number), "members": [_, *_] as members}:
            if all(isinstance(member, str) for member in members):
                return Cluster(number, tuple(members), entry.get("group"))
    raise RunError(f"{path}: {canonical_json(entry)[:80]} is not a cluster. Write the file again")


def _check_once(path: Path, clusters: Sequence[Cluster]) -> None:
    numbers: list[object] = [cluster.id for cluster in clusters]
    members: list[object] = [member for cluster in clusters for member in cluster.members]
    for what, names in (("cluster", numbers), ("item", members)):
        name, count = next(iter(Counter(names).most_common(1)), (None, 0))
        if count > 1:
            raise RunError(f"{path}: {what} {name!r} is in it {count} times. Write it again")


def _check_pool(path: Path, pool_sha256: str, clusters: Sequence[Cluster], pool: Pool) -> None:
    missing = not_in(pool, [member for cluster in clusters for member in cluster.members])
    where = pool.source or "this pool"
    if missing:
        raise RunError(
            f"{path}: {len(missing)} items are not in {where}: {listed(missing)}. Use the pool "
            "that it was made from"
        )
    if pool_sha256 != pool.sha256:
        raise RunError(
            f"{path} was made from another pool than {where}: the ids fit, but texts or their "
            "order differ. Use the pool that it was made from"
        )
