"""The DSPy module selects by our own decisions; the teacher is asked through our own models."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selectllm.core.errors import ExtraMissing, ProviderError
from selectllm.core.types import Decision, Reply
from selectllm.models.connect import Connections
from selectllm.models.model import ModelSpec, Request
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.optimization import gepa_program
from selectllm.optimization.gepa_program import (
    LOCAL_TOKENS,
    LONGEST,
    Proposal,
    Teacher,
    load_dspy,
    selection_metric,
    selection_module,
)
from selectllm.optimization.metric import Metric
from selectllm.prompting.library import PromptLibrary
from tests.support.optimize_cases import proposal

GIVEN = "  Given text,\n    indented.\n\n"
EXAMPLES = ({"shown": "[1] one", "reply": "[1]", "feedback": "Score 0.10."},) * 3


async def by_text(text: str, cluster: int) -> Decision:
    """Picks c if told so, else a."""
    picks = ("c",) if "pick c" in text else ("a",)
    return Decision(cluster, 0, 0, 0, ("a", "b", "c"), picks, "ok", problems=(text,))


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


def test_the_module_decides_by_its_instructions_byte_for_byte() -> None:
    made = selection_module(by_text, GIVEN)(cluster=3)
    assert (made.picks, made.status, made.decision.cluster) == (["a"], "ok", 3)
    assert made.decision.problems == (GIVEN,)


def test_instructions_that_an_optimiser_wrote_are_used() -> None:
    module = selection_module(by_text, GIVEN).deepcopy()
    module.select.signature = module.select.signature.with_instructions("pick c")
    assert module(cluster=3).picks == ["c"]


def test_dspys_own_optimiser_runs_on_the_module_and_metric() -> None:
    dspy = load_dspy()
    utility = {"a": 1.0, "b": 2.0, "c": 3.0}
    metric = selection_metric(Metric(PromptLibrary().load("short@1"), utility, 1))
    examples = [dspy.Example(cluster=number).with_inputs("cluster") for number in range(4)]
    lm = dspy.LM("x/y", engine=Always('{"new_instruction": "pick c"}'), cache=False)
    gepa = dspy.GEPA(metric, max_metric_calls=30, reflection_lm=lm, num_threads=1)
    best = gepa.compile(selection_module(by_text, "."), trainset=examples, valset=examples)
    assert best.instructions == "pick c"


class Always:
    """An engine of DSPy that says one thing."""

    def __init__(self, text: str) -> None:
        self.text = text

    def complete(self, request: Any) -> Any:
        from dspy.lm15 import Message, Response, TextPart, Usage

        said = Message.assistant([TextPart(self.text)])
        return Response(None, "m", said, "stop", Usage())


class Scripted:
    """A model that replies what it is told, or raises it."""

    def __init__(self, *says: str | Reply | Exception) -> None:
        self.says = list(says)
        self.asked: list[Request] = []

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        said = self.says.pop(0)
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, Reply) else Reply(said, cost_usd=0.01)

    async def close(self) -> None:
        """Nothing was opened."""


CUT = Reply(proposal("Half of the new"), finish_reason="length")


def teacher(model: Scripted, runner: asyncio.Runner, **settings: Any) -> Teacher:
    return Teacher(ModelSpec(name="t", id="openai/t", **settings), model, None, runner.run)


def proposed(reply: str | Reply, runner: asyncio.Runner) -> Proposal:
    return teacher(Scripted(reply), runner).propose("Old.", EXAMPLES)


def test_the_teacher_sees_instructions_and_feedback_and_its_text_is_taken(
    runner: asyncio.Runner,
) -> None:
    model = Scripted(proposal(" New {{ one }}.\n"))
    found = teacher(model, runner).propose("Old.", EXAMPLES)
    assert found == Proposal(
        "New {{ one }}.", None, Reply(proposal(" New {{ one }}.\n"), cost_usd=0.01)
    )
    sent = "\n".join(message["content"] for message in model.asked[0].messages)
    assert "Old." in sent
    assert "Score 0.10." in sent


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("I would rather not.", "cannot be serialized"),
        ("", "empty"),
        (CUT, "cut off at the teacher's max_tokens"),
        (proposal("  "), "holds no instructions"),
        ('{"new_instructions": null}', "holds no instructions"),
        ('{"new_instructions": ["a", "b"]}', "new_instructions"),
        (Reply("", finish_reason="refused"), "the teacher refused to answer"),
        (proposal("with a \x00"), "control characters"),
        (proposal("Old. "), "are the old ones"),
        (proposal("half a \ud800"), "not valid Unicode"),
        (proposal("x" * (LONGEST + 1)), "more than 8,000"),
    ],
)
def test_a_reply_that_cannot_be_used_says_why(
    reply: str | Reply, problem: str, runner: asyncio.Runner
) -> None:
    found = proposed(reply, runner)
    assert found.text is None
    assert found.problem is not None
    assert problem in found.problem


def test_a_failure_of_the_teacher_comes_out_as_it_is(runner: asyncio.Runner) -> None:
    with pytest.raises(ProviderError, match="no such luck"):
        teacher(Scripted(ProviderError("no such luck")), runner).propose("Old.", EXAMPLES)


def test_the_same_question_again_is_a_new_repeat(runner: asyncio.Runner) -> None:
    model = Scripted(proposal("One."), proposal("Two."))
    asking = teacher(model, runner)
    texts = [asking.propose("Old.", EXAMPLES).text for _ in range(2)]
    assert texts == ["One.", "Two."]
    assert [(each.repeat, each.seed) for each in model.asked] == [(0, 0), (1, 1)]


def test_examples_that_do_not_fit_the_context_are_left_out(runner: asyncio.Runner) -> None:
    long = [{"shown": "word " * 400, "reply": "[1]", "feedback": "f"}] * 3
    model = Scripted(proposal("New."))
    assert teacher(model, runner, context=1800, max_tokens=200).propose("Old.", long).text == "New."
    assert model.asked[0].messages[-1]["content"].count("reply") == 2


def test_a_teacher_that_cannot_take_one_example_is_not_asked(runner: asyncio.Runner) -> None:
    found = teacher(Scripted(), runner, context=300, max_tokens=200).propose("Old.", EXAMPLES)
    assert found == Proposal(None, "one example alone does not fit the teacher's context")


def test_the_embedded_teacher_is_held_to_its_format(tmp_path: Path, runner: asyncio.Runner) -> None:
    spec = ModelSpec(name="l", id="local/smollm2-135m")
    shared = Connections(ReplyCache(tmp_path), {})
    opened = Teacher.open(spec, shared, runner.run, seed=3)
    request = replace(opened, model=Scripted()).request(({"role": "user", "content": "x"},))
    assert request.grammar == gepa_program.GRAMMAR
    assert request.max_tokens == LOCAL_TOKENS
    assert request.endpoint is not None


def test_dspy_that_cannot_be_loaded_is_told_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load_dspy.cache_clear()
    monkeypatch.setitem(sys.modules, "dspy", None)
    with pytest.raises(ExtraMissing, match=r'dspy-ai.*pip install "selectllm\[optimize\]"'):
        load_dspy()
