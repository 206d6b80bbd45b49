"""Training a student: the loss it starts from, what it learns, seeds, resuming, what goes wrong."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selectllm.core.errors import ExtraMissing, ModelError, RunError, UsageError
from selectllm.core.types import Item
from selectllm.downstream.student.adapter import read_manifest
from selectllm.downstream.student.config import Mode, StudentConfig
from selectllm.downstream.student.failures import LossNotFinite
from selectllm.downstream.student.frozen_layers import Tally, running
from selectllm.downstream.student.network import Student, adapted, open_student, response_nats
from selectllm.downstream.student.score import score
from selectllm.downstream.student.training import epoch_order, falling, train
from selectllm.models.providers import weights
from tests.support.tiny_models import ARCHITECTURES, save_tiny_model

SMOLLM = "smollm2-135m"
needs_weights = pytest.mark.skipif(
    not weights.is_installed(SMOLLM), reason=f"needs weights: selectllm models install {SMOLLM}"
)
MODES: tuple[Mode, ...] = ("fast", "full")
TINY = StudentConfig(
    model="tiny", rank=4, alpha=8, blocks=2, epochs=3, batch_size=4, max_length=128
)


def items(count: int, start: int = 0) -> list[Item]:
    """Items whose responses a student can learn: counting up from the number that is asked."""
    return [
        Item(
            f"item-{n:02}",
            f"Count from {n}",
            "in words" if n % 3 == 0 else "",
            " ".join(str(k) for k in range(n, n + 2 + n % 5)),
        )
        for n in range(start, start + count)
    ]


def made(folder: Path, kind: str = "llama", **special: str) -> Path:
    """A folder with a model of four blocks."""
    return save_tiny_model(
        folder,
        kind,
        special or {"bos_token": "<s>", "eos_token": "</s>"},
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        max_position_embeddings=512,
        initializer_range=0.1,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small only wait for a second one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Student:
    folder = tmp_path_factory.mktemp("models")
    return open_student(str(made(folder / "tiny")), folder / "cache")


def by_transformers(network: Any, student: Student, shown: Sequence[Item]) -> list[float]:
    """Summed loss of each response and its end token, as transformers computes it."""
    import torch

    nats = []
    for item in shown:
        asked = f"Instruction:\n{item.instruction}" + (
            f"\n\nInput:\n{item.input}" if item.input else ""
        )
        parts = student.tokenise([asked, "\n\nResponse:\n", item.response or ""])
        response = [*parts[2], student.ends.end]
        tokens = torch.tensor([[student.ends.start, *parts[0], *parts[1], *response]])
        labels = tokens.clone()
        labels[:, : -len(response)] = -100
        with torch.no_grad():
            nats.append(network(input_ids=tokens, labels=labels).loss.item() * len(response))
    return nats


def weights_of(folder: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    return dict(load_file(folder / "adapter_model.safetensors"))


def dies_after(tokens: int) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done > tokens:
            raise KeyboardInterrupt

    return progress


# The loss at the start


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("mode", MODES)
def test_the_loss_at_the_start_is_that_of_transformers(
    mode: Mode, kind: str, tmp_path: Path
) -> None:
    student = open_student(str(made(tmp_path / kind, kind)), tmp_path / "cache")
    loss = score(student, items(4), replace(TINY, mode=mode))
    expected = by_transformers(student.network, student, items(4))
    np.testing.assert_allclose(loss.nats, expected, rtol=1e-5)
    assert loss.tokens.tolist() == [4, 6, 8, 10]  # a byte each; the end token among them


@needs_weights
def test_the_embedded_student_starts_from_the_loss_of_transformers_in_both_modes_and_learns(
    weights_cache: Path, tmp_path: Path
) -> None:
    student = open_student(f"local/{SMOLLM}", weights_cache)
    shown = [
        Item("a", "What is the capital of France?", "", "Paris, on the river Seine."),
        Item("b", "Add the numbers.", "12 and 30", "42"),
        Item("c", "Name <|im_end|> a colour", "", "Blue\n\nor green."),
    ]
    config = StudentConfig(epochs=2, batch_size=1, max_length=64)
    expected = by_transformers(student.network, student, shown)
    for mode in MODES:
        found = score(student, shown, replace(config, mode=mode)).nats
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
    train(student, shown, config, tmp_path)
    assert score(student, shown, config, tmp_path).token_weighted < sum(expected) / 19 - 0.5


def test_last_blocks_that_do_not_give_the_loss_of_the_whole_model_are_an_error(
    tmp_path: Path,
) -> None:
    import torch

    student = open_student(str(made(tmp_path / "tiny")), tmp_path / "cache")
    student.blocks[-1].register_forward_hook(lambda _, __, out: out + torch.randn_like(out))
    with pytest.raises(
        ModelError, match=r"last blocks alone give .* that of the whole model\. Use mode"
    ):
        score(student, items(1), TINY)


# Training


@pytest.mark.parametrize("mode", MODES)
def test_a_student_learns_a_small_set_by_heart(
    mode: Mode, student: Student, tmp_path: Path
) -> None:
    config = replace(TINY, mode=mode, epochs=15, batch_size=2, learning_rate=2e-2)
    manifest = train(student, items(6), config, tmp_path)
    before, after = score(student, items(6), config), score(student, items(6), config, tmp_path)
    assert after.token_weighted < before.token_weighted - 1
    assert manifest.losses[-1] < manifest.losses[0] - 1
    assert len(manifest.losses) == 15


@pytest.mark.parametrize("mode", MODES)
def test_training_leaves_the_student_as_it_was(
    mode: Mode, student: Student, tmp_path: Path
) -> None:
    config = replace(TINY, mode=mode)
    before = score(student, items(3), config).nats
    train(student, items(6), config, tmp_path)
    np.testing.assert_array_equal(score(student, items(3), config).nats, before)


def test_only_the_blocks_that_the_mode_names_are_adapted(student: Student, tmp_path: Path) -> None:
    adapted = {"fast": {2, 3}, "full": {0, 1, 2, 3}}
    for mode in MODES:
        train(student, items(2), replace(TINY, mode=mode, epochs=1), tmp_path / mode)
        names = weights_of(tmp_path / mode)
        assert {int(name.split(".")[4]) for name in names} == adapted[mode]
        assert len(names) == len(adapted[mode]) * 7 * 2  # linear layers, matrices of each


@pytest.mark.parametrize("mode", MODES)
def test_peft_loads_the_adapter_onto_the_plain_model(
    mode: Mode, student: Student, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    config = replace(TINY, mode=mode, learning_rate=1e-2)
    train(student, items(6), config, tmp_path)
    source = student.folder.parents[1] / "tiny"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by an old name
        network = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(source), tmp_path
        ).eval()
    expected = by_transformers(network, student, items(3))
    np.testing.assert_allclose(score(student, items(3), config, tmp_path).nats, expected, rtol=1e-5)
    base = score(student, items(3), config).nats
    assert np.abs(base - expected).min() > 1e-2


def test_the_gradient_from_kept_activations_is_that_of_the_whole_model(student: Student) -> None:
    (example,) = student.encode(items(1), TINY)
    with adapted(student, TINY) as model:
        weights = [value for value in model.parameters() if value.requires_grad]

        def gradient() -> list[Any]:
            found = [value.grad.clone() for value in weights]
            model.zero_grad()
            return found

        with running(student, TINY, [example], Tally()) as run:
            run(example).sum().backward()
        ours = gradient()
        response_nats(student.network, example).sum().backward()
        for found, expected in zip(ours, gradient(), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert max(float(found.abs().max()) for found in ours) > 0.1


def test_the_same_seed_gives_the_same_adapter_in_any_order_of_the_items(
    student: Student, tmp_path: Path
) -> None:
    one = train(student, items(6), TINY, tmp_path / "one")
    two = train(student, items(6)[::-1], TINY, tmp_path / "two")
    assert one == two
    assert (tmp_path / "one" / "student.json").read_bytes() == (
        tmp_path / "two" / "student.json"
    ).read_bytes()


def test_another_seed_gives_another_adapter(student: Student, tmp_path: Path) -> None:
    one = train(student, items(6), TINY, tmp_path / "one")
    two = train(student, items(6), replace(TINY, seed=1), tmp_path / "two")
    assert one.adapter_sha256 != two.adapter_sha256
    assert one.losses != two.losses


def test_every_epoch_has_an_order_of_its_own(student: Student) -> None:
    examples = student.encode(items(8), TINY)
    orders = [
        [each.id for each in epoch_order(examples, seed, epoch)]
        for seed in range(2)
        for epoch in range(2)
    ]
    assert len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == sorted(orders[0]) for order in orders)


def test_the_learning_rate_falls_in_a_straight_line() -> None:
    assert [falling(8.0, step, 4) for step in range(4)] == [8.0, 6.0, 4.0, 2.0]


# Resuming


@pytest.mark.parametrize("mode", MODES)
def test_a_killed_training_goes_on_and_ends_as_if_it_had_not_been(
    mode: Mode, student: Student, tmp_path: Path
) -> None:
    config = replace(TINY, mode=mode)
    whole = train(student, items(6), config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(student, items(6), config, tmp_path / "cut", dies_after(int(whole.plan.tokens * 1.5)))
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["unfinished.safetensors"]
    calls: list[tuple[int, int]] = []
    resumed = train(
        student, items(6), config, tmp_path / "cut", lambda done, total: calls.append((done, total))
    )
    assert calls[-1] == (2 * whole.plan.tokens, 2 * whole.plan.tokens)  # of three epochs
    np.testing.assert_allclose(resumed.losses, whole.losses, rtol=1e-6)
    expected = weights_of(tmp_path / "whole")
    for name, value in weights_of(tmp_path / "cut").items():
        np.testing.assert_allclose(value, expected[name], atol=1e-6)
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "student.json",
    ]


def test_a_training_that_is_finished_is_not_repeated(student: Student, tmp_path: Path) -> None:
    first = train(student, items(3), TINY, tmp_path)
    assert train(student, items(3), TINY, tmp_path, dies_after(-1)) == first
    assert read_manifest(tmp_path) == first


def test_the_first_blocks_are_run_once_per_item(tmp_path: Path) -> None:
    student = open_student(str(made(tmp_path / "tiny")), tmp_path / "cache")
    totals = []
    for seed, count in ((0, 4), (1, 4), (1, 6)):
        calls: list[tuple[int, int]] = []
        plan = train(
            student,
            items(count),
            replace(TINY, seed=seed),
            tmp_path / f"{seed}-{count}",
            lambda done, total, calls=calls: calls.append((done, total)),  # type: ignore[misc]
        ).plan
        assert calls[-1][0] == calls[-1][1]
        totals.append((calls[-1][1] - 3 * plan.tokens, plan.tokens))
    (new, four), (none, _), (two, six) = totals
    assert (new, none, two) == (four, 0, six - four)


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"learning_rate": 1e-4}, {"epochs": 1}, {"mode": "full"}]
)
@pytest.mark.parametrize("killed", [True, False])
def test_a_folder_of_another_training_is_an_error(
    change: dict[str, Any], killed: bool, student: Student, tmp_path: Path
) -> None:
    if killed:
        train(student, items(3), TINY, tmp_path / "warm")  # fills the cache
        with pytest.raises(KeyboardInterrupt):
            train(student, items(3), TINY, tmp_path, dies_after(200))
        assert (tmp_path / "unfinished.safetensors").exists()
    else:
        train(student, items(3), TINY, tmp_path)
    with pytest.raises(RunError, match=r"a different training\. Choose another folder"):
        train(student, items(3), replace(TINY, **change), tmp_path)


def test_other_items_are_another_training(student: Student, tmp_path: Path) -> None:
    train(student, items(3), TINY, tmp_path)
    with pytest.raises(RunError, match="a different training"):
        train(student, items(4), TINY, tmp_path)


def test_a_damaged_state_is_an_error(student: Student, tmp_path: Path) -> None:
    (tmp_path / "unfinished.safetensors").write_bytes(b"half")
    with pytest.raises(
        RunError, match=r"unfinished\.safetensors is damaged .*\. Delete it to train"
    ):
        train(student, items(3), TINY, tmp_path)


# What goes wrong


def test_a_changed_adapter_is_an_error(student: Student, tmp_path: Path) -> None:
    train(student, items(3), TINY, tmp_path)
    with (tmp_path / "adapter_model.safetensors").open("ab") as file:
        file.write(b" ")
    with pytest.raises(RunError, match="has changed since it was trained"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"plan": {}}'])
def test_a_broken_manifest_is_an_error(text: str, student: Student, tmp_path: Path) -> None:
    train(student, items(3), TINY, tmp_path)
    (tmp_path / "student.json").write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=r"student\.json is not (JSON|a manifest)"):
        train(student, items(3), TINY, tmp_path)


def test_a_folder_without_a_student_is_an_error(student: Student, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"contains no trained student\. Train one there first"):
        score(student, items(1), TINY, tmp_path)


def test_a_student_of_another_shape_is_not_scored(student: Student, tmp_path: Path) -> None:
    train(student, items(3), TINY, tmp_path)
    with pytest.raises(RunError, match=r"a student with rank 4, but this one has 2\. Use the same"):
        score(student, items(1), replace(TINY, rank=2), tmp_path)


def test_a_loss_that_is_not_finite_ends_the_training(student: Student, tmp_path: Path) -> None:
    with pytest.raises(LossNotFinite, match=r"is (nan|inf): training has diverged\. Lower lear"):
        train(student, items(6), replace(TINY, learning_rate=1e30), tmp_path)
    assert not (tmp_path / "student.json").exists()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_too_little_memory_is_an_error_that_says_what_to_lower(
    mode: Mode,
    error: Exception,
    student: Student,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise error

    config = replace(TINY, mode=mode)
    monkeypatch.setattr("torch.nn.functional.cross_entropy", full)
    hint = "max_length .now 128., use mode fast or" if mode == "full" else "max_length .now 128. or"
    for attempt in (
        lambda: train(student, items(3), config, tmp_path),
        lambda: score(student, items(3), config),
    ):
        with pytest.raises(ModelError, match=f"ran out of memory: lower {hint} take a smaller"):
            attempt()


def test_other_errors_of_torch_are_left_alone(
    student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr("torch.nn.functional.cross_entropy", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        score(student, items(3), TINY)


def test_items_without_responses_are_counted_and_named(student: Student, tmp_path: Path) -> None:
    bad = [*items(2), Item("x", "Why?"), Item("y", "How?", response=" \n")]
    for attempt in (train, score):
        with pytest.raises(
            UsageError, match=r"2 of 4 items have no response: 'x', 'y'\. Fill them"
        ):
            attempt(student, bad, TINY, tmp_path)
        with pytest.raises(UsageError, match="there are no items"):
            attempt(student, [], TINY, tmp_path)


def test_repeated_ids_are_an_error(student: Student, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"1 ids occur more than once: 'item-00'\. Make them uniqu"
    ):
        train(student, [*items(2), items(1)[0]], TINY, tmp_path)


def test_without_the_extra_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ExtraMissing, match=r'run: pip install "selectllm\[student\]"'):
        open_student("local/smollm2-135m", tmp_path)


def test_a_model_that_cannot_be_loaded_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match=r"cannot load student .*check the name"):
        open_student(str(tmp_path), tmp_path / "cache")


def test_a_model_without_an_end_token_is_an_error(tmp_path: Path) -> None:
    folder = made(tmp_path / "tiny", bos_token="<s>")
    with pytest.raises(ModelError, match="has no EOS token to end responses with"):
        open_student(str(folder), tmp_path / "cache")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("mode", "slow", "`mode` must be fast or full, not 'slow'"),
        ("rank", 0, "`rank` must be at least 1, not 0"),
        ("max_length", 31, "`max_length` must be at least 32, not 31"),
        ("seed", -1, "`seed` must be at least 0, not -1"),
        ("learning_rate", 0.0, "must be a number above 0"),
        ("learning_rate", float("nan"), "must be a number above 0"),
    ],
)
def test_a_setting_out_of_range_is_an_error(name: str, value: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        StudentConfig(**{name: value})


def test_a_window_or_blocks_that_the_model_does_not_have_are_errors(student: Student) -> None:
    with pytest.raises(UsageError, match=r"max_length is 513, but .* takes at most 512 tokens"):
        score(student, items(1), replace(TINY, max_length=513))
    with pytest.raises(
        UsageError,
        match=r"blocks is 4, but .* has only 4 blocks\. Use a smaller number, or mode full",
    ):
        score(student, items(1), replace(TINY, blocks=4))


def test_the_manifest_says_what_was_trained_on_what(student: Student, tmp_path: Path) -> None:
    train(student, items(3), TINY, tmp_path)
    found = json.loads((tmp_path / "student.json").read_text(encoding="utf-8"))
    assert found["plan"]["identity"] == student.identity
    assert found["plan"]["config"]["seed"] == 0
    assert (found["plan"]["items"], found["plan"]["response_tokens"]) == (3, 4 + 6 + 8)
    assert len(found["losses"]) == 3
