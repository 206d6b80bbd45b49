"""Which keys a suite may send where: a provider's to its own hosts, unless the user allows more.

A suite can come from a stranger, who names a variable and a host. Its own keys can therefore not
allow anything.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from selectllm.core.errors import SuiteError
from selectllm.models.providers.hosts import HOSTS
from selectllm.models.providers.providers import PROVIDERS

if TYPE_CHECKING:
    from selectllm.evaluation.suite import Suite

KEY_HOSTS = "SELECTLLM_KEY_HOSTS"
"""The variable that lists hosts to which the keys of well-known providers may go, with commas."""


def check_keys(suite: Suite, environment: Mapping[str, str] | None = None) -> None:
    """Raise SuiteError for a model that would send a provider's key to another host.

    A provider's own hosts, this machine and the hosts of SELECTLLM_KEY_HOSTS may have it.
    """
    environment = os.environ if environment is None else environment
    allowed = {each.strip().lower() for each in environment.get(KEY_HOSTS, "").split(",")}
    for number, entry in enumerate(suite.models):
        if entry.api_key_env is None:
            continue
        own, host = _hosts_of_key(entry.api_key_env), _host(entry.api_base, entry.id)
        if not own or host is None or host in allowed or _is_here(host):
            continue
        if not any(_is_of(host, _domain(each)) for each in own):
            raise SuiteError(
                f"{suite.source}: models.{number}: the key in {entry.api_key_env} is for "
                f"{' or '.join(sorted(own))}, and this model would send it to {host}. If that is "
                f"meant, allow it: {KEY_HOSTS}={host} before the command. If {host} has a key of "
                "its own, put that into another variable and name it with api_key_env"
            )


def _hosts_of_key(variable: str) -> set[str]:
    """The hosts of the providers that read their key from this variable; none if it is nobody's."""
    return {
        HOSTS[name]
        for name, provider in PROVIDERS.items()
        if name in HOSTS and variable in provider.key_variables
    }


def _host(api_base: str | None, model: str) -> str | None:
    """Where a model is asked, as far as its entry says."""
    if api_base is None:
        return HOSTS.get(model.partition("/")[0])
    try:
        return urlsplit(api_base.strip()).hostname
    except ValueError:  # it is told when it is used
        return None


def _is_here(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _domain(host: str) -> str:
    """`openai.com` of `api.openai.com`: whoever has it has the hosts below it."""
    return ".".join(host.split(".")[-2:])


def _is_of(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")
