"""Votes and log-probabilities: what is asked, logged, planned and resumed."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

import pytest
from jsonschema import Draft202012Validator

from selectllm.core.codec import seeded_hash
from selectllm.core.errors import PromptError, ProviderError, ReplyMissing, SuiteError
from selectllm.core.files import read_json
from selectllm.evaluation.runs.verify import verification
from selectllm.jobs.comparing import ab
from selectllm.jobs.evaluating import EvaluatingArguments, evaluate
from selectllm.jobs.evaluation import Evaluation
from selectllm.jobs.planning import plan
from selectllm.jobs.sync import finished
from selectllm.models.model import Rule
from selectllm.report.schemas import schema
from selectllm.selection.concurrency import FAILURES_IN_A_ROW
from selectllm.selection.voting import Ballot, combine
from tests.conftest import read_jsonl
from tests.support.cli_files import RATED, served, statuses, write_suite
from tests.support.provider_server import FAULTS, Answer, ProviderServer, completion
from tests.support.runs import logged, pair, planned

CLUSTERS = 8
VALID = Answer(200, completion("[1, 2]"))
BEST = "short@1 -> best@1"


@pytest.fixture(autouse=True)
def pool(forty: Path) -> Path:
    """pool.jsonl of 40 items in the current folder, and a cache of its own."""
    return forty


def evaluated(*changes: str, **arguments: Unpack[EvaluatingArguments]) -> Evaluation:
    """The suite's run, in the folder `run` unless told otherwise."""
    return finished(evaluate(write_suite(*changes), **{"out": "run", **arguments}))


# --- votes


@pytest.mark.parametrize(
    ("plain", "vote", "rule"),
    [
        ("orders: 3", {"orders": 3}, "borda"),
        ("repeats: 3", {"repeats": 3}, "majority"),
        ("orders: 3", {"orders": 3, "by": "majority"}, "majority"),
        ("orders: 2\nrepeats: 2", {"orders": 2, "repeats": 2}, "borda"),
    ],
)
def test_a_vote_asks_what_a_suite_with_as_many_orders_or_repeats_asks_and_combines_it(
    plain: str, vote: dict[str, Any], rule: Rule
) -> None:
    with ProviderServer(reply=choosing) as server:
        evaluated(served(server), plain, out="plain")
        asked = server.count
        evaluated(served(server, vote=vote), out="voting")
        assert server.count == asked
    by_cluster: dict[int, list[Any]] = {}
    for row in logged("plain"):
        by_cluster.setdefault(row["cluster"], []).append(row)
    decided = logged("voting")
    assert len(decided) == CLUSTERS
    for row in decided:
        cast = by_cluster[row["cluster"]]
        ballots = [Ballot(tuple(each["picks"])) for each in cast]
        elected = combine(ballots, row["shown"], 2, rule, lambda item: seeded_hash("vote", 0, item))
        assert tuple(row["picks"]) == elected.picks
        assert row["shown"] == cast[0]["shown"]
        assert len(row["attempts"]) == len(cast)


def choosing(messages: Any) -> str:
    """Picks that hang on all that is shown, like those of a model that order sways."""
    first = seeded_hash(str(messages)) % 5
    return f"[{first + 1}, {(first + 2) % 5 + 1}]"


def test_a_run_with_votes_is_of_the_usual_form_and_can_be_verified() -> None:
    vote = 'mock/first -> {"name": "three", "id": "mock/random", "vote": {"orders": 3}}'
    evaluated(RATED, vote)
    for row in read_jsonl(Path("run/decisions.jsonl")):
        Draft202012Validator(schema("decision")).validate(row)
    manifest = read_json(Path("run/run.json"))
    Draft202012Validator(schema("run")).validate(manifest)
    assert manifest["manifest"]["models"]["three"]["vote"] == {
        "orders": 3,
        "repeats": 1,
        "by": "borda",
    }
    assert not verification(Path("run")).differences


def test_a_run_without_votes_has_the_manifest_that_it_had_before_there_were_any() -> None:
    evaluated()
    model = read_json(Path("run/run.json"))["manifest"]["models"]["mock/first"]
    assert model.keys() & {"vote", "answer"} == set()


def test_decisions_of_further_orders_and_repeats_share_no_ballot(server: ProviderServer) -> None:
    vote = served(server, temperature=0.7, vote={"orders": 2, "repeats": 3})
    # Of ten items no two orders are the same by chance.
    evaluated(vote, "size: 5 -> size: 10", "orders: 2\nrepeats: 2")
    keys = [attempt["request_sha256"] for row in logged() for attempt in row["attempts"]]
    assert len(keys) == len(set(keys)) == server.count == 4 * 4 * 6
    assert {request.body["seed"] for request in server.requests} == set(range(6))


def test_ab_compares_the_plain_way_with_a_vote_and_asks_their_common_question_once() -> None:
    with ProviderServer(reply=choosing) as server:
        entry = {"id": "openai/m", "api_base": server.base_url}
        models = [{"name": "one", **entry}, {"name": "three", **entry, "vote": {"orders": 3}}]
        suite = write_suite(RATED, f"[mock/first] -> {json.dumps(models)}")
        verdict = finished(ab(suite, a="one", b="three", out="run"))
        assert server.count == CLUSTERS * 3
    assert verdict.run.results.to_json()["verdicts"][0]["clusters"] == CLUSTERS
    calls = Counter(row["model"] for row in logged() for _ in row["attempts"])
    assert calls == {"one": CLUSTERS, "three": CLUSTERS * 3}


def test_a_ballot_that_cannot_be_used_leaves_the_decision_to_the_others(
    server: ProviderServer,
) -> None:
    server.queue(VALID, Answer(200, completion("neither")), VALID)
    changes = (served(server, vote={"orders": 3}), "reask: 0", RATED)
    evaluated(*changes, concurrency=1)
    odd = [row for row in logged() if row["status"] != "ok"]
    assert [(row["status"], len(row["picks"]), len(row["attempts"])) for row in odd] == [
        ("repaired", 2, 3)
    ]
    assert "missing_ballots" in odd[0]["problems"]
    assert pair()["valid_rate"] == 1.0


def test_a_failed_ballot_is_an_error_and_a_rerun_asks_only_what_is_missing(
    server: ProviderServer,
) -> None:
    server.queue(VALID, FAULTS["400"])
    changes = (served(server, vote={"orders": 3}), RATED)
    with pytest.raises(ProviderError):
        evaluated(*changes, concurrency=1)
    assert Counter(statuses(Path("run/decisions.jsonl"))) == {"error": 1, "ok": CLUSTERS - 1}
    failed = next(row for row in logged() if row["status"] == "error")
    assert failed["picks"] == []
    paid, refused = failed["attempts"]  # both are kept: one was paid for, one says why
    assert (paid["reply"], refused["kind"], refused["status"]) == ("[1, 2]", "request", 400)
    asked = server.count
    evaluated(*changes, concurrency=1)
    assert server.count == asked + 2
    made = [row for row in logged() if row["cluster"] == failed["cluster"]]
    assert [row["status"] for row in made] == ["error", "ok"]
    assert [attempt["cached"] for attempt in made[1]["attempts"]] == [True, False, False]


def test_a_ballot_that_is_answered_ends_a_row_of_failures(server: ProviderServer) -> None:
    server.queue(*[VALID, FAULTS["400"]] * 40)
    changes = (served(server, vote={"orders": 2}), RATED, "size: 5 -> size: 3")
    with pytest.raises(ProviderError):
        evaluated(*changes, concurrency=1)
    assert {row["status"] for row in logged()} == {"error"}
    assert len(logged()) > FAILURES_IN_A_ROW
    assert server.count == 2 * len(logged())


def test_offline_every_missing_ballot_is_counted(server: ProviderServer) -> None:
    vote = served(server, vote={"repeats": 3})
    with pytest.raises(ReplyMissing, match=f"{CLUSTERS * 3} of short@1 with m"):
        evaluated(vote, offline=True)


def test_a_plan_counts_every_ballot(server: ProviderServer) -> None:
    vote = served(server, vote={"orders": 3}, price={"input": 1, "output": 2})
    one = planned(served(server, price={"input": 1, "output": 2}))
    three = planned(vote)
    assert (three["decisions"], three["known"]) == (one["decisions"], 0) == (CLUSTERS, 0)
    for name in ("calls", "calls_most", "tokens_in", "tokens_out"):
        assert three[name] == 3 * one[name], name
    assert three["usd"] == pytest.approx(3 * one["usd"])
    assert three["usd_most"] == pytest.approx(3 * one["usd_most"], abs=1e-5)


def test_a_plan_knows_the_ballots_that_were_cast_and_what_they_took(server: ProviderServer) -> None:
    vote = served(server, vote={"orders": 3})
    evaluated(served(server), "orders: 2", out="plain")
    evaluated(vote, "size: 5 -> size: 5, limit: 2")
    rest = planned(vote)
    assert (rest["known"], rest["calls"]) == (2, CLUSTERS - 2)
    assert (rest["pace"]["asks"], rest["pace"]["source"]) == (3.0, "replies")
    assert rest["calls_most"] == 3 * (CLUSTERS - 2)


# --- log-probabilities


def test_log_probabilities_go_the_whole_way_to_a_ranking_and_its_figures() -> None:
    oracle = 'mock/first -> {"name": "o", "id": "mock/oracle", "answer": "logprobs"}'
    evaluated(RATED, BEST, oracle)
    rating = pair()["agreement"]["rating"]
    assert rating["captured"]["estimate"] == pytest.approx(1.0)
    assert rating["ndcg"]["estimate"] == pytest.approx(1.0)
    assert all(len(row["ranking"]) == 5 and len(row["attempts"]) == 1 for row in logged())
    assert not verification(Path("run")).differences


def test_rankings_of_several_orders_are_one_ranking() -> None:
    settings = {"id": "mock/oracle", "answer": "logprobs", "vote": {"orders": 3}}
    oracle = f"mock/first -> {json.dumps(settings)}"
    evaluated(RATED, BEST, oracle)
    assert all(row["ranking"][:2] == row["picks"] for row in logged())
    assert pair()["agreement"]["rating"]["captured"]["estimate"] == pytest.approx(1.0)


def test_an_answer_without_any_label_is_not_asked_for_again() -> None:
    def words(body: Any, headers: Mapping[str, str], n: int) -> Answer:
        answer = completion("The", usage=None)
        top = [{"token": "The", "logprob": -0.1, "bytes": None}]
        token = {"token": "The", "logprob": -0.1, "bytes": None, "top_logprobs": top}
        answer["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
        return Answer(200, answer)

    with ProviderServer(words) as server:
        change = served(server, answer="logprobs")
        evaluated(RATED, BEST, change)
        assert server.count == CLUSTERS
        assert {request.body["max_tokens"] for request in server.requests} == {1}
    assert pair()["valid_rate"] == 0.0


def test_a_provider_without_log_probabilities_ends_the_run_and_says_what_to_do(
    server: ProviderServer,
) -> None:
    with pytest.raises(ProviderError, match="the provider returns no log-probabilities"):
        evaluated(BEST, served(server, answer="logprobs"), concurrency=1)
    assert server.count == 1


def test_a_plan_has_one_token_and_one_call_for_log_probabilities(server: ProviderServer) -> None:
    change = served(server, answer="logprobs", vote={"orders": 2})
    asked = planned(BEST, change)
    calls = CLUSTERS * 2
    assert (asked["calls"], asked["calls_most"], asked["tokens_out"]) == (calls, calls, calls)


@pytest.mark.parametrize("job", [evaluate, plan])
def test_a_prompt_without_letters_cannot_be_answered_so(server: ProviderServer, job: Any) -> None:
    suite = write_suite(served(server, answer="logprobs"))
    words = "short@1 has reply: indices and labels: numbers.*such as best@1"
    with pytest.raises(PromptError, match=words):
        finished(job(suite))


@pytest.mark.parametrize(
    ("vote", "words"),
    [
        ({"orders": 1}, "models.0.vote: {'orders': 1} should have orders or repeats above 1"),
        ({"ordres": 3}, "unknown key 'models.0.vote.ordres'. Did you mean 'orders'"),
        ({"orders": 2, "by": "sum"}, "models.0.vote.by: 'sum' should be 'borda' or 'majority'"),
    ],
)
def test_a_suite_says_what_is_wrong_with_a_vote(vote: dict[str, Any], words: str) -> None:
    suite = write_suite(f"mock/first -> {json.dumps({'id': 'mock/first', 'vote': vote})}")
    with pytest.raises(SuiteError, match=re.escape(words)):
        finished(evaluate(suite))
