"""Training a student and scoring it, by value: what is trained, kept, told and refused."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selectllm.core.errors import ModelError, RunError, UsageError
from selectllm.downstream.student.adapter import read_manifest
from selectllm.downstream.student.network import open_student
from selectllm.downstream.student.schema import StudentScores
from selectllm.downstream.student.score import score as score_student
from selectllm.jobs.exporting import export
from selectllm.jobs.options import ExportSettings
from selectllm.jobs.scoring import Scores, score
from selectllm.jobs.sync import finished
from selectllm.jobs.training import Trained, train
from selectllm.jobs.training_options import BaseSettings, ScoreSettings, TrainSettings
from selectllm.jobs.workshop import answered_items
from selectllm.report.layout import Visible
from selectllm.report.student import render_scores, trained_text
from tests.conftest import Command, read_jsonl, write_jsonl
from tests.downstream.student.test_training import items, made, one_thread
from tests.support.cli_files import files
from tests.support.jobs import Heard, fails
from tests.support.student_files import rows, student_files, tiny

__all__ = ["one_thread"]  # a fixture

LEARNED = sum(len(f"{item.response}") + 1 for item in items(8))  # a byte each, and the end


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Heard, Trained]:
    """A student that was trained on 8 items; nobody changes its folder."""
    heard = Heard(student_files(tmp_path_factory.mktemp("student")))
    return heard, trained(heard)


@pytest.fixture
def fresh(trained_once: tuple[Heard, Trained], tmp_path: Path) -> Heard:
    """The same files without the student."""
    shutil.copytree(trained_once[0].folder, tmp_path / "fresh")
    shutil.rmtree(tmp_path / "fresh" / "out")
    return Heard(tmp_path / "fresh")


@pytest.fixture
def again(trained_once: tuple[Heard, Trained], fresh: Heard) -> Heard:
    """The same files with the student, to be changed. Its base model is where it was."""
    shutil.copytree(trained_once[0].folder / "out", fresh.folder / "out")
    fresh.settings["cache"] = fresh.folder / "cache"
    return fresh


def training(heard: Heard, selection: str = "selection.jsonl", **named: Any) -> Any:
    """The job. Settings of the student are told from those of the training by their name."""
    place = named.pop("model", heard.folder)
    of_training = {
        name: named.pop(name)
        for name in ("out", "dev", "test", "seed", "columns", "test_columns")
        if name in named
    }
    settings = TrainSettings(**({"out": Path("out")} | of_training))
    student = tiny(place, **named)
    return train(selection, settings, student, session=heard.session())


def trained(heard: Heard, selection: str = "selection.jsonl", **named: Any) -> Trained:
    result: Trained = finished(training(heard, selection, **named))
    return result


def scoring(heard: Heard, folder: str | None = "out", **named: Any) -> Any:
    """The job, with the model and its settings apart."""
    of_base = {k: named.pop(k) for k in ("model", "mode", "max_length") if k in named}
    encoder = named.pop("encoder", None)
    settings = ScoreSettings(**({"test": "test.jsonl"} | named))
    place = None if folder is None else Path(folder)
    return score(place, settings, BaseSettings(**of_base), session=heard.session(encoder=encoder))


def scored(heard: Heard, folder: str | None = "out", **named: Any) -> Any:
    result: Scores = finished(scoring(heard, folder, **named))
    return result.results.to_json()


def adapter(heard: Heard, folder: str = "out") -> bytes:
    return (heard.folder / folder / "adapter_model.safetensors").read_bytes()


def shown(content: Any) -> str:
    from rich.console import Console

    console = Console(width=200)
    with console.capture() as text:
        console.print(Visible(render_scores(StudentScores.of(content))))
    return text.get()


# Training


def test_a_student_is_what_its_manifest_says(trained_once: tuple[Heard, Trained]) -> None:
    heard, result = trained_once
    assert result.folder == Path("out")
    assert {path.name for path in (heard.folder / "out").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "student.json",
    }
    assert result.manifest == read_manifest(heard.folder / "out")
    assert (result.choice, result.dev_items, result.begun) == (None, 0, False)
    assert result.seconds > 0
    assert result.manifest.plan.response_tokens == LEARNED
    content = json.loads((heard.folder / "out/student.json").read_text("utf-8"))
    del content["student"]
    told = json.loads(json.dumps(result.to_json()))
    assert told.pop("seconds") == round(result.seconds, 1)
    assert told == content | {"folder": "out", "learning_rate": None}


def test_settings_reach_the_training_and_what_was_cut_is_told(fresh: Heard) -> None:
    result = trained(fresh, seed=3, batch_size=4, rank=2, alpha=4, max_length=48)
    config = result.manifest.plan.config
    assert (config.seed, config.batch_size, config.rank, config.alpha) == (3, 4, 2, 4)
    cut = result.manifest.plan.cut
    assert cut.prompts > 1
    words = f"cut and not learned: {cut.prompt_tokens} tokens of"
    assert f"{words} {cut.prompts} prompts" in trained_text(result.results)


def test_in_a_running_loop_it_is_awaited(fresh: Heard) -> None:
    async def page() -> Trained:
        result: Trained = await training(fresh, epochs=1)
        return result

    assert asyncio.run(page()).manifest.plan.items == 8


def test_a_selection_and_its_exports_have_the_same_items(
    selectllm: Command, tmp_path: Path
) -> None:
    write_jsonl(Path("pool.jsonl"), rows(30))
    choice = ("--strategy", "longest", "--budget", 6, "-o", "chosen.jsonl")
    assert selectllm("select", "pool.jsonl", *choice).code == 0
    session = Heard(tmp_path).session()
    finished(export(Path("chosen.jsonl"), ExportSettings(out=Path("exported")), session=session))
    selection = answered_items(session, "chosen.jsonl", {})
    assert len(selection) == 6
    for layout in ("alpaca", "chat", "sharegpt"):
        (exported,) = Path("exported", layout).iterdir()
        found = answered_items(session, str(exported), {})
        assert [each.response for each in found] == [each.response for each in selection]


def test_columns_can_be_named(fresh: Heard) -> None:
    renamed = [{"ask": row["instruction"], "reply": row["response"]} for row in rows(4)]
    write_jsonl(fresh.folder / "other.jsonl", renamed)
    columns = {"instruction": "ask", "response": "reply"}
    result = trained(fresh, "other.jsonl", columns=columns, epochs=1)
    assert result.manifest.plan.items == 4


def test_columns_of_test_and_dev_items_are_named_apart(fresh: Heard) -> None:
    leaked, other = (
        [{"ask": row["instruction"], "reply": row["response"]} for row in few]
        for few in (rows(4), rows(9)[4:])
    )
    write_jsonl(fresh.folder / "asked.jsonl", leaked)
    write_jsonl(fresh.folder / "others.jsonl", other)
    write_jsonl(fresh.folder / "chosen.jsonl", rows(4))
    columns = {"instruction": "ask", "response": "reply"}
    with pytest.raises(UsageError, match="test items are also in the selection"):
        trained(fresh, "chosen.jsonl", test="asked.jsonl", test_columns=columns, epochs=1)
    with pytest.raises(UsageError, match=r"`test_columns={'instruction': 'ask'}`") as unnamed:
        trained(fresh, "chosen.jsonl", test="others.jsonl", epochs=1)
    assert unnamed.value.argument == "test_columns"


def test_the_learning_rate_is_chosen_on_dev_items(fresh: Heard) -> None:
    named = {"dev": "dev.jsonl", "test": "test.jsonl", "learning_rate": None}
    result = trained(fresh, **named)
    rate = result.manifest.plan.config.learning_rate
    assert result.choice is not None
    assert result.dev_items == 4
    content = result.to_json()["learning_rate"]
    losses = content["losses"]
    assert content["rate"] == rate == float(min(losses, key=lambda r: losses[r]))
    assert len(losses) == 5
    told = trained_text(result.results, 4)
    assert f"learning rate {rate:g} was chosen on 4 dev items" in told
    for tried, loss in losses.items():
        assert f"{tried} {loss:.3f}" in told
    highest = content["edge"] == "highest"
    assert ("It is the highest rate that was tried" in told) == highest == (rate == 1.6e-2)
    assert trained(fresh, **named).to_json()["learning_rate"] == content
    trained(fresh, out=Path("alone"), learning_rate=rate)
    assert adapter(fresh) == adapter(fresh, f"out/rates/rate-{rate:g}") == adapter(fresh, "alone")


def test_a_finished_training_is_not_repeated(trained_once: tuple[Heard, Trained]) -> None:
    heard, first = trained_once
    before = {path: path.stat().st_mtime_ns for path in (heard.folder / "out").iterdir()}
    result = trained(heard)
    assert result.begun
    assert result.manifest == first.manifest
    assert heard.notes[-1] == "Note: out already held this training, so it was not started again"
    assert {path: path.stat().st_mtime_ns for path in (heard.folder / "out").iterdir()} == before


def test_another_training_in_the_folder_is_left_alone(
    trained_once: tuple[Heard, Trained], again: Heard
) -> None:
    model = trained_once[0].folder
    before = files(again.folder)
    other = training(again, model=model, seed=1)
    fails(other, "out contains a different training", kind=RunError)
    named = training(again, model=model, dev="dev.jsonl", learning_rate=None)
    fails(named, "learning rate was not chosen with `dev`", argument="out", kind=RunError)
    assert files(again.folder) == before
    (again.folder / "out/student.json").unlink()
    fails(training(again, model=model), "out holds an adapter without student.json", kind=RunError)


def test_a_diverged_training_says_what_to_lower(fresh: Heard) -> None:
    job = training(fresh, learning_rate=1e30)
    fails(job, "training has diverged. Lower learning_rate (now 1e+30)", kind=ModelError)
    assert [*(fresh.folder / "out").iterdir()] == []
    assert not trained(fresh, epochs=1).begun


@pytest.mark.parametrize(
    ("named", "words", "argument"),
    [
        (
            {"learning_rate": float("nan")},
            "student: `learning_rate` must be a number above 0, not nan",
            "learning_rate",
        ),
        ({"epochs": 0}, "student: `epochs` must be at least 1, not 0", "epochs"),
        ({"max_length": 513}, "takes at most 512 tokens. Use that number or less", None),
        ({"blocks": 4}, "has only 4 blocks. Use a smaller number, or mode full", None),
        ({"test": "nowhere.jsonl"}, "nowhere.jsonl", None),
        ({"dev": "dev.jsonl"}, "`dev` chooses the learning rate", "learning_rate"),
        ({"columns": {"response": "answer"}}, "`columns={'response': 'answer'}`", "columns"),
        ({"selection": "bare.jsonl"}, "bare.jsonl: 2 of 4 items have no response", "columns"),
        ({"test": "bare.jsonl"}, "bare.jsonl: 2 of 4 items have no response", "columns"),
    ],
)
def test_what_cannot_be_trained_is_named_and_nothing_is_written(
    trained_once: tuple[Heard, Trained], named: dict[str, Any], words: str, argument: str | None
) -> None:
    heard, _ = trained_once
    bare = [*rows(2, 300), {"id": "x", "instruction": "Why?"}, {"id": "y", "instruction": "How?"}]
    write_jsonl(heard.folder / "bare.jsonl", bare)
    before = files(heard.folder)
    fails(training(heard, out=Path("none"), **named), words, argument=argument)
    assert files(heard.folder) == before


# Scoring


def test_losses_are_those_of_the_student_beside_its_base(
    trained_once: tuple[Heard, Trained],
) -> None:
    heard, result = trained_once
    content = scored(heard, out=Path("scores.json"))
    assert content == json.loads((heard.folder / "scores.json").read_text("utf-8"))
    student = open_student(str(heard.folder / "tiny"), heard.folder / "other")
    config = result.manifest.plan.config
    places = (None, heard.folder / "out")
    pair = [score_student(student, items(9, 100), config, place) for place in places]
    for name, loss in zip(("base", "tuned"), pair, strict=True):
        np.testing.assert_allclose([item[name] for item in content["items"]], loss.nats, rtol=1e-6)
        means = {"per_token": loss.token_weighted, "per_item": loss.per_item}
        assert content["losses"][name] == pytest.approx(means)
    losses = content["losses"]
    for by in ("per_token", "per_item"):
        assert losses["gain"][by] == losses["base"][by] - losses["tuned"][by] > 0
    assert sum(band["items"] for band in content["bands"]) == 9
    assert content["training"]["learned_tokens"] == LEARNED
    assert (content["max_length"], content["answers"]) == (128, None)


def test_the_table_tells_both_losses_by_length_and_that_they_disagree(
    trained_once: tuple[Heard, Trained],
) -> None:
    content = scored(trained_once[0])
    told = shown(content)
    for by, title in (("per_token", "loss per token, "), ("per_item", "loss per item, ")):
        table = told[told.index(title) :]
        for part in (*content["bands"], content["losses"]):
            cells = [f"{part[name][by]:.3f}" for name in ("base", "tuned", "gain")]
            assert " ".join(cells) in " ".join(table.split())
    assert "Decide which one counts before you look" in told
    assert "Nothing was cut: all items fit into 128 tokens" in told


def test_without_a_folder_the_base_model_is_scored(trained_once: tuple[Heard, Trained]) -> None:
    heard, _ = trained_once
    model = str(heard.folder / "tiny")
    content = scored(heard, None, model=model, max_length=128, mode="full")
    assert content["training"] is content["losses"]["tuned"] is content["losses"]["gain"] is None
    assert content["losses"]["base"] == pytest.approx(scored(heard)["losses"]["base"])
    assert "gain" not in shown(content)


def test_a_base_model_that_has_moved_is_named(fresh: Heard) -> None:
    trained(fresh, epochs=1)
    before = scored(fresh)["losses"]
    (fresh.folder / "elsewhere").mkdir()
    shutil.move(fresh.folder / "tiny", fresh.folder / "elsewhere/tiny")
    fails(scoring(fresh), "student: the base model ", "is not there", argument="model")
    moved = str(fresh.folder / "elsewhere/tiny")
    assert scored(fresh, model=moved)["losses"] == before
    made(fresh.folder / "tiny", "gpt2")
    fails(scoring(fresh), "out contains a student with model ", "this one has", kind=RunError)


def test_answers_are_written_with_how_like_the_references_they_are(fresh: Heard) -> None:
    encoder = made(fresh.folder / "encoder", eos_token="</s>", pad_token="</s>")
    same = {"response": "one two"}  # so that it says so to whatever it is asked
    taught = [{"id": text, "instruction": text} | same for text in ("A", "b?", "c", "D?", "a")]
    write_jsonl(fresh.folder / "selection.jsonl", taught)
    trained(fresh, epochs=60, mode="full", learning_rate=3e-2)
    asked = ("a?", "one two"), ("B" * 40, "one two three"), ("a?  ", "none")
    names = ("instruction", "response")
    tests = [dict(zip(names, pair, strict=True)) | {"id": pair[0]} for pair in asked]
    write_jsonl(fresh.folder / "test.jsonl", tests)
    content = scored(fresh, answers=Path("said.jsonl"), new_tokens=12, encoder=str(encoder))
    found, said = content["answers"], read_jsonl(fresh.folder / "said.jsonl")
    assert [set(row) for row in said] == [
        {"id", "text", "tokens", "stopped", "rouge_l", "cosine"}
    ] * 3
    assert [row["id"] for row in said] == ["a?", "B" * 40, "a?  "]
    first = {"id": "a?", "text": "one two", "tokens": 8, "stopped": "end", "rouge_l": 1.0}
    assert said[0] == first | {"cosine": pytest.approx(1)}
    assert found["stopped"] == sum(row["stopped"] == "end" for row in said)
    for name in ("rouge_l", "cosine"):
        assert found[name] == pytest.approx(np.mean([row[name] for row in said]))
    words = f"{found['stopped']} of 3 answers ended by themselves, the others at 12 tokens"
    assert words in shown(content)


@pytest.mark.parametrize(
    ("folder", "named", "words", "argument"),
    [
        ("nowhere", {}, "contains no trained student. Train one there first", None),
        ("out", {"max_length": 64}, "with max_length 128, but this one has 64", None),
        ("out", {"mode": "full"}, "with mode fast, but this one has full", None),
        ("out", {"new_tokens": 5}, "`new_tokens` limits answers. Name a file", "new_tokens"),
        (
            "out",
            {"answers": Path("a"), "new_tokens": 97},
            "new_tokens must be from 1 to 96, not 97",
            None,
        ),
        (
            "out",
            {"answers": Path("a"), "new_tokens": 0},
            "new_tokens must be from 1 to 96, not 0",
            None,
        ),
        (
            "out",
            {"out": Path("test.jsonl")},
            "test.jsonl is read by this command, so it is not overwritten",
            "out",
        ),
        (
            "out",
            {"out": Path("a"), "answers": Path("a"), "new_tokens": 5},
            "a is read by this command, so it is not overwritten",
            "answers",
        ),
        ("out", {"test": "leak.jsonl"}, "2 of 5 test items are also in the items that", "test"),
    ],
)
def test_what_cannot_be_scored_is_named_and_nothing_is_written(
    trained_once: tuple[Heard, Trained],
    folder: str,
    named: dict[str, Any],
    words: str,
    argument: str | None,
) -> None:
    heard, _ = trained_once
    write_jsonl(heard.folder / "leak.jsonl", [*rows(3, 100), *rows(2)])
    before = files(heard.folder)
    fails(scoring(heard, folder, **named), words, argument=argument)
    assert files(heard.folder) == before
