"""Whoever else uses litellm in this process finds it as they left it, and is not told of us."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.forked import ASKING, fork
from tests.support.provider_server import FAULTS, Answer, ProviderServer, completion

# A program of somebody's that uses litellm, and selectllm in the middle of it.
PROGRAM = """
import asyncio, logging, os, sys
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "true"
import litellm
from litellm.integrations.custom_logger import CustomLogger
from selectllm.models.providers.litellm import LiteLLMModel
from selectllm.models.providers.model_table import price_per_token
from tests.support.provider_calls import ModelSpec, request

URL = sys.argv[1]
THEIRS = {"api_base": URL, "api_key": "sk-of-theirs", "model": "openai/theirs"}
seen = []


class Told(CustomLogger):
    def log_pre_api_call(self, model, messages, kwargs):
        seen.append(("pre", model))

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        seen.append(("success", kwargs["model"]))

    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        seen.append(("failure", kwargs["model"]))

    async def async_pre_call_deployment_hook(self, kwargs, call_type):
        seen.append(("hook", kwargs["model"]))


def rule(text):
    seen.append(("rule", text))
    return True


cache = litellm.Cache()
told = [Told()]
settings = {
    "callbacks": told, "success_callback": [lambda *a, **k: None], "cache": cache,
    "drop_params": True, "modify_params": True, "num_retries": 2, "telemetry": True,
    "post_call_rules": [rule], "set_verbose": False, "suppress_debug_info": False,
}
for name, value in settings.items():
    setattr(litellm, name, value)
clients = litellm.in_memory_llm_clients_cache
level = logging.getLogger("LiteLLM").level


async def theirs(**changes):
    messages = [{"role": "user", "content": "theirs"}]
    return await litellm.acompletion(messages=messages, **{**THEIRS, **changes})


async def ours(**settings):
    spec = ModelSpec(**{"name": "ours", "id": "openai/ours", "api_base": URL, **settings})
    model = LiteLLMModel(spec, environment={})
    try:
        return (await model.complete(request(spec))).text
    finally:
        await model.close()


async def told_of(count):
    # They are told in the order of their calls.
    while sum(kind == "success" for kind, _ in seen) < count:
        await asyncio.sleep(0.01)


async def main():
    await theirs()
    await told_of(1)
    assert {kind for kind, _ in seen} == {"pre", "success", "hook", "rule"}, seen
    seen.clear()

    try:
        await ours()
    except Exception as error:
        assert type(error).__name__ == "ProviderError", error
        assert error.status == 400, error
    else:
        raise AssertionError("the server refuses our first call")
    assert await ours() == "[1, 2]"
    await theirs(caching=False)
    await told_of(1)
    assert not [name for _, name in seen if "ours" in name], seen
    assert sum(kind == "rule" for kind, _ in seen) == 1, seen

    for name, value in settings.items():
        assert getattr(litellm, name) == value, name
    assert litellm.callbacks is told and litellm.cache is cache
    assert litellm.in_memory_llm_clients_cache is clients and clients.cache_dict
    assert logging.getLogger("LiteLLM").level == level
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "true"
    assert "LITELLM_MODE" not in os.environ

    seen.clear()  # at once, too
    calls = [call for _ in range(5) for call in (theirs(caching=False), ours())]
    await asyncio.gather(*calls)
    await told_of(5)
    assert not [name for _, name in seen if "ours" in name], seen
    assert seen.count(("success", "theirs")) == 5, seen

    litellm.drop_params = False  # and they may change their mind
    litellm.callbacks = []
    await ours()
    assert litellm.drop_params is False and litellm.callbacks == []
    print("as it was")


asyncio.run(main())
"""


def test_callbacks_caches_and_settings_of_others_survive_an_import_and_a_call_of_ours(
    server: ProviderServer, tmp_path: Path
) -> None:
    root = Path(__file__).parents[3]
    server.queue(Answer(200, completion("of theirs")), FAULTS["400"])  # the second call is ours
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, server.base_url],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "as it was"


SET_AFTERWARDS = """
import asyncio, sys
from selectllm.models.providers.litellm import LiteLLMModel
from tests.support.provider_calls import ModelSpec, request

async def ours():
    spec = ModelSpec(name="ours", id="openai/ours", api_base=sys.argv[1])
    model = LiteLLMModel(spec, environment={})
    reply = await model.complete(request(spec))
    await model.close()
    return reply.text

assert asyncio.run(ours()) == "[1, 2]"
import litellm
assert litellm.callbacks == [] and litellm.cache is None and litellm.drop_params is False
seen = []
litellm.callbacks.append(lambda *args: seen.append(args))
litellm.success_callback = [lambda *args: seen.append(args)]
litellm.api_base = "http://127.0.0.1:9/nowhere"
litellm.num_retries = 7
assert asyncio.run(ours()) == "[1, 2]"
assert seen == [] and len(litellm.callbacks) == 1 and litellm.num_retries == 7
import logging
logging.getLogger("LiteLLM").warning("of theirs")
print("as it was")
"""


def test_what_others_set_after_our_first_call_is_theirs_alone(
    server: ProviderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = fork("-c", SET_AFTERWARDS, server.base_url, loads=ASKING)
    assert done.wait() == 0, done.err
    assert done.out.splitlines() == ["as it was"]
    assert "of theirs" in done.err
    assert server.count == 2


FAILURES = """
import asyncio, sys, traceback
from selectllm.core.errors import ProviderError
from selectllm.models.providers.litellm import LiteLLMModel
from tests.support.provider_calls import ModelSpec, request

URL = sys.argv[1]
written = []
write = traceback.format_exc

def kept(*args, **options):
    written.append(write(*args, **options))
    return written[-1]

traceback.format_exc = kept

async def ours():
    spec = ModelSpec(name="ours", id="openai/ours", api_base=URL)
    model = LiteLLMModel(spec, environment={})
    try:
        await model.complete(request(spec))
    except ProviderError as error:
        print(error)
    await model.close()

asyncio.run(ours())
assert not written, written
import litellm
messages = [{"role": "user", "content": "theirs"}]
try:
    where = {"api_base": URL, "api_key": "sk", "max_retries": 0}
    litellm.completion(model="openai/theirs", messages=messages, **where)
except litellm.InternalServerError:
    pass
asyncio.run(ours())
assert written and all("InternalServerError" in text for text in written), written
"""


def test_litellm_writes_no_traceback_of_a_call_of_ours_that_failed_and_one_of_theirs(
    server: ProviderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server.queue(*[FAULTS["500"]] * 3)
    done = fork("-c", FAILURES, server.base_url, loads=ASKING)
    assert done.wait() == 0, done.err
    assert done.out.count("500") == 2, done.out
