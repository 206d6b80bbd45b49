"""Which engine a command has, and what is refused before anything is begun."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from selectllm.core.errors import ExtraMissing, UsageError
from selectllm.jobs.engine import LocalEngine
from selectllm.jobs.options import EngineSettings
from selectllm.jobs.ray import RayEngine
from tests.conftest import Command, pool_rows, write_jsonl

BY_LENGTH = ("select", "pool.jsonl", "--budget", "5", "--strategy", "longest")


@pytest.fixture
def pool(tmp_path: Path, selectllm: Command) -> Path:
    return write_jsonl(tmp_path / "pool.jsonl", pool_rows())


def test_the_local_engine_is_the_default_and_loads_nothing_of_ray(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "pool.jsonl", pool_rows())
    code = (
        "import sys; from selectllm.cli import main\n"
        f"assert main({[*BY_LENGTH, '--quiet']!r}) == 0\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'ray'])\n"
        "print([name for name in sys.modules if name.startswith('selectllm.jobs.ray')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-2:] == ["[]", "[]"]


def test_what_needs_no_cluster_starts_none(selectllm: Command, pool: Path) -> None:
    here = selectllm(*BY_LENGTH, "-o", "here.jsonl")
    far = selectllm(*BY_LENGTH, "--engine", "ray", "-o", "far.jsonl")
    assert (here.code, far.code) == (0, 0)
    assert Path("here.jsonl").read_bytes() == Path("far.jsonl").read_bytes()
    assert "ray" not in sys.modules or not sys.modules["ray"].is_initialized()


def test_settings_give_the_engine_that_they_name() -> None:
    assert type(EngineSettings().opened()) is LocalEngine
    far = EngineSettings("ray", "10.0.0.1:6379").opened()
    assert isinstance(far, RayEngine)
    assert far.address == "10.0.0.1:6379"


def test_ray_is_named_with_its_pip_line_where_it_is_missing(
    selectllm: Command, pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = selectllm(*BY_LENGTH, "--engine", "ray")
    assert done.code == 2
    assert 'pip install "selectllm[ray]"' in done.err
    with pytest.raises(ExtraMissing):
        RayEngine()


@pytest.mark.parametrize("address", ["head", "head:port", "ray://head:10001", "", "a b:1", "h:1:2"])
def test_an_address_is_host_and_port(address: str) -> None:
    with pytest.raises(UsageError, match=r"`ray_address`.* is not HOST:PORT") as told:
        RayEngine(address)
    assert told.value.argument == "ray_address"


def test_an_address_goes_with_the_engine_of_many_machines(selectllm: Command, pool: Path) -> None:
    done = selectllm(*BY_LENGTH, "--ray-address", "10.0.0.1:6379")
    assert done.code == 2
    assert (
        "--ray-address 10.0.0.1:6379 is the address of a Ray cluster. Add --engine ray" in done.err
    )


def test_an_address_at_which_nothing_listens_is_told_at_once() -> None:
    with socket.socket() as held:  # bound, and not listening
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(UsageError, match=r"no Ray cluster answers there .*ray start --head"):
            list(RayEngine(address).map(abs, [1]))
