"""The embedded engine with its real weights: what it does with requests, when it starts, ends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import selectllm
from selectllm.models.providers import embedded_server, weights

NAME = "smollm2-135m"
MODEL = weights.LOCAL_MODELS[NAME]
ROOT = Path(selectllm.__file__).parents[1]
READY = weights.engine_version() != weights.NO_ENGINE and weights.is_installed(NAME)

needs_engine = pytest.mark.skipif(
    not READY, reason=f"needs xllamacpp and the weights: selectllm models install {NAME}"
)


@pytest.fixture(scope="module")
def engine() -> Iterator[embedded_server.EmbeddedServer]:
    """The embedded server, one for all tests here."""
    server = embedded_server.start(NAME)
    yield server
    server.close()


def chat(base_url: str, content: str, **settings: Any) -> dict[str, Any]:
    body = {"messages": [{"role": "user", "content": content}], "temperature": 0, "max_tokens": 24}
    request = urllib.request.Request(
        f"{base_url}/chat/completions",
        json.dumps(body | settings).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def text_of(answer: dict[str, Any]) -> str:
    return str(answer["choices"][0]["message"]["content"])


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def python(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a new interpreter that finds this package."""
    return subprocess.run(
        [sys.executable, *options, "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


@needs_engine
class TestEngine:
    """What the server does with requests."""

    def test_a_grammar_constrains_the_reply(self, engine: embedded_server.EmbeddedServer) -> None:
        grammar = 'root ::= "[" n "] [" n "]"\nn ::= [3-5]'
        answer = chat(engine.base_url, "Say hello.", grammar=grammar)
        assert re.fullmatch(r"\[[345]\] \[[345]\]", text_of(answer))
        assert answer["choices"][0]["finish_reason"] == "stop"

    def test_usage_counts_the_tokens_of_prompt_and_reply(
        self, engine: embedded_server.EmbeddedServer
    ) -> None:
        short = chat(engine.base_url, "river", max_tokens=3)["usage"]
        longer = chat(engine.base_url, "river " * 50, max_tokens=3)["usage"]
        assert short["completion_tokens"] == 3
        assert 45 <= longer["prompt_tokens"] - short["prompt_tokens"] <= 55

    def test_at_temperature_0_a_reply_depends_on_its_request_alone(
        self, engine: embedded_server.EmbeddedServer
    ) -> None:
        first = chat(engine.base_url, "Describe a river.")
        chat(engine.base_url, "Describe a river and a mountain.")
        again = chat(engine.base_url, "Describe a river.")
        assert text_of(again) == text_of(first)
        assert again["usage"]["prompt_tokens_details"]["cached_tokens"] == 0

    def test_the_seed_decides_what_is_sampled(self, engine: embedded_server.EmbeddedServer) -> None:
        one, same, other = (
            text_of(chat(engine.base_url, "Name an animal.", temperature=1.5, seed=seed))
            for seed in (1, 1, 2)
        )
        assert one == same
        assert one != other

    def test_replies_name_the_model_and_no_path(
        self, engine: embedded_server.EmbeddedServer
    ) -> None:
        assert chat(engine.base_url, "Hi", max_tokens=1)["model"] == NAME

    def test_each_request_has_the_models_whole_context(
        self, engine: embedded_server.EmbeddedServer
    ) -> None:
        with urllib.request.urlopen(f"{engine.base_url.removesuffix('/v1')}/props") as response:
            assert json.load(response)["default_generation_settings"]["n_ctx"] == MODEL.context

    def test_a_prompt_beyond_the_context_is_refused_not_cut(
        self, engine: embedded_server.EmbeddedServer
    ) -> None:
        with pytest.raises(urllib.error.HTTPError) as caught:
            chat(engine.base_url, "river " * (MODEL.context + 1))
        with caught.value as refusal:
            assert refusal.code == 400
            assert json.load(refusal)["error"]["type"] == "exceed_context_size_error"

    def test_an_event_loop_goes_on_while_the_engine_works(
        self, engine: embedded_server.EmbeddedServer
    ) -> None:
        async def turns_while_asking() -> int:
            turns = 0
            asking = asyncio.create_task(
                asyncio.to_thread(chat, engine.base_url, "river " * 100, max_tokens=1)
            )
            while not asking.done():
                await asyncio.sleep(0.001)
                turns += 1
            return turns

        assert asyncio.run(turns_while_asking()) > 10

    def test_a_second_start_gives_the_server_that_runs(
        self, engine: embedded_server.EmbeddedServer
    ) -> None:
        assert embedded_server.start(NAME, slots=2) is engine


@needs_engine
class TestLife:
    """When the server starts and stops, each time in a process of its own."""

    STARTED = (
        "import socket, sys, threading, time, urllib.request\n"
        "from selectllm.models.providers import embedded_server\n"
        f"server = embedded_server.start({NAME!r})\n"
        "port = int(server.base_url.split(':')[2].removesuffix('/v1'))\n"
    )

    def test_start_request_and_exit_print_nothing(self) -> None:
        asking = "print(urllib.request.urlopen(server.base_url + '/models').status)"
        done = python(self.STARTED + asking)
        assert (done.returncode, done.stdout, done.stderr) == (0, "200\n", "")

    def test_the_exit_code_stays_the_programs_own(self) -> None:
        assert python(self.STARTED + "sys.exit(7)").returncode == 7

    def test_closing_stops_the_server_and_a_new_start_gives_a_new_one(self) -> None:
        program = (
            "server.close(); server.close()\n"
            "print(socket.socket().connect_ex(('127.0.0.1', port)) != 0)\n"
            f"print(embedded_server.start({NAME!r}) is not server)\n"
        )
        assert python(self.STARTED + program).stdout == "True\nTrue\n"

    def test_closing_answers_what_is_in_flight_first(self) -> None:
        program = (
            "from tests.models.providers.test_embedded import chat\n"
            "ask = lambda: print(len(chat(server.base_url, 'river ' * 100)['choices']))\n"
            "asking = threading.Thread(target=ask)\n"
            "asking.start()\n"
            "metrics = server.base_url.replace('v1', 'metrics')\n"
            "busy = lambda: b'requests_processing 1' in urllib.request.urlopen(metrics).read()\n"
            "while not busy(): time.sleep(0.001)\n"
            "server.close()\n"
            "asking.join()\n"
        )
        done = python(self.STARTED + program)
        assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr

    @pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a POSIX signal")
    def test_a_killed_process_leaves_no_server_behind(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", self.STARTED + "print(port, flush=True)\ntime.sleep(600)"],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        assert process.stdout is not None
        with process:
            port = int(process.stdout.readline())
            assert is_open(port)
            process.send_signal(signal.SIGKILL)
        assert not is_open(port)

    def test_a_port_that_is_taken_is_named(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            program = (
                "from selectllm.models.providers import embedded_server\n"
                f"embedded_server.start({NAME!r}, port={port})"
            )
            done = python(program)
        assert "ModelError" in done.stderr
        assert f"127.0.0.1:{port}, which may be taken. Pass another port" in done.stderr
