"""Ways of asking through a real server: what is sent, logged, planned, compared and resumed."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import selectllm as sl
from selectllm.core.errors import (
    BudgetReached,
    ModelError,
    PromptError,
    ProviderError,
    ReplyMissing,
    SelectLLMError,
)
from selectllm.core.files import read_json
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.runs.verify import verification
from selectllm.jobs.auditing import audit
from selectllm.jobs.comparing import ab
from selectllm.jobs.evaluating import evaluate
from selectllm.jobs.evidence import read_evidence
from selectllm.jobs.optimizing import optimize
from selectllm.jobs.planning import plan
from selectllm.jobs.sync import finished
from selectllm.models.model import ModelSpec
from selectllm.prompting.library import PromptLibrary
from selectllm.report.schemas import schema
from selectllm.report.votes import asking_sentences
from tests.conftest import Command, pool_rows, read_jsonl, write_jsonl
from tests.support import forked
from tests.support.cli_files import RATED, served, write_suite
from tests.support.provider_server import FAULTS, Answer, ProviderServer, completion, fingerprint
from tests.support.runs import logged, pair, planned

CLUSTERS = 8  # of five items, two of which are picked
RATING = {row["instruction"].split(" in ")[0].strip(): row["rating"] for row in pool_rows()}
CALLS = {"point@1": (5, 5), "yes-no@1": (5, 5), "pair@1": (10, 10), "few@1": (4, 5)}
"""The fewest and the most calls of a decision: a tournament hangs on who wins."""
USAGE = {"prompt_tokens": 500, "completion_tokens": 1, "total_tokens": 501}
each_way = pytest.mark.parametrize("prompt", CALLS)


@pytest.fixture(autouse=True)
def pool(forty: Path) -> Path:
    """pool.jsonl of 40 items in the current folder, and a cache of its own."""
    return forty


def by(prompt: str) -> str:
    """The change that makes it the suite's prompt."""
    return f"short@1 -> {prompt}"


def ratings_in(body: Any) -> list[int]:
    """The ratings of the candidates that a request shows, in their order."""
    topics = re.findall(r"Explain topic \d+", body["messages"][1]["content"])
    return [RATING[topic] for topic in topics]


def listing(token: str, likely: Mapping[str, float]) -> Answer:
    """A completion of one token with these probabilities in its place."""
    answer = completion(token, usage=USAGE)
    top = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in likely.items()]
    first = {"token": token, "logprob": -0.1, "bytes": None, "top_logprobs": top}
    answer["choices"][0]["logprobs"] = {"content": [first], "refusal": None}
    return Answer(200, answer)


def knowing(body: Any, headers: Mapping[str, str], n: int) -> Answer:
    """Who knows the ratings, and answers in whatever way it is asked."""
    ratings = ratings_in(body)
    if body.get("logprobs"):
        (rating,) = ratings
        if "yes or no" in body["messages"][-1]["content"]:
            return listing("no", {"no": 1 - rating / 6, "yes": rating / 6})
        return listing(str(rating), {str(rating): 0.9, "3": 0.05} if rating != 3 else {"3": 1.0})
    return Answer(200, completion("ABCD"[ratings.index(max(ratings))], usage=USAGE))


def questions(server: ProviderServer) -> list[str]:
    return [fingerprint(seen.body) for seen in server.requests]


# --- a preference for a place


@pytest.mark.parametrize(("prompt", "places"), [("pair@1", 2), ("few@1", 3)])
def test_a_report_says_how_often_what_stood_at_each_place_won(prompt: str, places: int) -> None:
    with ProviderServer(reply=lambda messages: "A") as server:
        finished(evaluate(write_suite(RATED, by(prompt), served(server)), out="run"))
        asked = server.count
    assert pair()["wins"] == [asked, *[0] * (places - 1)]
    assert not verification(Path("run")).differences
    said = asking_sentences(RunResults.read(Path("run/results.json"), "{why}"))
    share = f"won 100 % of {asked} comparisons" if places == 2 else f"chosen {asked}, 0, 0 times"
    assert [share in sentence for sentence in said] == [True]


@each_way
def test_a_page_says_which_candidates_each_question_showed(prompt: str) -> None:
    """Also where a reply was of no use and the question was asked again."""

    def sometimes(body: Any, headers: Mapping[str, str], n: int) -> Answer:
        useless = Answer(200, completion("Hm.", usage=USAGE))
        return useless if not body.get("logprobs") and n % 3 == 0 else knowing(body, headers, n)

    with ProviderServer(sometimes) as server:
        finished(evaluate(write_suite(RATED, by(prompt), served(server)), out="run"))
        asked = Counter(tuple(ratings_in(seen.body)) for seen in server.requests)
    evidence = read_evidence(Path("run"), PromptLibrary())
    assert evidence is not None
    told: Counter[tuple[int, ...]] = Counter()
    for choice in evidence.choices:
        items = [evidence.items[i] for i in evidence.showings[choice.showing].items]
        topics = [re.findall(r"Explain topic \d+", item.instruction)[0] for item in items]
        told.update(tuple(RATING[topics[s]] for s in a.shown or ()) for a in choice.attempts)
    assert {shown: times for shown, times in told.items() if shown} == asked
    assert "and which candidates each of them showed" in " ".join(evidence.notes)


def test_what_a_question_showed_is_left_out_where_the_answers_lead_elsewhere() -> None:
    with ProviderServer(knowing) as server:
        finished(evaluate(write_suite(RATED, by("pair@1"), served(server)), out="run"))
    begin, *rows = read_jsonl(Path("run/decisions.jsonl"))
    for row in rows:
        row |= {"wins": [10, 0]} if "model" in row else {}
    write_jsonl(Path("run/decisions.jsonl"), [begin, *rows])
    evidence = read_evidence(Path("run"), PromptLibrary())
    assert evidence is not None
    assert not any(a.shown for choice in evidence.choices for a in choice.attempts)


@pytest.mark.parametrize(("prompt", "respond"), [("short@1", None), ("point@1", knowing)])
def test_nothing_is_said_of_places_where_none_is_compared(prompt: str, respond: Any) -> None:
    with ProviderServer(respond) as server:
        finished(evaluate(write_suite(RATED, by(prompt), served(server)), out="run"))
    assert "wins" not in pair()
    assert all("wins" not in row for row in logged())


# --- what is asked, and what comes of it


@each_way
def test_a_model_that_knows_the_ratings_picks_the_best_in_every_way(prompt: str) -> None:
    with ProviderServer(knowing) as server:
        finished(evaluate(write_suite(RATED, by(prompt), served(server)), out="run"))
        asked = server.count
    captured = pair()["agreement"]["rating"]["captured"]["estimate"]
    assert captured == pytest.approx(1.0) if prompt != "pair@1" else captured > 0.9
    assert pair()["valid_rate"] == 1.0
    for row in read_jsonl(Path("run/decisions.jsonl")):
        Draft202012Validator(schema("decision")).validate(row)
    assert not verification(Path("run")).differences
    fewest, most = CALLS[prompt]
    assert asked == sum(len(row["attempts"]) for row in logged())
    for row in logged():
        assert fewest <= len(row["attempts"]) <= most
        assert (len(row["picks"]), len(row["shown"])) == (2, 5)


def test_one_item_at_a_time_takes_one_token_each_and_keeps_the_value() -> None:
    with ProviderServer(knowing) as server:
        finished(evaluate(write_suite(RATED, by("point@1"), served(server)), out="run"))
        bodies = [seen.body for seen in server.requests]
    assert {(body["max_tokens"], body["top_logprobs"]) for body in bodies} == {(1, 20)}
    assert {len(ratings_in(body)) for body in bodies} == {1}
    rows = {row["id"]: row["rating"] for row in pool_rows()}
    for row in logged():
        for pick, score in zip(row["picks"], row["scores"], strict=True):
            rating = rows[pick]
            assert score == pytest.approx((0.9 * rating + 0.05 * 3) / 0.95, abs=1e-9)


@each_way
def test_what_is_the_same_in_all_prompts_comes_first(prompt: str) -> None:
    """Servers keep the beginning of a prompt: criteria come before any candidate."""
    with ProviderServer(knowing) as server:
        finished(evaluate(write_suite(RATED, by(prompt), served(server)), out="run"))
        texts = ["".join(m["content"] for m in seen.body["messages"]) for seen in server.requests]
    start = texts[0].index("Explain topic")
    assert {text[:start] for text in texts} == {texts[0][:start]}
    assert start > 0.6 * min(map(len, texts))


def test_comparisons_show_a_pair_in_either_direction_and_a_winner_in_either_place() -> None:
    with ProviderServer(knowing) as server:
        finished(evaluate(write_suite(RATED, by("pair@1"), served(server)), out="run"))
        shown = [ratings_in(seen.body) for seen in server.requests]
    first = sum(a > b for a, b in shown) / sum(a != b for a, b in shown)
    assert 0.3 < first < 0.7


def test_a_model_that_takes_what_comes_first_picks_at_random_in_pairs() -> None:
    write_jsonl(Path("pool.jsonl"), pool_rows(600))
    finished(evaluate(write_suite(RATED, by("pair@1")), out="run"))  # mock/first
    captured = pair()["agreement"]["rating"]["captured"]
    assert captured["low"] < 0 < captured["high"]


def test_ab_compares_two_ways_of_asking_on_the_same_clusters(tmp_path: Path) -> None:
    models = "mock/first -> 'mock/skill:0.6'"
    suite = write_suite(RATED, "short@1 -> short@1, pair@1, point@1, few@1", models)
    for way in ("pair@1", "point@1", "few@1"):
        found = finished(ab(suite, "short@1", way, out=f"ab-{way}"))
        change = found.details
        assert change.clusters == CLUSTERS
        # A scripted picker has one mind: asked in another way it picks the same.
        assert abs(change.difference.estimate) < 0.2, way


# --- failures


def test_a_comparison_that_failed_is_asked_again_and_counts_for_nobody() -> None:
    """The server gives no letter for pairs with the best item: that item is never picked by it."""

    def silent_on_five(body: Any, headers: Mapping[str, str], n: int) -> Answer:
        if max(ratings_in(body)) == 5:
            return Answer(200, completion("I would rather not say.", usage=USAGE))
        return knowing(body, headers, n)

    with ProviderServer(silent_on_five) as server:
        suite = write_suite(RATED, by("pair@1"), served(server), "reask: 1")
        finished(evaluate(suite, out="run"))
    ratings = {row["id"]: row["rating"] for row in pool_rows()}
    with_five = [row for row in logged() if 5 in map(ratings.get, row["shown"])]
    assert with_five
    for row in with_five:
        assert 5 not in map(ratings.get, row["picks"])
        assert row["status"] == "repaired"
        assert {"no_answer", "missing_answers"} <= {*row["problems"]}
        assert len(row["attempts"]) > 10
        assert "ranking" not in row


@each_way
def test_a_call_that_fails_makes_the_whole_decision_an_error_and_no_pick(prompt: str) -> None:
    """What came back is kept: the same command asks only for the rest."""

    def failing(body: Any, headers: Mapping[str, str], n: int) -> Answer:
        return FAULTS["400"] if n == 2 else knowing(body, headers, n)

    with ProviderServer(failing) as server:
        suite = write_suite(RATED, by(prompt), served(server))
        with pytest.raises(ProviderError, match="1 of 8 decisions could not be made"):
            finished(evaluate(suite, out="run", concurrency=1))
        assert Counter(row["status"] for row in logged()) == {"error": 1, "ok": 7}
        error = next(row for row in logged() if row["status"] == "error")
        assert error["picks"] == []
        assert len(error["attempts"]) == 3  # two answers that are kept, and the failure
        finished(evaluate(suite, out="run", concurrency=1))
        decided = {row["cluster"]: row for row in logged()}
        asked = sum(len(row["attempts"]) for row in decided.values())
        assert server.count == asked + 1
        assert len(set(questions(server))) == asked


def test_a_provider_that_lists_no_log_probabilities_ends_it_with_its_first_reply() -> None:
    with ProviderServer(reply=lambda messages: "3") as server:
        suite = write_suite(RATED, by("point@1"), served(server))
        with pytest.raises(ProviderError, match="the provider returns no log-probabilities"):
            finished(evaluate(suite, out="run", concurrency=1))
        assert server.count == 1


# --- plans, budgets, the cache


@each_way
def test_a_plan_knows_the_calls_and_their_tokens(prompt: str) -> None:
    with ProviderServer(knowing) as server:
        changes = (RATED, by(prompt), served(server, price={"input": 1, "output": 1}), "reask: 0")
        ahead = planned(*changes)
        assert server.count == 0
        assert ahead["calls"] == ahead["calls_most"] == CLUSTERS * CALLS[prompt][1]
        finished(evaluate(write_suite(*changes), out="run"))
        asked = sum(len(seen.body["messages"][-1]["content"]) for seen in server.requests)
        after = planned(*changes)
    assert (after["known"], after["calls"]) == (CLUSTERS, 0)
    assert ahead["tokens_in"] == pytest.approx(asked / 4, rel=0.9)
    assert ahead["usd"] > 0


def test_one_item_at_a_time_is_planned_and_asked_once_for_all_orders() -> None:
    with ProviderServer(knowing) as server:
        changes = (RATED, by("point@1"), served(server), "orders: 3")
        assert planned(*changes)["calls"] == CLUSTERS * 5
        finished(evaluate(write_suite(*changes), out="run"))
        assert server.count == CLUSTERS * 5
    assert len(logged()) == CLUSTERS * 3


def test_a_budget_that_is_used_up_ends_between_two_comparisons_and_more_goes_on() -> None:
    with ProviderServer(knowing) as server:
        suite = write_suite(RATED, by("pair@1"), served(server))
        with pytest.raises(BudgetReached):
            finished(evaluate(suite, out="run", max_requests=25, concurrency=1))
        assert server.count == 25
        finished(evaluate(suite, out="run", concurrency=1))
        assert server.count == len(set(questions(server))) == CLUSTERS * 10


def test_offline_it_says_what_is_missing_and_replays_what_is_there() -> None:
    with ProviderServer(knowing) as server:
        suite = write_suite(RATED, by("pair@1"), served(server))
        with pytest.raises(ReplyMissing, match="40 of pair@1 with m"):  # the first five of each
            finished(evaluate(suite, out="run", offline=True))
        finished(evaluate(suite, out="run"))
        finished(evaluate(suite, out="again", offline=True))
        assert server.count == CLUSTERS * 10
    assert pair("again") == pair("run")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@each_way
def test_a_process_that_was_killed_goes_on_where_it_was(prompt: str) -> None:
    with ProviderServer(_slowly(knowing)) as server:
        suite = write_suite(RATED, by(prompt), served(server))
        words = ("-m", "selectllm", "eval", suite, "-o", "run", "-j", 2)
        killed = forked.fork(*words, loads=forked.ASKING)
        while server.count < 7:
            assert killed.poll() is None, killed.err
            time.sleep(0.005)
        os.kill(killed.pid, signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL
        again = forked.fork(*words, loads=forked.ASKING)
        assert again.wait() == 0, again.err
        asked = sum(len(row["attempts"]) for row in logged())
        assert len(set(questions(server))) == asked
        assert len(questions(server)) <= asked + 2  # those in flight
    assert Counter(row["status"] for row in logged()) == {"ok": CLUSTERS}


def _slowly(respond: Any) -> Any:
    def answer(body: Any, headers: Mapping[str, str], n: int) -> Answer:
        return Answer(200, respond(body, headers, n).body, delay=0.02)

    return answer


# --- elsewhere


def test_select_keeps_the_value_that_an_item_was_picked_by() -> None:
    with ProviderServer(knowing) as server:
        model = ModelSpec("m", "openai/m", api_base=server.base_url)
        selection = sl.select("pool.jsonl", budget=8, prompt="point@1", model=model, by="random")
    for choice in selection.chosen:
        value = (0.9 * choice.item.row["rating"] + 0.15) / 0.95
        assert choice.score == pytest.approx(value, abs=1e-9)


@each_way
def test_an_audit_asks_in_the_same_way(prompt: str) -> None:
    suite = write_suite(RATED, by(prompt), "mock/first -> 'mock/skill:0.8'")
    found = finished(audit(suite, orders=2, repeats=2, out="audit"))
    assert found is not None


def test_the_strategy_rating_takes_a_prompt_that_is_answered_by_log_probabilities() -> None:
    with ProviderServer(knowing) as server:
        changes = (RATED, by("point@1"), served(server), "strategies: ['rating:point@1+m']")
        finished(evaluate(write_suite(*changes), out="run"))
        assert server.count == 40  # it asks what the prompt asks, and each once
    strategies = read_json(Path("run/results.json"))["strategies"]
    captured = strategies[0]["agreement"]["rating"]["captured"]["estimate"]
    assert captured == pytest.approx(1.0)


def test_the_report_says_that_it_does_not_show_what_each_question_showed(
    selectllm: Command,
) -> None:
    finished(evaluate(write_suite(RATED, by("pair@1")), out="run"))
    assert selectllm("report", "run", "--html").code == 0
    page = Path("run/report.html").read_text("utf-8")
    assert "pair@1 asks several questions about each cluster" in page


@each_way
def test_prompts_are_rendered_as_one_question_shows_them(prompt: str, selectllm: Command) -> None:
    shown = selectllm("prompts", "render", prompt, "pool.jsonl", "--size", 5, "--k", 2)
    assert shown.code == 0
    many = {"point@1": 1, "yes-no@1": 1, "pair@1": 2, "few@1": 4}[prompt]
    assert shown.out.count("Explain topic") == many


def test_prompts_check_finds_a_head_that_does_not_fit(selectllm: Command) -> None:
    path = Path("prompts/mine/v1.jinja")
    path.parent.mkdir(parents=True)
    Path(draft({"reply": "digit", "labels": "numbers", "scale": "5-1"})).rename(path)
    found = selectllm("prompts", "check", "--prompts", "prompts")
    assert found.code == 1
    assert "`reply: digit` needs the scale" in found.out + found.err


def test_models_check_asks_one_question_as_the_prompt_does(selectllm: Command) -> None:
    with ProviderServer(knowing) as server:
        suite = write_suite(RATED, by("pair@1"), served(server))
        assert selectllm("models", "check", suite).code == 0
        assert len(ratings_in(server.requests[0].body)) == 2


# --- what cannot work is said before anything is sent


def draft(head: Mapping[str, object]) -> str:
    lines = "".join(f"{key}: {value}\n" for key, value in head.items())
    body = "{% block user %}{% for item in items %}{{ item.instruction }}{% endfor %}{% endblock %}"
    Path("mine.jinja").write_text(f"---\ndescription: d\n{lines}---\n{body}\n", "utf-8")
    return "./mine.jinja"


CHOICE = {"reply": "choice", "labels": "letters"}


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ({"reply": "digit", "labels": "numbers"}, "`reply: digit` needs the scale"),
        ({"reply": "digit", "labels": "numbers", "scale": "1-10"}, "scale is '1-10'"),
        (
            {"reply": "indices", "labels": "numbers", "scale": "1-5"},
            "scale goes with `reply: digit`",
        ),
        ({"reply": "indices", "labels": "numbers", "show": 2}, "show goes with `reply: choice`"),
        ({"reply": "scores", "labels": "numbers", "calls": 9}, "calls goes with `reply: choice`"),
        ({**CHOICE, "show": 1}, "show: 1 must be 2 or more"),
        ({**CHOICE, "show": "two"}, "show must be a whole number above 0, not 'two'"),
        ({**CHOICE, "calls": 0}, "calls must be a whole number above 0, not 0"),
        ({**CHOICE, "show": 3, "calls": 9}, "calls works only with `show: 2`"),
        ({**CHOICE, "calls": 2}, "`calls: 2` is too few for clusters of 5"),
        ({**CHOICE, "reply": "choise"}, "Did you mean 'choice'"),
    ],
)
def test_front_matter_that_does_not_fit_is_an_error(head: Mapping[str, Any], words: str) -> None:
    with pytest.raises(PromptError, match=re.escape(words)):
        finished(evaluate(write_suite(RATED, by(f"'{draft(head)}'")), out="run"))
    assert not Path("run").exists()


@each_way
@pytest.mark.parametrize("job", [evaluate, plan])
def test_a_vote_is_for_prompts_that_show_whole_clusters(prompt: str, job: Any) -> None:
    with ProviderServer(knowing) as server:
        suite = write_suite(RATED, by(prompt), served(server, vote={"orders": 3}))
        with pytest.raises(PromptError, match=f"{prompt}.*several questions.*without `vote`"):
            finished(job(suite))
        assert server.count == 0


@pytest.mark.parametrize("provider", ["anthropic/claude-x", "ollama_chat/m", "mistral/m"])
@pytest.mark.parametrize("job", [evaluate, plan])
def test_a_provider_without_log_probabilities_cannot_be_asked_by_them(
    provider: str, job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC", "MISTRAL"):
        monkeypatch.setenv(f"{name}_API_KEY", "k" * 20)
    with ProviderServer() as server:
        entry = json.dumps({"name": "m", "id": provider, "api_base": server.root})
        suite = write_suite(RATED, by("point@1"), f"mock/first -> {entry}")
        with pytest.raises(ModelError, match=r"point@1 needs log-probabilities"):
            finished(job(suite))
        assert server.count == 0


def test_a_model_that_thinks_first_cannot_be_asked_by_its_first_token() -> None:
    with ProviderServer(knowing) as server:
        suite = write_suite(RATED, by("point@1"), served(server, reasoning="low"))
        with pytest.raises(
            ModelError, match=r"point@1.*belongs to the thinking.*Set reasoning to off"
        ):
            finished(evaluate(suite, out="run"))
        assert server.count == 0


@each_way
def test_batches_are_refused(prompt: str) -> None:
    with ProviderServer(knowing) as server:
        suite = write_suite(RATED, by(prompt), served(server, price={"input": 1, "output": 1}))
        with pytest.raises(SelectLLMError, match=f"{prompt}.*cannot be asked in batches"):
            finished(evaluate(suite, out="run", batch=True))
        assert server.count == 0


def test_a_comparing_prompt_rates_nothing() -> None:
    changes = (RATED, "strategies: ['rating:pair@1+mock/first']")
    with pytest.raises(PromptError, match="pair@1 asks for choice, and a rating needs scores"):
        finished(evaluate(write_suite(*changes), out="run"))


def test_optimize_searches_prompts_that_show_whole_clusters(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    suite = write_suite(RATED, by("pair@1"))
    with pytest.raises(PromptError, match="optimize searches prompts that show whole clusters"):
        finished(optimize(suite, grid=True, prompts=tmp_path / "prompts"))


def test_cache_explain_counts_the_questions_up_to_a_missing_reply(selectllm: Command) -> None:
    with ProviderServer(knowing) as server:
        suite = write_suite(RATED, by("pair@1"), served(server))
        with pytest.raises(BudgetReached):
            finished(evaluate(suite, out="run", max_requests=25, concurrency=1))
        told = selectllm("cache", "explain", suite, "--json")
        assert told.code == 0
        (explained,) = json.loads(told.out)["pairs"]
        # Two decisions are whole; the third has its first five answers, so that its sixth question
        # is known; of the others the first five questions are.
        assert (explained["questions"], explained["cached"]) == (2 * 10 + 6 + 5 * 5, 25)
        assert server.count == 25
