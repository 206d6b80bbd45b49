"""Where a model's calls go and which key they carry; pure, read from a ModelSpec and variables.

One rule guards the keys: with `api_base` set, no provider's own key is sent there. What is found
here is passed on explicitly, so that the request identity and the call never disagree. Which
variables a provider has, its record says (providers.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from selectllm.core.errors import ModelError
from selectllm.models.model import ModelSpec
from selectllm.models.providers.providers import provider_of
from selectllm.models.secrets import SHORTEST_SECRET, may_be_key, path_secrets, secret_values

NO_KEY = "none"  # sent where no key may go: with an empty one litellm would look for a real one

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SECRET_PARAMETER = re.compile(
    r"(?:^|&)([^=&]*(?:key|token|secret|password|signature|sig)[^=&]*)=", re.IGNORECASE
)
_SECRET_NAME = re.compile(r"(_KEY|_TOKEN|_SECRET)$", re.IGNORECASE)


def check_model_id(model_id: str) -> None:
    """Raise ModelError unless `model_id` has the shape `provider/model`."""
    provider, slash, name = model_id.partition("/")
    if not slash:
        raise ModelError(
            f"model {model_id!r} names no provider. Write provider/model, for example "
            f"openai/{model_id}"
        )
    if not re.fullmatch(r"[\w.-]+", provider) or not name.strip():
        raise ModelError(
            f"model {model_id!r} is not of the form provider/model, for example openai/gpt-4o-mini"
        )


def endpoint(spec: ModelSpec, environment: Mapping[str, str]) -> str | None:
    """The part of the request identity that says who answers, normalised.

    `api_base`, else the provider's own variables, else None for the provider's default. Raises
    ModelError for what is no URL, and for a self-hosted provider without one.
    """
    url = _url(spec, environment)
    return None if url is None else normalise(url)


def base_url(spec: ModelSpec, environment: Mapping[str, str]) -> str | None:
    """The URL to call: `endpoint` before it was normalised.

    Raises ModelError as `endpoint` does, and for user info, which no provider is sent.
    """
    url = _url(spec, environment)
    if url is not None and "@" in _split(url).netloc:
        raise ModelError(
            f"model {spec.name!r}: the base URL holds a user name or password. Take it out and "
            "name a variable that holds the server's key with api_key_env"
        )
    if url is not None and (secret := _SECRET_PARAMETER.search(_split(url).query)):
        raise ModelError(
            f"model {spec.name!r}: the query of the base URL seems to hold a key "
            f"({secret[1]}=...), which would be written into every log. Take it out and name a "
            "variable that holds it with api_key_env"
        )
    return url


def normalise(url: str) -> str:
    """One spelling per endpoint: lower-case scheme and host, no default port, no trailing slash.

    User info, query and fragment are dropped. Raises ModelError if `url` is not an http(s) URL.
    """
    parts = _split(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    if parts.port is not None and parts.port != _DEFAULT_PORTS[parts.scheme]:
        host = f"{host}:{parts.port}"
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))


def api_key(spec: ModelSpec, environment: Mapping[str, str]) -> str | None:
    """The key to send, or None to leave it to the provider's own log-in.

    The variable that `api_key_env` names; else, with `api_base`, `NO_KEY`; else the provider's
    own variable. Raises ModelError if the named variable is not set or holds what no header can
    carry, or if the provider would send a token of this machine to `api_base` anyway.
    """
    if spec.api_key_env is not None:
        if environment.get(spec.api_key_env):
            return _key_in(spec.api_key_env, spec, environment)
        if not is_variable(spec.api_key_env):
            raise ModelError(
                f"model {spec.name!r}: api_key_env holds no name of a variable. Put the key into a "
                "variable, for example MY_KEY, and write api_key_env: MY_KEY"
            )
        raise ModelError(
            f"model {spec.name!r}: its key should be in {spec.api_key_env}, which is not set. Set "
            "it, or correct api_key_env"
        )
    if spec.api_base is None:
        own = provider_of(spec).key_variables
        variable = next((name for name in own if environment.get(name)), None)
        return None if variable is None else _key_in(variable, spec, environment)
    if provider_of(spec).ambient_token:
        raise ModelError(
            f"model {spec.name!r}: {spec.provider}/ would send this machine's own token to "
            "api_base. Name the key for it with api_key_env, or use openai/ for that server"
        )
    return NO_KEY


def sent_key(spec: ModelSpec, environment: Mapping[str, str]) -> str | None:
    """The variable whose key goes to the model's host; None if no key of a variable does.

    Where none is set but one is needed, that is the one that is expected.
    """
    if spec.api_key_env is not None or spec.api_base is not None:
        return spec.api_key_env
    own, needed = provider_of(spec).key_variables, provider_of(spec).needs_key
    return next((name for name in own if environment.get(name)), own[0] if needed else None)


def missing_key(spec: ModelSpec, environment: Mapping[str, str]) -> str | None:
    """What to say of a model whose provider takes no call without a key, if none is set."""
    provider = provider_of(spec)
    if not provider.needs_key or spec.api_base is not None or spec.api_key_env is not None:
        return None
    if any(environment.get(name) for name in provider.key_variables):
        return None
    return (
        f"{spec.name}: {' or '.join(provider.key_variables)} is not set. Set it, or name another "
        "variable with `api_key_env=NAME` (in a suite, api_key_env: NAME)"
    )


def is_variable(name: str) -> bool:
    """Whether `name` can be that of an environment variable, and is not a key put in its place."""
    return re.fullmatch(r"[A-Za-z_]\w*", name) is not None and not may_be_key(name)


def _key_in(variable: str, spec: ModelSpec, environment: Mapping[str, str]) -> str:
    """The key in `variable`; ModelError where it holds what no header can carry."""
    key = environment[variable]
    if problem := not_a_header(key):
        raise ModelError(
            f"model {spec.name!r}: the key in {variable} {problem}. Set {variable} again, to the "
            "key alone"
        )
    return key


def check_headers(spec: ModelSpec) -> None:
    """Raise ModelError if a header under the model's `extra` cannot be sent."""
    for place in HEADERS:
        headers = spec.extra.get(place)
        for name, value in headers.items() if isinstance(headers, Mapping) else ():
            if problem := not_a_header(str(value)) or not_a_header(str(name)):
                raise ModelError(
                    f"model {spec.name!r}: extra.{place}.{name!s:.40} {problem}. Correct it"
                )


HEADERS = ("extra_headers", "headers", "default_headers")


def not_a_header(value: str) -> str | None:
    """Why no HTTP header can carry `value`, as the rest of a sentence; None if one can.

    Visible ASCII and spaces inside, as RFC 9110 (5.5) has it and every client sends.
    """
    if value != value.strip():
        return "begins or ends with a line end or a space"
    odd = re.search(r"[^\x20-\x7e]", value)
    return odd and f"holds a character that no HTTP header can carry (U+{ord(odd[0]):04X})"


def key_variable(spec: ModelSpec) -> str:
    """The variable that the model's key is expected in, for messages."""
    own = provider_of(spec).key_variables
    return spec.api_key_env or (own[0] if own else f"{spec.provider.upper()}_API_KEY")


def secrets(spec: ModelSpec, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Every value that must not be shown, longest first, for `scrub`.

    The key that `api_key_env` names, all variables whose names end in _KEY, _TOKEN or _SECRET and
    what stands in a secret place of `extra` (values of at least 8 characters), and of the base URL
    the user info and what may be a key in its path.
    """
    url = _url(spec, environment) or ""
    found = environment_secrets(environment)
    found.update(each for each in secret_values(spec.extra) if len(each) >= SHORTEST_SECRET)
    if spec.api_key_env is not None:
        found.add(environment.get(spec.api_key_env, ""))
    user_info = urlsplit(url).netloc.rpartition("@")[0]
    password = user_info.partition(":")[2]
    found.update({user_info, password, unquote(password), *path_secrets(url)})
    return tuple(sorted(found - {""}, key=lambda value: (-len(value), value)))


def environment_secrets(environment: Mapping[str, str]) -> set[str]:
    """The values that must not be shown of variables that are named like keys."""
    return {
        value
        for name, value in environment.items()
        if len(value) >= SHORTEST_SECRET and _SECRET_NAME.search(name)
    }


def _url(spec: ModelSpec, environment: Mapping[str, str]) -> str | None:
    url = spec.api_base or _first(provider_of(spec).base_variables, environment)
    if url is None and provider_of(spec).self_hosted:
        raise ModelError(
            f"model {spec.name!r}: {spec.provider}/ has no server of its own. Set api_base or "
            f"{provider_of(spec).base_variables[0]} to the URL of yours"
        )
    return url


def _first(names: Iterable[str], environment: Mapping[str, str]) -> str | None:
    return next((value for name in names if (value := environment.get(name))), None)


def _split(url: str) -> SplitResult:
    """The parts of an http(s) URL; ModelError if it is not one. Never shows user info."""
    shown = re.sub(r"//[^/@]*@", "//***@", url)
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in _DEFAULT_PORTS and parts.hostname and parts.port != 0
    except ValueError:  # of urlsplit and .port: brackets that do not match, a port out of range
        usable = False
    if not usable or re.search(r"\s", url.strip()):
        raise ModelError(
            f"api_base {shown!r} is not an http(s) URL. Write it like http://localhost:11434"
        )
    return parts
