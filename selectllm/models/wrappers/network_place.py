"""Whether a folder lies on a network file system, where SQLite and locks do not hold.

Processes on two machines that write one SQLite file over NFS, SMB or sshfs damage it, and the byte
locks by which one reply is paid for once are kept by neither. By the kernel's table of mounts,
which only Linux has.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from selectllm.core.errors import CacheError

MOUNTS = Path("/proc/self/mounts")
ALLOW = "SELECTLLM_NETWORK_CACHE"
"""The environment variable that, set to `allow`, lets a cache be on a network file system."""
NETWORK = frozenset(
    "nfs nfs4 cifs smb smb2 smb3 smbfs ncpfs 9p afs ceph lustre beegfs gpfs glusterfs pvfs2 "
    "orangefs davfs coda sshfs s3fs gcsfuse rclone".split()
)
"""Types of file systems of other machines; with fuse, the part behind `fuse.` counts."""
_OCTAL = re.compile(r"\\([0-7]{3})")


def file_system(folder: Path, mounts: str) -> str | None:
    """The type of the file system that `folder` lies on; None if the table does not say.

    `mounts`: the text of /proc/self/mounts. The longest mount point above the folder counts, and
    of several at one place the last.
    """
    place = Path(os.path.realpath(folder))
    best, kind = -1, None
    for line in mounts.splitlines():
        match line.split(" "):
            case [_, where, named, *_]:
                point = Path(_OCTAL.sub(lambda code: chr(int(code[1], 8)), where))
                if len(point.parts) >= best and place.is_relative_to(point):
                    best, kind = len(point.parts), named
    return kind


def is_network(kind: str) -> bool:
    """Whether a type of file system is one of other machines: `nfs4`, `fuse.sshfs`."""
    return kind.lower().removeprefix("fuse.") in NETWORK


def check_local(
    folder: Path, environment: Mapping[str, str] | None = None, mounts: Path | None = None
) -> None:
    """Raise CacheError for a cache on a network file system, unless ALLOW lets it be there."""
    env = os.environ if environment is None else environment
    if env.get(ALLOW, "").strip().lower() == "allow":
        return
    try:
        table = (mounts or MOUNTS).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # not Linux
        return
    kind = file_system(folder, table)
    if kind is not None and is_network(kind):
        raise CacheError(
            f"{folder}: the cache lies on a network file system ({kind}), where its database gets "
            "damaged and one reply may be paid for twice. Choose a folder on a disk of this "
            "machine with `cache` or SELECTLLM_CACHE_DIR; replies come there with selectllm cache "
            "export and selectllm cache import. If only this machine uses the folder, set "
            f"{ALLOW}=allow",
            argument="cache",
        )
