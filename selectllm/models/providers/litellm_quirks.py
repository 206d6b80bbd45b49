"""litellm as our calls need it: imported here, late, and left as others in the process have it.

litellm keeps its settings in its module: callbacks, caches, telemetry, what it drops and retries.
Whoever else uses it in this process keeps theirs. A call of ours is marked (`ours`), and only
where that mark is seen the settings below hold; to everyone else litellm reads and writes as
always. The mark is a context variable, so that it follows the call through tasks and threads.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

_OURS: ContextVar[bool] = ContextVar("a call of selectllm's", default=False)
_SENT: ContextVar[Callable[[Any], object]] = ContextVar(
    "hears of sending", default=lambda request: None
)
_HEARD: ContextVar[list[Any] | None] = ContextVar("what its server sent", default=None)

# What our calls find there. `drop_params`: a setting that a provider does not take is an error, not
# a shrug. `disable_token_counter`: usage is what the provider reports, or nothing.
_VALUES: Mapping[str, Any] = {
    "telemetry": False,
    "suppress_debug_info": True,
    "set_verbose": False,
    "cache": None,
    "drop_params": False,
    "modify_params": False,
    "num_retries": None,
    "model_fallbacks": None,
    "disable_token_counter": True,
    "max_budget": 0.0,
    "api_base": None,
    "api_key": None,
    "headers": None,
    "base_llm_aiohttp_handler": None,  # of everybody: not ours to close
}
_LISTS = (
    *("callbacks", "input_callback", "success_callback", "failure_callback", "service_callback"),
    *("_async_input_callback", "_async_success_callback", "_async_failure_callback"),
    *("pre_call_rules", "post_call_rules"),
)
_CLIENTS = "in_memory_llm_clients_cache"
_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
# litellm reads these while it is imported: without them it downloads its price list, and loads a
# .env of the current folder.
_WHILE_IMPORTED = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}

OLLAMA_SERVERS: set[str] = set()
"""Where the Ollama models of this process are; "" is the usual place."""


class ServerFailedError(BaseException):
    """A server is busy or failed, as the response says that was heard.

    It is no Exception, so that it passes by every `except` of the client and of litellm. They would
    raise it anew three times and write a traceback, which takes half as much CPU time as a call.
    """


@cache
def load_litellm() -> Any:
    """litellm, which fetches, reads, prints, logs, caches and drops nothing for calls of ours."""
    with QUIET, _environment(_WHILE_IMPORTED):
        import litellm
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(lambda record: not _OURS.get())
    clients = type(litellm.in_memory_llm_clients_cache)()
    settings = {name: _Setting(name, _always(value)) for name, value in _VALUES.items()}
    settings |= {name: _Setting(name, list) for name in _LISTS}
    settings[_CLIENTS] = _Setting(_CLIENTS, lambda: clients)
    litellm.__class__ = type(litellm.__name__, (type(litellm),), settings)
    _price_nothing_of_ours(litellm)
    _ask_nothing_of_our_models()
    _hear_the_servers()
    return litellm


@contextmanager
def ours(
    heard: list[Any] | None = None, sent: Callable[[Any], object] = lambda request: None
) -> Iterator[None]:
    """Mark what happens inside as a call of ours; litellm need not log it either.

    Logging takes a tenth of a call's CPU time. `heard`: takes the httpx responses that arrive
    inside, oldest first, whatever litellm then makes of them. `sent`: is called with a request
    before it goes out, which it does not if this raises.
    """
    unlogged = _unlogged()
    marks = _OURS.set(True), unlogged.set(True), _HEARD.set(heard), _SENT.set(sent)
    try:
        yield
    finally:
        _SENT.reset(marks[3])
        _HEARD.reset(marks[2])
        unlogged.reset(marks[1])
        _OURS.reset(marks[0])


async def close_clients() -> None:
    """Close the HTTP clients that our calls shared, and no other's."""
    litellm = load_litellm()
    with ours():
        await litellm.close_litellm_async_clients()
        # It finds clients by the loop's id(), which the next loop may have again.
        litellm.in_memory_llm_clients_cache.flush_cache()


class _Setting:
    """A setting in a module: `ours()` for calls of ours, and what it was for everyone else."""

    def __init__(self, name: str, ours: Callable[[], Any]) -> None:
        self._name, self._ours = name, ours

    def __get__(self, module: Any, owner: type) -> Any:
        if module is None:
            return self
        if _OURS.get():
            return self._ours()
        try:
            return vars(module)[self._name]
        except KeyError:
            raise AttributeError(self._name) from None  # the module may make it when it is missed

    def __set__(self, module: Any, value: Any) -> None:
        if not _OURS.get():  # what litellm notes during a call of ours is for nobody
            vars(module)[self._name] = value

    def __delete__(self, module: Any) -> None:
        vars(module).pop(self._name, None)


def _always(value: Any) -> Callable[[], Any]:
    return lambda: value


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """While these variables are set; then they are what they were."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@cache
def _unlogged() -> ContextVar[bool]:
    """Litellm's own mark of a call that it need not log."""
    load_litellm()  # first: the import below must find it told
    try:
        from litellm._internal_context import is_internal_call
    except ImportError:  # not every version has it; the calls are the same without
        return ContextVar("unlogged", default=False)
    return is_internal_call  # type: ignore[no-any-return]


def _price_nothing_of_ours(litellm: Any) -> None:
    """Let litellm not price our replies, which takes an eighth of a call's CPU time: we do it.

    Calls that others in this process make are priced as ever.
    """
    price = litellm.response_cost_calculator

    def unless_ours(**reply: Any) -> float | None:
        return None if _OURS.get() else price(**reply)

    litellm.response_cost_calculator = unless_ours


def _ask_nothing_of_our_models() -> None:
    """Let litellm not ask Ollama what a model can, which it does twice before every call.

    It asks at Ollama's usual address wherever the model is, with the key of the environment, and
    waits for that server or its absence. Its threads do not know whose call it was, so that our
    models' own addresses count, too.
    """
    try:
        from litellm.llms.ollama.common_utils import OllamaModelInfo
    except ImportError:  # not every version has it
        return
    ask = OllamaModelInfo.get_model_info

    def unless_ours(
        self: Any, model: str, api_base: str | None = None, api_key: str | None = None
    ) -> Any:
        if _OURS.get() or _is_our_ollama(api_base or ""):
            return None
        return ask(self, model=model, api_base=api_base, api_key=api_key)

    OllamaModelInfo.get_model_info = unless_ours


def _hear_the_servers() -> None:
    """Let every client that litellm makes keep the responses to calls of ours for us.

    What litellm raises does not hold them where it could not read them. They also tell when a
    request goes out.
    """
    try:
        from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler
        from litellm.llms.openai.common_utils import BaseOpenAILLM
    except ImportError:  # not every version has them; then the chain of causes is all there is
        return

    def hearing(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(*args: Any, **options: Any) -> Any:
            client = make(*args, **options)
            if client is not None and _hear not in client.event_hooks["response"]:
                hooks = client.event_hooks
                client.event_hooks = {
                    "request": [*hooks["request"], _tell],
                    "response": [*hooks["response"], _hear],
                }
            return client

        return made

    AsyncHTTPHandler.create_client = hearing(AsyncHTTPHandler.create_client)
    BaseOpenAILLM._get_async_http_client = staticmethod(
        hearing(BaseOpenAILLM._get_async_http_client)
    )


async def _tell(request: Any) -> None:
    _SENT.get()(request)


async def _hear(response: Any) -> None:
    """Keep a response to a call of ours, and end the call here if its server only failed.

    Nor does a call of ours follow a redirect to another host.
    """
    import httpx

    heard = _HEARD.get()
    if heard is None:
        return
    heard.append(response)
    if response.status_code == 429 or response.status_code >= 500:
        await response.aread()
        raise ServerFailedError
    asked = response.request.url
    if response.has_redirect_location:
        there = asked.join(response.headers["location"])
        if there.host != asked.host:  # its key would go along under any name but one
            raise httpx.TooManyRedirects("to another host", request=response.request)


def _is_our_ollama(url: str) -> bool:
    return any(url == server or (server and url.startswith(server)) for server in OLLAMA_SERVERS)


class _Quiet:
    """While any call is in flight, warnings about the insides of litellm and its stack are ignored.

    Filters belong to the process: the first call in sets them, the last one out restores them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._outside = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._outside = warnings.catch_warnings()
                self._outside.__enter__()
                warnings.filterwarnings("ignore", module=r"(litellm|openai|pydantic|aiohttp)\b")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._outside.__exit__(None, None, None)


QUIET = _Quiet()
