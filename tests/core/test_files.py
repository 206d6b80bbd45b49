"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from selectllm.core.files import atomic_write, write_text


def test_text_is_written_byte_for_byte(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "file.txt", "a\r\nb\n\u2028é")
    assert (tmp_path / "new" / "file.txt").read_bytes() == "a\r\nb\n\u2028é".encode()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def write_half() -> None:
        with atomic_write(path) as handle:
            handle.write("half of the new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]
