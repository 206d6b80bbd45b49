"""A real Ray cluster of two machines that are processes of this one, a core each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from selectllm.jobs.ray.cluster import ALONE, QUIET


@contextmanager
def two_machines() -> Iterator[str]:
    """The address of its head."""
    os.environ.update(QUIET | ALONE)
    from ray.cluster_utils import Cluster

    head: dict[str, Any] = {"num_cpus": 1, "include_dashboard": False}
    cluster: Any = Cluster(initialize_head=True, head_node_args=head)
    folder = Path(cluster.head_node.get_session_dir_path())
    try:
        cluster.add_node(num_cpus=1)
        yield cluster.address
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)  # of logs and sockets, which Ray leaves


def family() -> list[psutil.Process]:
    """The process of the tests and all that it started."""
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def workers(actor: str) -> list[psutil.Process]:
    """The processes in which actors of this kind live; Ray names them in their title."""
    return [process for process in family() if f"ray::{actor}" in title(process)]


def title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
