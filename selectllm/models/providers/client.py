"""One pooled aiohttp client: a request, its redirects, and what the server answers to its end.

Redirects keep the key at home: it is not sent to another origin, and nothing goes to another host.
Cookies are not kept.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.request import getproxies, proxy_bypass

from selectllm.models.providers.body import Heard
from selectllm.models.providers.failures import (
    ANY_CLIENT,
    CUT,
    NOT_COMPRESSED,
    Causes,
    Fault,
    by_cause,
    causes,
    cut_short,
)

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from yarl import URL

_MOST_REDIRECTS = 20  # as httpx follows
_LONGEST_HEADER = 100 * 1024  # bytes of a line: proxies send long ones


@cache
def raised() -> tuple[type[Exception], ...]:
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


def fault_of(error: Exception) -> Fault:
    """The fault behind what aiohttp raised."""
    return by_cause(list(causes(error)), _by_cause()) or Fault("broken", CUT)


class _Route(NamedTuple):
    """How one server is reached: through which proxy, and whose certificates it may show."""

    proxy: str | None
    trusted: ssl.SSLContext | bool


class Client:
    """Connections that calls share, opened by the first one."""

    def __init__(self) -> None:
        self._session: ClientSession | None = None
        self._routes: dict[URL, _Route] = {}

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Heard | Fault:
        """What the server answers, read to its end.

        A Fault if it sends the call in a circle, or if an error of its breaks off.

        Raises what `raised` lists, and TimeoutError under a time-out of the caller's.
        """
        from yarl import URL

        there, status = URL(url), 0
        for _ in range(_MOST_REDIRECTS + 1):
            heard = await self._once(method, there, body, headers)
            if isinstance(heard, Fault):
                return heard
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

    async def _once(
        self, method: str, url: URL, body: bytes, headers: Mapping[str, str]
    ) -> Heard | Fault:
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
            try:
                content = await response.read()
            except raised() as error:
                if response.status < 300:
                    raise
                return cut_short(fault_of(error), response.status, response.headers)
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
