"""The key of a request is the hash of its identity's canonical JSON, however it is computed."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.codec import sha256_json
from selectllm.core.types import Message
from selectllm.models.providers.openai_body import _COMPACT, _compact
from tests.models.wrappers.test_cache import REQUEST

TEXTS = st.text(st.characters(exclude_categories=("Cs",)))
LONG = st.builds(lambda text, times: text * times, TEXTS, st.integers(0, 90))
ROLES = st.sampled_from(["system", "user", "assistant"])
MESSAGES = st.lists(st.tuples(ROLES, LONG), min_size=1, max_size=4)
SETTINGS = st.dictionaries(st.sampled_from(["model", "seed", "temperature", "a"]), st.integers())


@given(MESSAGES, st.none() | st.text("abcxyz"), st.integers(0, 9))
def test_the_key_is_the_hash_of_the_identity(
    messages: list[tuple[str, str]], endpoint: str | None, seed: int
) -> None:
    said = tuple(Message(role=role, content=text) for role, text in messages)  # type: ignore[typeddict-item]
    request = replace(REQUEST, messages=said, endpoint=endpoint, seed=seed)
    assert request.key == sha256_json(request.identity())


@given(MESSAGES, SETTINGS)
def test_a_body_is_written_as_openais_client_writes_it(
    messages: list[tuple[str, str]], settings: dict[str, int]
) -> None:
    said = [{"role": role, "content": text} for role, text in messages]
    for body in ({"messages": said, **settings}, {**settings, "messages": said}):
        if body:
            assert _compact(body) == _COMPACT.encode(body).encode()


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
        lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    )
)
def test_so_is_one_whose_messages_are_of_another_form(messages: object) -> None:
    body = {"messages": messages, "model": "m"}
    assert _compact(body) == _COMPACT.encode(body).encode()
