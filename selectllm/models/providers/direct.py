"""Models behind OpenAI's API, asked without litellm: one POST through a pooled aiohttp client.

The bodies are litellm's byte for byte (openai_body.py), so that both ways share one cache; replies
and errors are read by the same tables. The headers that tell a server of its client differ: the
user agent, and those in which OpenAI's SDK describes itself. Cookies are not kept.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.request import getproxies, proxy_bypass

from selectllm.core.errors import ModelError, ProviderError
from selectllm.core.types import Reply
from selectllm.models.model import ModelSpec, Request
from selectllm.models.providers.answers import Answered, read_heard
from selectllm.models.providers.body import Heard
from selectllm.models.providers.endpoint import api_key, base_url, missing_key
from selectllm.models.providers.failures import (
    ANY_CLIENT,
    CUT,
    NOT_COMPRESSED,
    NOT_JSON,
    Causes,
    Fault,
    by_cause,
    causes,
    refused,
)
from selectllm.models.providers.openai_body import body_of, check_direct
from selectllm.models.providers.outcome import Outcomes, check_settings
from selectllm.models.providers.providers import provider_of

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from yarl import URL

_OPENAI = "https://api.openai.com/v1"
_MOST_REDIRECTS = 20  # as httpx follows
_LONGEST_HEADER = 100 * 1024  # bytes of a line: proxies send long ones


class DirectModel:
    """A model behind OpenAI's API. One call per `complete`, as of LiteLLMModel.

    `environment`: where keys and base URLs are looked up. `lists_logprobs`: it is known to list
    log-probabilities; else its first reply shows. Raises ModelError for a name or setting that
    cannot work, and for what only litellm can ask.
    """

    def __init__(
        self, spec: ModelSpec, *, environment: Mapping[str, str], lists_logprobs: bool = False
    ) -> None:
        check_settings(spec)
        check_direct(spec)
        self._spec = spec
        self._outcomes = Outcomes(spec, environment, lists_logprobs)
        self._lacking = missing_key(spec, environment)
        self._url = (
            f"{(base_url(spec, environment) or _OPENAI).strip().rstrip('/')}/chat/completions"
        )
        self._headers = _headers(spec, api_key(spec, environment))
        self._client = _Client()

    async def complete(self, request: Request) -> Reply:
        """The model's reply to one call; as LiteLLMModel's, it raises ProviderError and ModelError.

        The time-out of the model counts from the start of the connection to the last byte.
        """
        if self._lacking is not None:
            raise ModelError(self._lacking)
        started = time.perf_counter()
        outcome = await self._attempt(request)
        told = self._outcomes.told(request, outcome, time.perf_counter() - started)
        if isinstance(told, ProviderError):
            raise told
        return told

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _attempt(self, request: Request) -> Answered | Fault:
        """What came of one call."""
        body = body_of(self._spec, request)
        if isinstance(body, Fault):
            return body
        try:
            async with asyncio.timeout(self._spec.timeout):
                heard = await self._client.post(self._url, body, self._headers)
        except _raised() as error:
            return by_cause(list(causes(error)), _by_cause()) or Fault("broken", CUT)
        if isinstance(heard, Fault):
            return heard
        if heard.status_code >= 300:
            return refused(heard)
        return read_heard([heard]) or Fault("broken", NOT_JSON, 200)


@cache
def _raised() -> tuple[type[Exception], ...]:
    """What aiohttp raises: its own errors, the system's and TLS's, and those of addresses."""
    import aiohttp
    from aiohttp.http_exceptions import HttpProcessingError

    return aiohttp.ClientError, HttpProcessingError, OSError, ValueError


@cache
def _by_cause() -> Causes:
    """The causes that aiohttp raises."""
    import aiohttp
    from aiohttp.http_exceptions import ContentEncodingError

    return {
        **ANY_CLIENT,
        (ContentEncodingError,): Fault("broken", NOT_COMPRESSED, 200),
        (aiohttp.ClientError, OSError): Fault("broken", CUT),
    }


def _headers(spec: ModelSpec, key: str | None) -> Mapping[str, str]:
    """The headers of every call; those under `extra` go over ours, in whatever case."""
    ours = {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": f"selectllm/{version('selectllm')}",
        "Accept-Encoding": "gzip, deflate",
        "Authorization": f"Bearer {key or 'fake-api-key'}",
    }
    extra: Mapping[str, Any] = {
        **(spec.extra.get("headers") or {}),
        **(spec.extra.get("extra_headers") or {}),
    }
    given = {str(name).title(): str(value) for name, value in extra.items()}
    if provider_of(spec).direct == "vllm":  # where litellm puts its own log-in over any other
        given.pop("Authorization", None)
    return {**ours, **given}


class _Route(NamedTuple):
    """How one server is reached: through which proxy, and whose certificates it may show."""

    proxy: str | None
    trusted: ssl.SSLContext | bool


class _Client:
    """Connections that calls share, opened by the first one."""

    def __init__(self) -> None:
        self._session: ClientSession | None = None
        self._routes: dict[URL, _Route] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Heard | Fault:
        """What the server answers, read to its end; a Fault if it sends the call in a circle."""
        from yarl import URL

        there, method, status = URL(url), "POST", 0
        for _ in range(_MOST_REDIRECTS + 1):
            heard = await self._once(method, there, body, headers)
            where, status = heard.headers.get("Location"), heard.status_code
            if where is None or status not in (301, 302, 303, 307, 308):
                return heard
            onward = there.join(URL(where))
            if onward.host != there.host:  # its key would go along
                break
            if onward.origin() != there.origin():
                headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
            if status < 307:
                method, body = "GET", b""
            there = onward
        return Fault("redirect", "in a circle, or to another host", status)

    async def close(self) -> None:
        """Close what is open; the next call opens anew, in whatever loop."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _once(self, method: str, url: URL, body: bytes, headers: Mapping[str, str]) -> Heard:
        session, origin = self._opened(), url.origin()
        route = self._routes.get(origin)
        if route is None:
            route = self._routes[origin] = _Route(_proxy(url), _trusted(url))
        async with session.request(
            method,
            url,
            data=body or None,
            headers=headers,
            allow_redirects=False,
            proxy=route.proxy,
            ssl=route.trusted,
        ) as response:
            content = await response.read()
            return Heard(response.status, response.headers, content)

    def _opened(self) -> ClientSession:
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # how many at once is not for it to say
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=_LONGEST_HEADER,
                max_field_size=_LONGEST_HEADER,
            )
        return self._session


def _proxy(url: URL) -> str | None:
    """The proxy that the environment names for `url`, as every client of Python's finds it.

    Not aiohttp's own `trust_env`, which would also send log-ins of a .netrc.
    """
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(url.host or ""):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _trusted(url: URL) -> ssl.SSLContext | bool:
    """Whose certificates count: those that SSL_CERT_FILE or SSL_CERT_DIR names, else certifi's."""
    if url.scheme != "https":
        return True
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file or folder:
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    import certifi

    return ssl.create_default_context(cafile=certifi.where())
