"""Batches by hand: what is written and read as files, and what of it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.models.providers.answers import Answered
from selectllm.models.providers.batch_lines import BatchAnswers, openai_outcome, read_answers
from tests.conftest import Command, read_jsonl
from tests.jobs.test_batching import FREE, PRICED, results, suite_of
from tests.support.batch_server import BatchServer
from tests.support.provider_server import error

OWN = """
from pathlib import Path
from selectllm.core.types import Reply

class Picker:
    def __init__(self, spec):
        pass

    async def complete(self, request):
        Path("asked").touch()
        return Reply("[1, 2]")

    async def close(self):
        pass
"""


def answer(batches: BatchServer, questions: str, out: str) -> list[dict[str, Any]]:
    """What `vllm run-batch -i QUESTIONS -o OUT` does."""
    rows = [
        {
            "id": f"vllm-{number}",
            "custom_id": row["custom_id"],
            "response": {"status_code": 200, "body": batches._completion(row["body"])},
            "error": None,
        }
        for number, row in enumerate(read_jsonl(Path(questions)))
    ]
    write(rows, out)
    return rows


def write(rows: list[dict[str, Any]], out: str) -> None:
    Path(out).write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


@pytest.mark.parametrize("model", ["openai/m", "hosted_vllm/m"])
def test_questions_go_out_and_answers_come_back_by_hand(
    selectllm: Command, batches: BatchServer, model: str
) -> None:
    suite = suite_of(batches, model, **FREE)
    rounds = 0
    while (
        "Nothing is missing" not in (written := selectllm("batch", "export", suite, "q.jsonl")).out
    ):
        assert written.code == 0, written.err
        assert " of m written to q.jsonl." in written.out
        rows = read_jsonl(Path("q.jsonl"))
        assert {row["url"] for row in rows} == {"/v1/chat/completions"}
        assert {row["body"]["model"] for row in rows} == {"m"}
        answer(batches, "q.jsonl", "a.jsonl")
        taken = selectllm("batch", "import", suite, "a.jsonl")
        assert taken.code == 0, taken.err
        assert f"{len(rows)} answer" in taken.out
        assert "selectllm eval suite.yaml" in taken.out
        rounds += 1
    assert rounds > 1  # replies that were not valid were asked again
    assert selectllm("eval", suite, "-o", "run").code == 0
    assert batches.calls == 0
    selectllm("eval", suite, "-o", "plain", "--cache", "other")
    assert results("run") == results("plain")


def test_the_lines_are_those_that_a_batch_is_sent(selectllm: Command, batches: BatchServer) -> None:
    suite = suite_of(batches, "openai/m")
    selectllm("batch", "export", suite, "q.jsonl")
    selectllm("eval", suite, "--batch")
    assert Path("q.jsonl").read_bytes() == batches.files["file-0"]


def test_what_is_amiss_in_answers_is_counted_and_the_rest_is_taken(
    selectllm: Command, batches: BatchServer
) -> None:
    suite = suite_of(batches, "openai/m", **PRICED)
    selectllm("batch", "export", suite, "q.jsonl")
    rows = answer(batches, "q.jsonl", "a.jsonl")
    busy = {"status_code": 500, "body": error("CUDA out of memory.")}
    changed = [{**rows[0], "response": busy}, *rows[2:], rows[3], {**rows[1], "custom_id": "odd"}]
    write(changed, "a.jsonl")
    with Path("a.jsonl").open("ab") as file:
        file.write(b"not json\n")
    taken = selectllm("batch", "import", suite, "a.jsonl")
    assert taken.code == 1, taken.err
    assert taken.out.splitlines()[:5] == [
        "6 answers added to the reply cache.",
        "1 line with an error.",
        "1 line for questions that were not asked.",
        "1 line that came twice.",
        "1 line that cannot be read.",
    ]
    assert "CUDA out of memory" in taken.out
    assert "1 question still without an answer." in taken.out
    assert "selectllm batch export suite.yaml REST.jsonl" in taken.out
    again = selectllm("batch", "import", suite, "a.jsonl", "--json")
    assert (again.json["kept"], again.json["known"]) == (0, 6)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), (b"", "None of its lines"), (b"\xff\n[]\n{}\n", "None of its")],
)
def test_a_file_without_answers_is_refused(
    selectllm: Command, batches: BatchServer, content: bytes | None, words: str
) -> None:
    suite = suite_of(batches, "openai/m")
    if content is not None:
        Path("a.jsonl").write_bytes(content)
    refused = selectllm("batch", "import", suite, "a.jsonl")
    assert refused.code == 2
    assert words in refused.err


def test_a_file_holds_the_questions_of_one_model(selectllm: Command, batches: BatchServer) -> None:
    suite = suite_of(batches, "openai/m")
    entry = json.dumps({"name": "n", "id": "openai/n", "api_base": batches.base_url})
    text = suite.read_text(encoding="utf-8")
    suite.write_text(text.replace("models: [", f"models: [{entry}, "), encoding="utf-8")
    refused = selectllm("batch", "export", suite, "q.jsonl")
    assert refused.code == 2
    assert "several models (m, n)" in refused.err
    assert "--model" in refused.err
    assert selectllm("batch", "export", suite, "q.jsonl", "--model", "n").code == 0
    assert {row["body"]["model"] for row in read_jsonl(Path("q.jsonl"))} == {"n"}
    unknown = selectllm("batch", "export", suite, "q.jsonl", "--model", "k")
    assert unknown.code == 2


def test_a_model_that_openais_form_cannot_ask_is_refused(
    selectllm: Command, batches: BatchServer
) -> None:
    suite = suite_of(batches, "ollama_chat/m")
    refused = selectllm("batch", "export", suite, "q.jsonl")
    assert refused.code == 2
    assert "ollama_chat/" in refused.err


def test_questions_are_not_written_over_a_file_of_another_kind(
    selectllm: Command, batches: BatchServer
) -> None:
    suite = suite_of(batches, "openai/m")
    refused = selectllm("batch", "export", suite, "pool.jsonl")
    assert refused.code == 2
    assert "pool.jsonl" in refused.err


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "custom_id": st.sampled_from(["a", "b"]) | JSON,
        "response": st.fixed_dictionaries(
            {}, optional={"status_code": st.sampled_from([200, 400, 500]) | JSON, "body": JSON}
        )
        | JSON,
        "error": st.fixed_dictionaries({"code": st.just("batch_expired")}) | JSON,
    },
)


@given(st.lists(st.binary() | ROWS.map(lambda row: json.dumps(row).encode())))
def test_whatever_comes_back_is_an_answer_a_fault_or_counted(lines: list[bytes]) -> None:
    answers = BatchAnswers()
    lines = [line.replace(b"\n", b" ") for line in lines]
    read_answers(lines, answers, openai_outcome)
    whole = sum(bool(line.strip()) for line in lines)
    assert whole == len(answers.outcomes) + answers.doubled + answers.garbage


@given(st.permutations([("a", True), ("a", False), ("b", True)]))
def test_an_answer_goes_over_a_fault_in_whatever_order(rows: list[tuple[str, bool]]) -> None:
    answers = BatchAnswers()
    body = {"choices": [{"message": {"content": "[1]"}, "finish_reason": "stop"}]}
    for name, good in rows:
        response = {"status_code": 200 if good else 500, "body": body}
        line = json.dumps({"custom_id": name, "response": response}).encode()
        read_answers([line], answers, openai_outcome)
    assert all(isinstance(each, Answered) for each in answers.outcomes.values())


def with_embedded(suite: Path) -> Path:
    """The suite with a model of the user's own besides, which writes a file when it is asked."""
    Path("own.py").write_text(OWN, encoding="utf-8")
    text = suite.read_text(encoding="utf-8")
    suite.write_text(text.replace("models: [", "models: [python/own:Picker, "), encoding="utf-8")
    return suite


def test_models_of_this_machine_are_not_asked_and_named(
    selectllm: Command, batches: BatchServer
) -> None:
    suite = with_embedded(suite_of(batches, "openai/m", **FREE))
    written = selectllm("batch", "export", suite, "q.jsonl")
    assert written.code == 0, written.err
    assert "questions of m written to q.jsonl." in written.out
    assert (
        "questions of python/own:Picker left out, because this model runs on your machine"
        in written.out
    )
    assert not Path("asked").exists()
    assert selectllm("batch", "export", suite, "q.jsonl", "--json").json["left_out"] == {
        "python/own:Picker": len(read_jsonl(Path("q.jsonl")))
    }
    answer(batches, "q.jsonl", "a.jsonl")
    assert selectllm("batch", "import", suite, "a.jsonl").code == 0
    assert not Path("asked").exists()
    assert selectllm("eval", suite, "-o", "run").code == 0
    assert Path("asked").exists()


@pytest.mark.parametrize("words", [(), ("--model", "python/own:Picker")])
def test_a_file_for_nobody_else_is_refused(
    selectllm: Command, batches: BatchServer, words: tuple[str, ...]
) -> None:
    suite = with_embedded(suite_of(batches, "openai/m", **FREE))
    if not words:
        text = suite.read_text(encoding="utf-8")
        start, end = text.index("models: ["), text.index("]", text.index("models: ["))
        suite.write_text(f"{text[:start]}models: [python/own:Picker{text[end:]}", encoding="utf-8")
    refused = selectllm("batch", "export", suite, "q.jsonl", *words)
    assert refused.code == 2
    assert "nothing to write for others to answer" in refused.err
    assert "selectllm eval suite.yaml" in refused.err
    assert not Path("q.jsonl").exists()
    assert not Path("asked").exists()
