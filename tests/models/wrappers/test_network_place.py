"""A cache on the disk of another machine is refused by the type of its file system."""

from __future__ import annotations

from pathlib import Path

import pytest

from selectllm.core.errors import CacheError
from selectllm.models.wrappers import network_place
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.network_place import check_local, file_system, is_network
from selectllm.models.wrappers.shared_state import SharedState

TABLE = """\
/dev/vda / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
server:/export /data nfs4 rw,vers=4.2 0 0
/dev/vdb /data/scratch xfs rw 0 0
//server/share /data/with\\040space cifs rw 0 0
u@host:/ /home/u/far fuse.sshfs rw,user_id=1000 0 0
overlay /over overlay rw 0 0
server:/b /over nfs rw 0 0
a line that is none
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/u/cache", "ext4"),
        ("/data/cache", "nfs4"),
        ("/data", "nfs4"),
        ("/database", "ext4"),
        ("/data/scratch/cache", "xfs"),
        ("/data/with space/cache", "cifs"),
        ("/home/u/far/away/cache", "fuse.sshfs"),
        ("/over/cache", "nfs"),  # what was mounted last is what is there
    ],
)
def test_the_nearest_mount_above_a_folder_says_its_type(folder: str, kind: str) -> None:
    assert file_system(Path(folder), TABLE) == kind


def test_a_table_that_says_nothing_is_no_reason_to_refuse() -> None:
    assert file_system(Path("/x"), "") is None


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "FUSE.sshfs"])
def test_these_are_of_other_machines(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuse.ntfs-3g"])
def test_these_are_of_this_machine(kind: str) -> None:
    assert not is_network(kind)


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the table of mounts calls NFS."""
    folder = tmp_path / "far"
    table = tmp_path / "mounts"
    table.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {folder.resolve()} nfs4 rw 0 0\n")
    monkeypatch.setattr(network_place, "MOUNTS", table)
    return folder


def test_a_cache_there_is_refused_with_a_way_out_and_nothing_is_made(mounted: Path) -> None:
    for refused in (
        lambda: ReplyCache(mounted / "replies"),
        lambda: SharedState(mounted).transaction().__enter__(),
    ):
        with pytest.raises(CacheError, match=r"network file system \(nfs4\)") as error:
            refused()
        assert error.value.argument == "cache"
        assert "SELECTLLM_CACHE_DIR" in str(error.value)
        assert "SELECTLLM_NETWORK_CACHE=allow" in str(error.value)
    assert not mounted.exists()


def test_a_link_to_such_a_folder_is_such_a_folder(mounted: Path, tmp_path: Path) -> None:
    (tmp_path / "near").symlink_to(mounted)
    with pytest.raises(CacheError, match="nfs4"):
        check_local(tmp_path / "near" / "cache")


def test_who_knows_better_may_allow_it(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(network_place.ALLOW, "allow")
    ReplyCache(mounted / "replies").close()
    monkeypatch.setenv(network_place.ALLOW, "no")
    with pytest.raises(CacheError):
        ReplyCache(mounted / "replies")


def test_without_a_table_every_folder_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_place, "MOUNTS", tmp_path / "none")
    ReplyCache(tmp_path / "replies").close()
