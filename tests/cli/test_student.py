"""`selectllm student train` and `student score` as a user calls them."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from selectllm.cli import main
from selectllm.downstream.student.adapter import read_manifest
from selectllm.report.schemas import schema
from tests.conftest import Command, Outcome, read_jsonl, write_jsonl
from tests.downstream.student.test_training import items, made, one_thread
from tests.support import forked
from tests.support.cli_files import assert_refused, files
from tests.support.student_files import rows, student_files

__all__ = ["one_thread"]  # a fixture

SHAPE = ("--model", "tiny", "--max-length", "128")
TRAINING = (*SHAPE, "--blocks", "2", "--learning-rate", "1e-2")
LEARNED = sum(len(f"{item.response}") + 1 for item in items(8))  # a byte each, and the end
ADAPTER = {"adapter_config.json", "adapter_model.safetensors", "student.json"}


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, a selection, held-out items and, in `trained`, a student."""
    folder = student_files(tmp_path_factory.mktemp("ready"))
    with contextlib.chdir(folder):
        assert main(["student", "train", "selection.jsonl", "-o", "trained", *TRAINING]) == 0
    return folder


@pytest.fixture(autouse=True)
def workplace(selectllm: Command, ready: Path) -> None:
    """The same in the current folder."""
    shutil.copytree(ready, ".", dirs_exist_ok=True)


def train(selectllm: Command, *options: object, selection: str = "selection.jsonl") -> Outcome:
    return selectllm("student", "train", selection, "-o", "out", *TRAINING, *options)


def score(selectllm: Command, *options: object) -> Outcome:
    return selectllm("student", "score", *options, "--test", "test.jsonl")


def scored(selectllm: Command, *options: object) -> Any:
    """The scores on stdout, once they keep to their schema and stand in the file too."""
    outcome = score(selectllm, *options, "-o", "scores.json", "--json")
    assert outcome.code == 0, outcome.err
    Draft202012Validator(schema("student_scores")).validate(outcome.json)
    assert outcome.json == json.loads(Path("scores.json").read_text("utf-8"))
    return outcome.json


def adapter(folder: str) -> bytes:
    return Path(folder, "adapter_model.safetensors").read_bytes()


# Training


def test_a_student_is_trained_and_what_it_was_is_told(selectllm: Command) -> None:
    outcome = train(selectllm, "--test", "test.jsonl")
    assert outcome.code == 0, outcome.err
    assert {path.name for path in Path("out").iterdir()} == ADAPTER
    manifest = read_manifest(Path("out"))
    first, second = manifest.losses
    trained, cut, losses, adapter = outcome.out.splitlines()
    for fact in ("8 items", "2 epochs", f"{manifest.plan.tokens} tokens", str(LEARNED)):
        assert fact in trained
    assert "128 tokens" in cut
    assert f"{first:.3f}, {second:.3f} nats" in losses
    assert adapter.startswith("The adapter is in out, after ")


def test_json_is_the_manifest_with_folder_and_seconds(selectllm: Command) -> None:
    again = ("selection.jsonl", "-o", "trained", *TRAINING)
    outcome = selectllm("student", "train", *again, "--json")
    assert outcome.code == 0, outcome.err
    assert "trained already held this training" in outcome.err
    found = outcome.json
    assert found.pop("seconds") >= 0
    manifest = json.loads(Path("trained/student.json").read_text("utf-8"))
    del manifest["student"]
    assert found == manifest | {"folder": "trained", "learning_rate": None}


def test_options_reach_the_training(selectllm: Command) -> None:
    renamed = [{"ask": row["instruction"], "reply": row["response"]} for row in rows(4)]
    write_jsonl(Path("other.jsonl"), renamed)
    names = ("--map", "instruction=ask", "--map", "response=reply", "--epochs", 1, "--quiet")
    options = ("--seed", 3, "--batch-size", 2, "--rank", 2, "--alpha", 4, "--mode", "full")
    outcome = train(selectllm, *names, *options, selection="other.jsonl")
    assert outcome.code == 0, outcome.err
    plan = read_manifest(Path("out")).plan
    config = plan.config
    assert (plan.items, config.seed, config.batch_size, config.mode) == (4, 3, 2, "full")
    assert (config.rank, config.alpha, config.epochs) == (2, 4, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_training_that_is_stopped_goes_on_and_ends_with_the_same_adapter(
    selectllm: Command, name: str
) -> None:
    end = signal.Signals[name]
    options = ("student", "train", "selection.jsonl", *TRAINING, "--epochs", 16, "-o")
    process = forked.selectllm(*options, "out", loads=forked.TRAINING)
    unfinished, until = Path("out/unfinished.safetensors"), time.monotonic() + 300
    while not unfinished.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(end)
    process.wait()
    assert not Path("out/student.json").exists()
    assert process.returncode == (130 if end == signal.SIGINT else -end)
    assert (
        "Interrupted. Run the same command again to continue where it stopped" in process.err
    ) == (end == signal.SIGINT)
    kept = unfinished.read_bytes()
    assert selectllm(*options, "out").code == 0
    assert selectllm(*options, "whole").code == 0
    assert adapter("out") == adapter("whole") != kept
    assert {path.name for path in Path("out").iterdir()} == ADAPTER


# Scoring


def test_scores_are_a_table_or_json_that_keeps_to_its_schema(selectllm: Command) -> None:
    content = scored(selectllm, "trained")
    told = score(selectllm, "trained", "--report", "json=told.json").out
    assert json.loads(Path("told.json").read_text("utf-8")) == content
    assert "loss per token, tiny" in told
    assert f"{content['losses']['gain']['per_token']:.3f}" in told
    base = scored(selectllm, *SHAPE, "--mode", "full")
    assert base["losses"]["base"] == pytest.approx(content["losses"]["base"])
    assert "gain" not in score(selectllm, *SHAPE, "--mode", "full").out


def test_answers_are_written_and_counted(selectllm: Command) -> None:
    made(Path("encoder"), eos_token="</s>", pad_token="</s>")
    answers = ("--answers", "said.jsonl", "--new-tokens", 2, "--encoder", "./encoder")
    found = scored(selectllm, "trained", *answers)["answers"]
    assert len(read_jsonl(Path("said.jsonl"))) == 9
    told = f"{found['stopped']} of 9 answers ended by themselves, the others at 2 tokens"
    assert told in score(selectllm, "trained", *answers).out


# What goes wrong


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--test", "dev.jsonl", "--dev", "dev.jsonl"),
            "--dev chooses the learning rate. Leave --learning-rate out",
        ),
        (("--learning-rate", "-1"), "student: --learning-rate must be a number above 0, not -1.0"),
        (("--model", "./nowhere"), "no language model folder ./nowhere"),
        (("--test", "nowhere.jsonl"), "nowhere.jsonl"),
        (("--map", "response=answer"), "--map response=answer"),
        (("--map", "response"), "--map response names no column"),
        (("--test", "bare.jsonl"), "Fill them in (--map response=COL names their column)"),
    ],
)
def test_bad_options_of_train_are_one_line_and_nothing_is_written(
    selectllm: Command, options: tuple[object, ...], said: str
) -> None:
    write_jsonl(Path("bare.jsonl"), [{"id": "x", "instruction": "Why?"}])
    before = files()
    assert_refused(train(selectllm, *options), said)
    assert files() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("nowhere",), "nowhere contains no trained student. Train one there first"),
        (("trained", "--new-tokens", 5), "--new-tokens limits answers. Name a file for them"),
        (
            ("trained", "--answers", "a", "--new-tokens", 97),
            "new_tokens must be from 1 to 96, not 97",
        ),
        (
            ("trained", "-o", "test.jsonl"),
            "-o test.jsonl is read by this command, so it is not overwritten",
        ),
        (("trained", "--model", "gone"), "the base model gone is not there. Name its folder with"),
        (("trained", "-o", "a", "--answers", "a", "--new-tokens", 5), "--answers a is read"),
    ],
)
def test_bad_options_of_score_are_one_line_and_nothing_is_written(
    selectllm: Command, options: tuple[object, ...], said: str
) -> None:
    before = files()
    assert_refused(score(selectllm, *options), said)
    assert files() == before


def test_without_the_extra_the_error_says_what_to_install(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    commands = (
        ("student", "train", "selection.jsonl", "-o", "out", *TRAINING),
        ("student", "score", *SHAPE, "--test", "test.jsonl"),
    )
    for words in commands:
        assert_refused(selectllm(*words), 'run: pip install "selectllm[student]"')


OUT_OF_MEMORY = """
import resource
from pathlib import Path
from selectllm.cli import main

def train(file, model, length):
    options = ["--model", model, "--max-length", length, "--blocks", "2", "--epochs", "1"]
    return main(["student", "train", file, "-o", f"{model}-out", "--quiet", *options])

assert train("selection.jsonl", "tiny", "128") == 0  # all libraries are loaded
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 60 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
assert train("long.jsonl", "large", "10000") == 2
assert train("long.jsonl", "wide", "10000") == 2
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the size from Linux")
def test_too_little_memory_says_what_to_lower(selectllm: Command) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    for model in ("wide", "large"):
        config = AutoConfig.from_pretrained(made(Path(model)))
        config.max_position_embeddings = 10_000
        if model == "large":
            config.update({"hidden_size": 512, "head_dim": 256, "intermediate_size": 4000})
        AutoModelForCausalLM.from_config(config).save_pretrained(model)
    long = {"id": "a", "instruction": "Say y", "response": "y" * 9_000}
    write_jsonl(Path("long.jsonl"), [long])
    process = forked.fork("-c", OUT_OF_MEMORY, loads=forked.TRAINING)
    assert process.wait() == 0, process.err
    assert process.err.splitlines() == [
        "selectllm: student large does not fit into memory. Take a smaller model.",
        "selectllm: student wide ran out of memory: lower max_length (now 10000) or take a smaller "
        "model; batch_size does not matter.",
    ]


# How long it takes


def test_what_a_student_sees_of_conversations_is_told(selectllm: Command) -> None:
    talk = [("system", "Be brief."), ("user", "Name a river."), ("assistant", "The Elbe.")]
    messages = [{"role": role, "content": text} for role, text in talk]
    plain = {"messages": messages[1:]}
    write_jsonl(Path("talks.jsonl"), [{"messages": messages}, plain, plain])
    told = train(selectllm, "--dry-run", selection="talks.jsonl").err
    assert "Note: 1 of 3 items are conversations. The student is trained on their inst" in told


def test_a_dry_run_of_a_training_tells_what_it_takes_and_trains_nothing(
    selectllm: Command,
) -> None:
    before = files()
    planned = train(selectllm, "--dry-run", "--json", "--dev", "dev.jsonl")
    assert planned.code == 2  # the learning rate is named, and would be chosen
    done = train(selectllm, "--dry-run", "--json")
    assert done.code == 0, done.err
    plan = done.json["training"]
    assert (plan["items"], plan["trainings"], plan["epochs"]) == (8, 1, 2)
    assert plan["tokens"] > 2 * LEARNED
    assert plan["seconds"] >= 0 < plan["tokens_per_second"]
    told = train(selectllm, "--dry-run").out
    for words in ("8 items", "2 epochs", f"{plan['tokens']:,} tokens", "here"):
        assert words in told
    assert files() == before


def test_a_dry_run_of_scoring_counts_the_test_items_for_student_and_base(
    selectllm: Command,
) -> None:
    before = files()
    base = score(selectllm, "--dry-run", "--json", *SHAPE, "--mode", "full").json["scoring"]
    both = score(selectllm, "trained", "--dry-run", "--json").json["scoring"]
    assert (base["tests"], both["tests"], both["trainings"]) == (9, 9, 0)
    assert 2 * base["scored_tokens"] == both["scored_tokens"]
    assert files() == before


def test_before_it_trains_or_scores_it_tells_how_long_that_takes(selectllm: Command) -> None:
    told = train(selectllm).err
    assert "2 epochs with 8 items" in told
    assert "tokens a second, measured" in told
    assert "9 held-out items" in score(selectllm, "out").err
    assert "8 items" not in train(selectllm).err  # it is trained already
    assert train(selectllm, "--quiet").err == ""
