"""Whether a model can be asked at all: what is worth knowing before hours of embedding."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from selectllm.core.errors import ModelError
from selectllm.core.extras import check
from selectllm.models.model import ModelSpec
from selectllm.models.providers import weights
from selectllm.models.providers.endpoint import endpoint, missing_key, secrets
from selectllm.models.providers.failures import Fault, told
from selectllm.models.providers.providers import provider_of

PATIENCE = 2.0  # seconds for a connection; a server that is merely slow is no failure


def check_ready(spec: ModelSpec, environment: Mapping[str, str]) -> None:
    """Raise what its first call would meet: no key, no engine, no weights, no server that listens.

    Nothing is sent: of a server whose address is known only the connection is tried, and not even
    that where calls go through a proxy. Raises ModelError, ExtraMissing or ProviderError.
    """
    way = provider_of(spec).way
    if way == "embedded":
        check("local", weights.ENGINE, spec.name)
        weights.find_weights(spec.id.removeprefix("local/"))
    if way != "network":
        return
    if (missing := missing_key(spec, environment)) is not None:
        raise ModelError(missing)
    url = endpoint(spec, environment) or provider_of(spec).default_endpoint
    if url is not None and (fault := _unreachable(url)) is not None:
        raise told(fault, spec, url, secrets(spec, environment))


def _unreachable(url: str) -> Fault | None:
    """Why nothing listens at `url`, as far as that is certain."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if getproxies().get(parts.scheme) and not proxy_bypass(host):
        return None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((host, port), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return Fault("unreachable", "connection refused")
    except socket.gaierror:
        return Fault("unreachable", "no such host")
    except OSError:
        return None  # what else it is, its first call will tell
    return None
