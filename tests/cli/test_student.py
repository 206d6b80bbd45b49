"""`selectllm student train` and `student score` as a user calls them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import selectllm.report.schemas
from selectllm.downstream.student import open_student, read_manifest
from selectllm.downstream.student import score as score_student
from tests.conftest import Command, Outcome, read_jsonl, write_jsonl
from tests.contract.test_layers import HEAVY, loaded_by
from tests.downstream.student.test_training import items, made, one_thread
from tests.support.cli_files import assert_refused, files

__all__ = ["one_thread"]  # a fixture

SHAPE = ("--model", "tiny", "--max-length", "128")
TRAINING = (*SHAPE, "--blocks", "2", "--learning-rate", "1e-2")
LEARNED = sum(len(f"{item.response}") + 1 for item in items(8))  # a byte each, and the end
ADAPTER = {"adapter_config.json", "adapter_model.safetensors", "student.json"}


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Items of test_student as rows of a file."""
    names = ("id", "instruction", "input", "response")
    return [{name: getattr(item, name) for name in names} for item in items(count, start)]


@pytest.fixture(autouse=True)
def workplace(selectllm: Command) -> None:
    """A tiny model in the current folder, a selection, and held-out items."""
    made(Path("tiny"))
    write_jsonl(Path("selection.jsonl"), rows(8))
    write_jsonl(Path("test.jsonl"), rows(9, 100))
    write_jsonl(Path("dev.jsonl"), rows(4, 200))


def train(selectllm: Command, *options: object, selection: str = "selection.jsonl") -> Outcome:
    return selectllm("student", "train", selection, "-o", "out", *TRAINING, *options)


def trained(selectllm: Command, *options: object, **places: str) -> Any:
    outcome = train(selectllm, "--json", *options, **places)
    assert outcome.code == 0, outcome.err
    return outcome.json


def score(selectllm: Command, *options: object) -> Outcome:
    return selectllm("student", "score", *options, "--test", "test.jsonl")


def scored(selectllm: Command, *options: object) -> Any:
    """The scores on stdout, once they keep to their schema and stand in the file too."""
    outcome = score(selectllm, *options, "-o", "scores.json", "--json")
    assert outcome.code == 0, outcome.err
    schema = Path(selectllm_schemas, "student_scores.json").read_text("utf-8")
    Draft202012Validator(json.loads(schema)).validate(outcome.json)
    assert outcome.json == json.loads(Path("scores.json").read_text("utf-8"))
    return outcome.json


selectllm_schemas = Path(selectllm.report.schemas.__file__).parent


def adapter(folder: str) -> bytes:
    return Path(folder, "adapter_model.safetensors").read_bytes()


def started(*arguments: object) -> subprocess.Popen[str]:
    """The command in a process of its own, which may be killed."""
    words = [sys.executable, "-m", "selectllm", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)


def run_python(code: str, *arguments: object) -> Outcome:
    words = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


# Training


def test_a_student_is_trained_and_what_it_was_is_told(selectllm: Command) -> None:
    outcome = train(selectllm, "--test", "test.jsonl", "--dev", "dev.jsonl", "--learning-rate", 1)
    assert_refused(outcome, "--dev chooses the learning rate; leave --learning-rate out")
    outcome = train(selectllm, "--test", "test.jsonl")
    assert outcome.code == 0, outcome.err
    assert {path.name for path in Path("out").iterdir()} == ADAPTER
    manifest = read_manifest(Path("out"))
    first, second = manifest.losses
    assert outcome.out.splitlines()[:-1] == [
        f"8 items, 2 epochs of {manifest.plan.tokens} tokens, {LEARNED} of them learned",
        "nothing was cut: all fit into 128 tokens",
        f"loss by epoch, while it ran: {first:.3f}, {second:.3f} nats a learned token",
    ]
    assert outcome.out.splitlines()[-1].startswith("adapter: out, after ")


def test_json_is_the_manifest_with_folder_and_seconds(selectllm: Command) -> None:
    found = trained(selectllm, "--seed", 3, "--batch-size", 4, "--rank", 2, "--alpha", 4)
    assert found.pop("seconds") > 0
    manifest = json.loads(Path("out/student.json").read_text("utf-8"))
    del manifest["student"]
    assert found == manifest | {"folder": "out", "learning_rate": None}
    config = found["plan"]["config"]
    assert [config[name] for name in ("seed", "batch_size", "rank", "alpha")] == [3, 4, 2, 4]


def test_what_was_cut_is_told(selectllm: Command) -> None:
    outcome = train(selectllm, "--max-length", 48)
    cut = read_manifest(Path("out")).plan.cut
    assert cut.prompts > 1
    told = f"cut to fit into 48 tokens, and not learned: {cut.prompt_tokens} tokens of"
    assert f"{told} {cut.prompts} prompts" in outcome.out


@pytest.mark.parametrize("layout", ["alpaca", "chat", "sharegpt"])
def test_a_selection_and_its_exports_are_trained_on(selectllm: Command, layout: str) -> None:
    write_jsonl(Path("pool.jsonl"), rows(30))
    choice = ("--strategy", "longest", "--budget", 6, "-o", "chosen.jsonl")
    assert selectllm("select", "pool.jsonl", *choice).code == 0
    assert selectllm("export", "chosen.jsonl", "-o", "exported").code == 0
    (exported,) = Path("exported", layout).iterdir()
    found = trained(selectllm, selection="chosen.jsonl")["plan"]
    shutil.rmtree("out")
    again = trained(selectllm, selection=str(exported))["plan"]
    assert (found["items"], again["items"]) == (6, 6)
    assert found["response_tokens"] == again["response_tokens"]


def test_columns_can_be_named(selectllm: Command) -> None:
    renamed = [{"ask": row["instruction"], "reply": row["response"]} for row in rows(4)]
    write_jsonl(Path("other.jsonl"), renamed)
    names = ("--map", "instruction=ask", "--map", "response=reply")
    assert trained(selectllm, *names, selection="other.jsonl")["plan"]["items"] == 4


def test_the_learning_rate_is_chosen_on_dev_items(selectllm: Command) -> None:
    options = ("selection.jsonl", "-o", "out", *SHAPE, "--blocks", 2, "--dev", "dev.jsonl")
    outcome = selectllm("student", "train", *options, "--test", "test.jsonl")
    assert outcome.code == 0, outcome.err
    rate = read_manifest(Path("out")).plan.config.learning_rate
    assert f"learning rate {rate:g}, chosen on 4 dev items" in outcome.out
    found = selectllm("student", "train", *options, "--json").json
    losses = found["learning_rate"]["losses"]
    assert found["learning_rate"]["rate"] == rate == float(min(losses, key=lambda r: losses[r]))
    assert len(losses) == 5
    for each, loss in losses.items():
        assert f"{each} {loss:.3f}" in outcome.out
    highest = found["learning_rate"]["edge"] == "highest"
    assert ("it is the highest rate that was tried" in outcome.out) == highest == (rate == 1.6e-2)
    alone = (*SHAPE, "--blocks", 2, "--learning-rate", rate)
    assert selectllm("student", "train", "selection.jsonl", "-o", "alone", *alone).code == 0
    assert adapter("out") == adapter(f"out/rates/rate-{rate:g}") == adapter("alone")


def test_dev_items_are_not_for_a_folder_whose_rate_was_given(selectllm: Command) -> None:
    trained(selectllm)
    options = ("selection.jsonl", "-o", "out", *SHAPE, "--blocks", 2, "--dev", "dev.jsonl")
    assert_refused(
        selectllm("student", "train", *options), "learning rate was not chosen with --dev"
    )


def test_a_finished_training_is_not_repeated(selectllm: Command) -> None:
    trained(selectllm)
    before = {path: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    outcome = train(selectllm)
    assert "out held this training already" in outcome.err
    assert {path: path.stat().st_mtime_ns for path in Path("out").iterdir()} == before


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_training_that_is_stopped_goes_on_and_ends_with_the_same_adapter(
    selectllm: Command, name: str
) -> None:
    end = signal.Signals[name]
    options = ("student", "train", "selection.jsonl", *TRAINING, "--epochs", 40, "-o")
    process = started(*options, "out")
    unfinished, until = Path("out/unfinished.safetensors"), time.monotonic() + 300
    while not unfinished.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(end)
    _, err = process.communicate()
    assert not Path("out/student.json").exists()
    assert process.returncode == (130 if end == signal.SIGINT else -end)
    assert ("interrupted; run the same command again to go on" in err) == (end == signal.SIGINT)
    kept = unfinished.read_bytes()
    assert selectllm(*options, "out").code == 0
    assert selectllm(*options, "whole").code == 0
    assert adapter("out") == adapter("whole") != kept
    assert {path.name for path in Path("out").iterdir()} == ADAPTER


# Scoring


def test_losses_are_those_of_the_student_beside_its_base(selectllm: Command) -> None:
    trained(selectllm)
    found = scored(selectllm, "out")
    student = open_student("tiny", Path("other"))
    config = read_manifest(Path("out")).plan.config
    pair = [score_student(student, items(9, 100), config, each) for each in (None, Path("out"))]
    for name, loss in zip(("base", "tuned"), pair, strict=True):
        np.testing.assert_allclose([item[name] for item in found["items"]], loss.nats, rtol=1e-6)
        means = {"per_token": loss.token_weighted, "per_item": loss.per_item}
        assert found["losses"][name] == pytest.approx(means)
    losses = found["losses"]
    for by in ("per_token", "per_item"):
        assert losses["gain"][by] == losses["base"][by] - losses["tuned"][by] > 0
    assert sum(band["items"] for band in found["bands"]) == 9
    assert found["training"]["learned_tokens"] == LEARNED
    assert (found["max_length"], found["answers"]) == (128, None)


def test_the_table_tells_both_losses_by_length_and_that_they_disagree(selectllm: Command) -> None:
    trained(selectllm)
    content = scored(selectllm, "out")
    told = score(selectllm, "out").out
    for by, title in (("per_token", "loss per token, tiny"), ("per_item", "loss per item, tiny")):
        table = told[told.index(title) :]
        for each in (*content["bands"], content["losses"]):
            cells = [f"{each[name][by]:.3f}" for name in ("base", "tuned", "gain")]
            assert " ".join(cells) in " ".join(table.split())
    assert "the two losses disagree" in told
    assert "nothing was cut: all fit into 128 tokens" in told


def test_without_a_folder_the_base_model_is_scored(selectllm: Command) -> None:
    trained(selectllm)
    found = scored(selectllm, *SHAPE, "--mode", "full")
    assert found["training"] is found["losses"]["tuned"] is found["losses"]["gain"] is None
    assert found["losses"]["base"] == pytest.approx(scored(selectllm, "out")["losses"]["base"])
    assert "gain" not in score(selectllm, *SHAPE, "--mode", "full").out


def test_a_base_model_that_has_moved_is_named(selectllm: Command) -> None:
    trained(selectllm)
    before = scored(selectllm, "out")["losses"]
    Path("elsewhere").mkdir()
    shutil.move("tiny", "elsewhere/tiny")
    assert_refused(score(selectllm, "out"), "student: the base model tiny is not there")
    assert scored(selectllm, "out", "--model", "elsewhere/tiny")["losses"] == before
    made(Path("tiny"), "gpt2")
    assert_refused(score(selectllm, "out"), "out holds a student with model tiny@", "this one has")


@pytest.fixture
def encoder(selectllm: Command) -> Path:
    """A folder that sentence-transformers takes for an encoder: the mean over a model's tokens."""
    return made(Path("encoder"), eos_token="</s>", pad_token="</s>")


def test_answers_are_written_with_how_like_the_references_they_are(
    selectllm: Command, encoder: Path
) -> None:
    same = {"response": "one two"}  # so that it says so to whatever it is asked
    taught = [{"id": text, "instruction": text} | same for text in ("A", "b?", "c", "D?", "a")]
    write_jsonl(Path("selection.jsonl"), taught)
    options = ("--epochs", 60, "--mode", "full", "--learning-rate", "3e-2")
    trained(selectllm, *options)
    asked = ("a?", "one two"), ("B" * 40, "one two three"), ("a?  ", "none")
    names = ("instruction", "response")
    tests = [dict(zip(names, pair, strict=True)) | {"id": pair[0]} for pair in asked]
    write_jsonl(Path("test.jsonl"), tests)
    answers = ("--answers", "said.jsonl", "--new-tokens", 12, "--encoder", "./encoder")
    found = scored(selectllm, "out", *answers)["answers"]
    said = read_jsonl(Path("said.jsonl"))
    assert [set(each) for each in said] == [
        {"id", "text", "tokens", "stopped", "rouge_l", "cosine"}
    ] * 3
    assert [each["id"] for each in said] == ["a?", "B" * 40, "a?  "]
    first = {"id": "a?", "text": "one two", "tokens": 8, "stopped": "end", "rouge_l": 1.0}
    assert said[0] == first | {"cosine": pytest.approx(1)}
    assert found["stopped"] == sum(each["stopped"] == "end" for each in said)
    for name in ("rouge_l", "cosine"):
        assert found[name] == pytest.approx(np.mean([each[name] for each in said]))
    told = f"answers: {found['stopped']} of 3 stopped by themselves, the others at 12 tokens"
    assert told in score(selectllm, "out", *answers).out


# What goes wrong


def leaking() -> None:
    write_jsonl(Path("test.jsonl"), [*rows(3, 100), *rows(2)])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--test", "dev.jsonl", "--dev", "dev.jsonl"), "--dev chooses the learning rate"),
        (("--learning-rate", "-1"), "student: learning_rate is -1.0; write a number above 0"),
        (("--learning-rate", "nan"), "student: learning_rate is nan; write a number above 0"),
        (("--epochs", 0), "student: epochs is 0; write 1 or more"),
        (("--max-length", 513), "takes 512 tokens; write that or less"),
        (("--blocks", 4), "has 4; write less, or use mode full"),
        (("--model", "./nowhere"), "no language model folder ./nowhere"),
        (("--test", "nowhere.jsonl"), "nowhere.jsonl"),
        (("--map", "response=answer"), "--map response=answer"),
    ],
)
def test_bad_options_of_train_are_one_line_and_nothing_is_written(
    selectllm: Command, options: tuple[object, ...], said: str
) -> None:
    before = files()
    assert_refused(train(selectllm, *options), said)
    assert files() == before


@pytest.mark.parametrize("option", [(), ("--test", "bare.jsonl"), ("--dev", "bare.jsonl")])
def test_items_without_responses_are_counted_and_their_file_is_named(
    selectllm: Command, option: Sequence[str]
) -> None:
    bare = [*rows(2, 300), {"id": "x", "instruction": "Why?"}, {"id": "y", "instruction": "How?"}]
    write_jsonl(Path("bare.jsonl"), bare)
    selection = "selection.jsonl" if option else "bare.jsonl"
    outcome = selectllm("student", "train", selection, "-o", "out", *SHAPE, *option)
    assert_refused(outcome, "bare.jsonl: 2 of 4 items have no response: 'x', 'y'; fill them in")
    write_jsonl(Path("test.jsonl"), bare)
    assert_refused(score(selectllm, *SHAPE), "test.jsonl: 2 of 4 items have no response")


def test_test_items_in_the_selection_are_counted(selectllm: Command) -> None:
    leaking()
    said = "2 of 5 test items are also in the training items: 'item-00', 'item-01'"
    assert_refused(train(selectllm, "--test", "test.jsonl"), said)
    assert not Path("out").exists()
    trained(selectllm)
    said = "2 of 5 test items are also in the items that the student was trained on: 'item-00', "
    assert_refused(score(selectllm, "out"), said)
    assert (
        score(selectllm, *SHAPE, "--mode", "full").code == 0
    )  # the base model was trained on none of them


def test_no_item_is_for_dev_and_for_something_else_too(selectllm: Command) -> None:
    options = ("selection.jsonl", "-o", "out", *SHAPE, "--dev")
    outcome = selectllm("student", "train", *options, "selection.jsonl")
    assert_refused(outcome, "8 of 8 test items are also in SELECTION")
    outcome = selectllm("student", "train", *options, "dev.jsonl", "--test", "dev.jsonl")
    assert_refused(outcome, "4 of 4 test items are also in the dev items")


def test_another_training_in_the_folder_is_left_alone(selectllm: Command) -> None:
    trained(selectllm)
    before = files()
    said = "out holds another training than this one; take another folder"
    assert_refused(train(selectllm, "--seed", 1), said)
    assert files() == before
    Path("out/student.json").unlink()
    assert_refused(train(selectllm), "out holds an adapter without student.json")


def test_a_diverged_training_says_what_to_lower(selectllm: Command) -> None:
    outcome = train(selectllm, "--learning-rate", "1e30")
    assert_refused(outcome, "training has diverged; lower learning_rate (now 1e+30)")
    assert [*Path("out").iterdir()] == []
    assert train(selectllm).code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("nowhere",), "nowhere holds no trained student; train one there first"),
        (("out", "--max-length", 64), "with max_length 128, but this one has 64"),
        (("out", "--mode", "full"), "with mode fast, but this one has full"),
        (("out", "--new-tokens", 5), "--new-tokens: is of answers; name a file for them"),
        (("out", "--answers", "a", "--new-tokens", 97), "new_tokens is 97; write 1 to 96"),
        (("out", "--answers", "a", "--new-tokens", 0), "new_tokens is 0; write 1 to 96"),
        (("out", "-o", "test.jsonl"), "-o test.jsonl: is read too, and not overwritten"),
        (("out", "-o", "a", "--answers", "a", "--new-tokens", 5), "--answers a: is "),
    ],
)
def test_bad_options_of_score_are_one_line_and_nothing_is_written(
    selectllm: Command, options: tuple[object, ...], said: str
) -> None:
    trained(selectllm)
    before = files()
    assert_refused(score(selectllm, *options), said)
    assert files() == before


def test_without_the_extra_the_error_says_what_to_install(selectllm: Command) -> None:
    code = (
        "import sys; sys.modules['peft'] = None; from selectllm.cli import script; "
        "sys.argv[0] = 'selectllm'; script()"
    )
    commands = (
        ("student", "train", "selection.jsonl", "-o", "out", *TRAINING),
        ("student", "score", *SHAPE, "--test", "test.jsonl"),
    )
    for words in commands:
        outcome = run_python(code, *words)
        assert_refused(outcome, 'run pip install "selectllm[student]"')


OUT_OF_MEMORY = """
import resource
from pathlib import Path
from selectllm.cli import main

def train(file, model, length):
    options = ["--model", model, "--max-length", length, "--blocks", "2", "--epochs", "1"]
    return main(["student", "train", file, "-o", f"{model}-out", *options])

assert train("selection.jsonl", "tiny", "128") == 0  # all libraries are loaded
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 60 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
assert train("long.jsonl", "large", "20000") == 2
assert train("long.jsonl", "wide", "20000") == 2
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the size from Linux")
def test_too_little_memory_says_what_to_lower(selectllm: Command) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    for model in ("wide", "large"):
        config = AutoConfig.from_pretrained(made(Path(model)))
        config.max_position_embeddings = 20_000
        if model == "large":
            config.update({"hidden_size": 512, "head_dim": 256, "intermediate_size": 6000})
        AutoModelForCausalLM.from_config(config).save_pretrained(model)
    long = {"id": "a", "instruction": "Say y", "response": "y" * 19_000}
    write_jsonl(Path("long.jsonl"), [long])
    outcome = run_python(OUT_OF_MEMORY)
    assert outcome.code == 0, outcome.err
    assert outcome.err.splitlines() == [
        "selectllm: student large does not fit into memory; take a smaller model",
        "selectllm: student wide ran out of memory: lower max_length (now 20000) or take a smaller "
        "model; batch_size does not matter",
    ]


@pytest.mark.parametrize("words", [["student"], ["student", "train"], ["student", "score"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    loaded = loaded_by(f"from selectllm.cli import main; assert main({[*words, '--help']}) == 0")
    assert not loaded & HEAVY
