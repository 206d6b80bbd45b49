"""One token's log-probabilities as an answer: read, asked for, refused, and of the real engine."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.special import logsumexp

from selectllm.core.errors import ModelError, PromptError, ProviderError
from selectllm.core.types import Decision, Item, Parsed, Question
from selectllm.models.connect import Connections
from selectllm.models.model import ModelSpec
from selectllm.models.providers import embedded_server, weights
from selectllm.models.providers.mock import MockModel
from selectllm.models.providers.providers import tokens_to_list
from selectllm.models.token_logprobs import MOST, as_text
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.prompting.library import PromptLibrary
from selectllm.prompting.replies.logprobs import parse_logprobs
from selectllm.selection.ask import decide, first_request
from selectllm.selection.selector import Selector, open_selector
from selectllm.selection.task import AskSettings, Task
from tests.support.provider_calls import ask, at, load_litellm
from tests.support.provider_server import Answer, ProviderServer, completion, error

LIBRARY = PromptLibrary(None)
ITEMS = tuple(Item(f"c{number}", f"Explain topic {number}.") for number in range(5))
QUESTION = Question(ITEMS, tuple("ABCDE"), 2, "indices")
LISTED = {"C": -0.3, "The": -1.0, "A": -2.0, " E": -2.5, "B": -3.0, "D": -9.0}


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    load_litellm()


def text_of(listed: Mapping[str, float]) -> str:
    return as_text(next(iter(listed), ""), listed.items())


def read(listed: Mapping[str, float], question: Question = QUESTION) -> Parsed:
    return parse_logprobs(text_of(listed), question)


def letters(parsed: Parsed) -> str:
    return "".join(QUESTION.labels[place] for place in parsed.ranking or parsed.picks)


def with_list(listed: Mapping[str, float], content: str = "A") -> dict[str, Any]:
    """An OpenAI chat completion with log-probabilities."""
    body = completion(content, finish_reason="length")
    top = [{"token": token, "logprob": value, "bytes": None} for token, value in listed.items()]
    token = {"token": content, "logprob": -0.1, "bytes": None, "top_logprobs": top}
    body["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
    return body


# --- what is read


def test_labels_are_ranked_by_their_probability_and_the_first_k_are_the_picks() -> None:
    parsed = read(LISTED)
    assert (parsed.picks, parsed.status, parsed.problems) == ((2, 0), "ok", ())
    assert letters(parsed) == "CAEBD"


def test_the_probabilities_of_all_ways_to_write_a_label_are_summed() -> None:
    ways = {"A": -1.5, " A": -1.6, "[A": -1.7, "(A)": -4.0}
    total = float(logsumexp(list(ways.values())))
    just_less, just_more = {"B": total - 1e-6}, {"B": total + 1e-6}
    assert letters(read(ways | just_less)) == "AB"
    assert letters(read(ways | just_more)) == "BA"


@pytest.mark.parametrize("token", ["a", "AB", "A1", "1", "The", "", "[", "F"])
def test_a_token_that_is_no_label_in_its_case_counts_for_none(token: str) -> None:
    assert letters(read({token: -0.01, "B": -3.0, "C": -4.0})) == "BC"


def test_labels_that_are_not_listed_come_last_and_leave_no_ranking() -> None:
    parsed = read({"E": -0.1, "B": -2.0, "D": -3.0})
    assert (parsed.picks, parsed.status, parsed.ranking) == ((4, 1), "ok", None)
    assert parsed.problems == ("unlisted",)


def test_fewer_labels_than_picks_are_partial_and_none_is_invalid() -> None:
    partial = read({"E": -0.1, "The": -0.2})
    assert (partial.picks, partial.status) == ((4,), "partial")
    assert read({"The": -0.2}).status == "invalid"


def test_equal_probabilities_go_by_the_item_and_not_by_the_slot() -> None:
    even = dict.fromkeys("ABCDE", -1.6)
    parsed = read(even)
    assert parsed.problems == ("tied",)
    picked = {ITEMS[place].id for place in parsed.picks}
    turned = Question(ITEMS[::-1], QUESTION.labels, 2, "indices")
    assert {turned.shown[place].id for place in read(even, turned).picks} == picked


@given(st.permutations("ABCDE"), st.integers(1, 4), st.lists(st.floats(-50, 0), max_size=4))
def test_whatever_else_is_listed_the_ranking_is_that_of_the_labels(
    order: list[str], k: int, others: list[float]
) -> None:
    listed = {label: -float(place) for place, label in enumerate(order)}
    listed |= {f"word{number}": value for number, value in enumerate(others)}
    parsed = read(listed, Question(ITEMS, QUESTION.labels, k, "indices"))
    assert letters(parsed) == "".join(order)
    assert parsed.ranking is not None
    assert parsed.picks == parsed.ranking[:k]


@given(st.text() | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
@example('{"top_logprobs": [["A", "high"]]}')
@example('{"top_logprobs": [["A"]]}')
@example('{"top_logprobs": [["A", NaN], ["B", -Infinity], ["C", 1e999]]}')
@example('{"top_logprobs": {"A": -1}}')
@example('{"top_logprobs": [["A", 1' + "0" * 400 + "]]}")
@example("[" * 100_000)
@example("[A]")
def test_no_text_breaks_the_reading(text: str) -> None:
    parsed = parse_logprobs(text, QUESTION)
    assert (parsed.status, parsed.problems) == ("invalid", ("no_answer",))


def test_the_text_is_the_list_likeliest_first_without_what_json_cannot_hold() -> None:
    listed = [("B", -2.0), ("A", -1.0), ("C", -math.inf), ("D", math.nan)]
    expected = {"token": "A", "top_logprobs": [["A", -1.0], ["B", -2.0]]}
    assert json.loads(as_text("A", listed)) == expected


def test_of_a_long_list_only_labels_are_kept_beyond_what_a_provider_lists() -> None:
    words = [(f"w{number}", -float(number)) for number in range(500)]
    kept = json.loads(as_text("A", [*words, (" E", -600.0)], QUESTION.labels))["top_logprobs"]
    assert [token for token, _ in kept] == [*(token for token, _ in words[:MOST]), " E"]


# --- what is asked


def selector(spec: ModelSpec, prompt: str = "best@1") -> Selector:
    return Selector(LIBRARY.load(prompt), spec, MockModel(ModelSpec("m", "mock/first")))


def test_the_question_is_which_one_is_best_in_one_token() -> None:
    spec = ModelSpec("m", "openai/m", answer="logprobs")
    request = first_request(Task(selector(spec), 0, ITEMS, 2), AskSettings())
    assert (request.max_tokens, request.top_logprobs, request.grammar) == (1, 20, None)
    assert "Which one of these 5 candidates" in request.messages[-1]["content"]


def test_a_provider_that_lists_fewer_can_be_asked_for_fewer() -> None:
    spec = ModelSpec("m", "openai/m", answer="logprobs", extra={"top_logprobs": 5})
    assert first_request(Task(selector(spec), 0, ITEMS, 2), AskSettings()).top_logprobs == 5


@pytest.mark.parametrize("prompt", ["short@1", "rank@1", "score@1", "rubric@1"])
def test_a_prompt_whose_answer_is_no_single_letter_is_refused_at_once(prompt: str) -> None:
    with pytest.raises(PromptError, match=rf"{prompt} has reply: .*. Ask it .* such as best@1"):
        selector(ModelSpec("m", "openai/m", answer="logprobs"), prompt)


@pytest.mark.parametrize(("name", "picks"), [("first", ("c0", "c1")), ("reply:A", ())])
def test_scripted_models_answer_so_too(name: str, picks: tuple[str, ...]) -> None:
    spec = ModelSpec("m", f"mock/{name}", answer="logprobs")
    asked = Selector(LIBRARY.load("best@1"), spec, MockModel(spec))
    assert made(asked).picks == picks


def made(asked: Selector, items: tuple[Item, ...] = ITEMS) -> Decision:
    """Its decision on two of the items."""

    async def once() -> Decision:
        try:
            return await decide(Task(asked, 0, items, 2), AskSettings())
        finally:
            await asked.model.close()

    return asyncio.run(once())


# --- what providers send


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
def test_the_list_is_asked_for_and_stands_for_the_text(
    provider: str, server: ProviderServer
) -> None:
    server.queue(Answer(200, with_list(LISTED, "C")))
    reply = ask(at(server, f"{provider}/m", answer="logprobs"), top_logprobs=20, max_tokens=1)
    body = server.requests[-1].body
    assert (body["logprobs"], body["top_logprobs"], body["max_tokens"]) == (True, 20, 1)
    assert reply.text == text_of(LISTED)
    assert letters(parse_logprobs(reply.text, QUESTION)) == "CAEBD"


def test_without_the_setting_none_is_asked_for(server: ProviderServer) -> None:
    ask(at(server))
    assert "logprobs" not in server.requests[-1].body


def failure(spec: ModelSpec) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        ask(spec, top_logprobs=20)
    return caught.value


@pytest.mark.parametrize("listed", [None, {}])
def test_a_provider_that_sends_no_list_is_an_error_that_says_so(
    listed: dict[str, float] | None, server: ProviderServer
) -> None:
    server.queue(Answer(200, completion("A") if listed is None else with_list(listed)))
    told = failure(at(server, answer="logprobs"))
    assert "returns no log-probabilities" in str(told)
    assert "leave `answer: logprobs` out" in str(told)
    assert (told.retryable, told.fatal) == (False, True)


def test_a_provider_that_cannot_be_asked_for_it_is_an_error_before_anything_is_sent(
    server: ProviderServer,
) -> None:
    told = failure(at(server, "anthropic/m", answer="logprobs"))
    assert "does not support parameters: ['logprobs', 'top_logprobs']" in str(told)
    assert "leave `answer: logprobs` out" in str(told)
    assert server.count == 0


def test_a_provider_that_lists_fewer_says_which_setting_helps(server: ProviderServer) -> None:
    server.queue(Answer(400, error("top_logprobs must be at most 5.")))
    told = failure(at(server, answer="logprobs"))
    assert "at most 5. If it lists fewer tokens, set extra.top_logprobs" in str(told)


def test_a_refusal_is_a_refusal(server: ProviderServer) -> None:
    server.queue(Answer(200, completion(None, finish_reason="content_filter")))
    reply = ask(at(server, answer="logprobs"), top_logprobs=20)
    assert (reply.text, reply.finish_reason) == ("", "refused")


# --- the embedded engine


@pytest.mark.skipif(
    weights.engine_version() == weights.NO_ENGINE or not weights.is_installed("smollm2-135m"),
    reason="needs xllamacpp and the weights: selectllm models install smollm2-135m",
)
def test_the_embedded_engine_ranks_all_26_labels_that_there_can_be(tmp_path: Path) -> None:
    spec = ModelSpec("m", "local/smollm2-135m", answer="logprobs")
    connections = Connections(ReplyCache(tmp_path), {})
    items = tuple(Item(f"c{number}", f"Task {number}") for number in range(26))
    asked = open_selector(LIBRARY.load("best@1"), spec, connections)

    try:
        first, again = made(asked, items), made(asked, items)
    finally:
        embedded_server.start("smollm2-135m").close()
    # Left to itself this small model would begin with a word; the letters are ranked all the same.
    assert (first.status, first.problems, len(first.picks)) == ("repaired", ("stray_token",), 2)
    assert first.ranking is not None
    assert first.ranking[:2] == first.picks
    assert sorted(first.ranking) == sorted(item.id for item in items)
    assert [attempt.tokens_out for attempt in first.attempts] == [1]
    assert (again.picks, again.attempts[0].cached) == (first.picks, True)


def test_a_model_that_would_write_something_else_is_read_with_a_word_about_it() -> None:
    question = Question(tuple(Item(x, x) for x in "abc"), ("A", "B", "C"), 1, "indices")
    stray = parse_logprobs(as_text("[", [("[", -0.01), ("B", -6.0), ("A", -7.0)]), question)
    assert (stray.picks, stray.status) == ((1,), "repaired")
    assert stray.problems == ("unlisted", "stray_token")
    meant = parse_logprobs(as_text(" B", [(" B", -0.1), ("A", -3.0), ("C", -4.0)]), question)
    assert (meant.picks, meant.status, meant.problems) == ((1,), "ok", ())


@pytest.mark.parametrize("given", ["five", 0, -3, 5000, True])
def test_a_number_of_tokens_that_cannot_be_is_refused_at_once(given: object) -> None:
    spec = ModelSpec("m", "openai/m", answer="logprobs", extra={"top_logprobs": given})
    with pytest.raises(ModelError, match=r"extra\.top_logprobs"):
        tokens_to_list(spec)
