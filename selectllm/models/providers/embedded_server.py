"""The embedded engine: llama.cpp inside this process.

`local/NAME` needs no key and no network. The engine (xllamacpp) serves the OpenAI protocol on
127.0.0.1, so that a local model is reached like any provider; it ends with the process, however
the process ends. Nothing here loads the engine before `start`; the weights are in weights.py.
"""

from __future__ import annotations

import atexit
import os
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from selectllm.core.errors import ModelError, ProviderError
from selectllm.core.extras import need
from selectllm.models.providers.weights import (
    ENGINE,
    LocalModel,
    engine_version,
    find_weights,
    local_model,
)

# The engine looks for clients that hung up when it has had a second without news, and asking it
# whether it is busy is news: asked more often, it never looks.
POLL_SECONDS = 1.2


class EmbeddedServer:
    """An engine at work in this process. `base_url` is where it speaks the OpenAI protocol."""

    def __init__(self, name: str, engine: Any) -> None:
        self.name = name
        self.base_url = f"{engine.listening_address}/v1"
        self._engine = engine

    def close(self) -> None:
        """Stop the engine and free its memory; closing twice is harmless.

        Requests in flight are answered first, or dropped when their clients hang up.
        """
        with _LOCK:
            engine, self._engine = self._engine, None
            if _RUNNING.get(self.name) is self:
                del _RUNNING[self.name]
        # The engine stops when its last reference goes, which is when this function returns. That
        # waits, with the interpreter locked, until no client waits any more: for ever if the
        # client is a thread of this process. Hence the waiting here, where others can run.
        while engine is not None and _busy(engine):
            time.sleep(POLL_SECONDS)


_LOCK = threading.Lock()
_RUNNING: dict[str, EmbeddedServer] = {}


def start(name: str, *, slots: int = 1, port: int = 0) -> EmbeddedServer:
    """The server of `name`, started if this process has none; it ends with the process.

    `slots`: requests worked on at once, each with the model's whole context. One is best on a
    CPU: two are no faster (212 against 210 prompt tokens a second on one thread), take 90 MB more
    and make replies depend on what else is asked at the time. `port`: 0 takes a free one. A
    second call returns the running server, whatever its slots and port.

    Takes about half a second, most of it with the interpreter locked; later requests leave other
    threads and event loops free. Raises ModelError for an unknown name, missing or wrong weights,
    a missing engine or a port that is taken, and ProviderError if the engine cannot load.
    """
    with _LOCK:
        server = _RUNNING.get(name)
        if server is None:
            server = _RUNNING[name] = _launch(local_model(name), slots, port)
            # Not left to the end of the interpreter: an engine that outlives it may crash it.
            atexit.register(server.close)
        return server


def _launch(model: LocalModel, slots: int, port: int) -> EmbeddedServer:
    xllamacpp = need("local", ENGINE, f"local/{model.name}")
    weights = find_weights(model.name)
    parameters = _parameters(xllamacpp.CommonParams(), model, slots)
    parameters.model.path = str(weights)
    parameters.port = port
    try:
        with ThreadPoolExecutor(max_workers=1) as thread:  # Ctrl-C cannot cut `_answering` short
            engine = thread.submit(_answering, xllamacpp.Server, parameters).result()
    except RuntimeError as error:
        if port:
            raise ModelError(
                f"local/{model.name}: the engine did not start on 127.0.0.1:{port}, which may be "
                "taken. Pass another port, or 0 for a free one"
            ) from None
        raise ProviderError(
            f"local/{model.name}: the engine {ENGINE} {engine_version()} could not load {weights} "
            f"({error}). Free some memory or install another version of the engine",
            fatal=True,
        ) from None
    return EmbeddedServer(model.name, engine)


def _answering(make: Callable[[Any], Any], parameters: Any) -> Any:
    """An engine that has answered once: one that is dropped before that never stops."""
    engine = make(parameters)
    _busy(engine)
    return engine


def _parameters(parameters: Any, model: LocalModel, slots: int) -> Any:
    """The engine's settings, but for weights and port; the chat template is the weights' own."""
    parameters.hostnames = ["127.0.0.1"]
    parameters.model_alias = {model.name}  # replies would name the weights' path otherwise
    parameters.n_parallel = slots
    parameters.n_ctx = model.context * slots  # shared out evenly
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = _threads()
    # How prompts are batched moves the last bits of the logits, and with them close picks. No
    # prompt takes anything over from an earlier one, so that a reply depends on its request
    # alone: costs 3 % of the time, because prompts hardly share a beginning.
    parameters.cache_prompt = False
    parameters.cache_ram_mib = 0  # would keep up to 8 GB of earlier prompts
    parameters.n_batch = 128  # a request that was given up ends with its batch; 128 is as fast
    parameters.endpoint_metrics = True  # `_busy` reads them
    # No other page of the user's browser, and no other user of this machine, reads prompts here.
    parameters.cors_origins = ""
    parameters.ui = parameters.endpoint_slots = False
    parameters.verbosity = -1
    return parameters


def _threads() -> int:
    """All cores but one.

    The engine's threads wait for each other by spinning: beside one busy process, two threads on
    two cores took 3.3 times the CPU of one thread, and twice its time.
    """
    if hasattr(os, "sched_getaffinity"):  # Linux: honours taskset and cpusets
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, cores - 1)


def _busy(engine: Any) -> bool:
    """Whether any request is being worked on or waits for a slot."""
    counts = re.findall(r"^llamacpp:requests_(?:processing|deferred) (\d+)", _metrics(engine), re.M)
    return any(int(count) for count in counts)


def _metrics(engine: Any) -> str:
    text = engine.handle_metrics()
    return text.decode() if isinstance(text, bytes) else str(text)
