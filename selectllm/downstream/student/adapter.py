"""The folder of a trained student: its adapter, the manifest, and the state of a killed training.

adapter_model.safetensors    weights of the adapter, named as peft names them
adapter_config.json          what peft needs to load them
student.json                 manifest: what was trained, on what, with what; written last
unfinished.safetensors       weights and optimiser after the last whole epoch, until the end
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, cast

from selectllm.core.codec import load_json, pretty_json, sha256_json, sha256_texts
from selectllm.core.errors import RunError
from selectllm.core.files import atomic_write, write_text
from selectllm.core.types import Item
from selectllm.data.leakage import asked_by
from selectllm.downstream.student.config import StudentConfig
from selectllm.downstream.student.network import Student, adapted
from selectllm.downstream.student.schema import TrainedManifest
from selectllm.downstream.student.template import TEMPLATE, Cut, Example, cut

FORMAT = 1
WEIGHTS = "adapter_model.safetensors"
SETTINGS = "adapter_config.json"
MANIFEST = "student.json"
UNFINISHED = "unfinished.safetensors"

_SHAPE = ("mode", "rank", "alpha", "blocks", "max_length")  # must be alike to score an adapter
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what AdamW knows of each weight


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What a training will do. Two plans with the same `sha256` lead to the same adapter.

    `identity` is that of the model. `items_sha256` is a hash of the ids and texts of the items, in
    any order. `prompt_tokens` and `response_tokens` are those of one epoch; only the second are
    learned. `asked` says what the items ask (see `leakage.asked_by`), so that no student is tested
    on items that it was trained on.
    """

    identity: str
    config: StudentConfig
    items_sha256: str
    items: int
    prompt_tokens: int
    response_tokens: int
    cut: Cut
    asked: tuple[str, ...]
    template: str = TEMPLATE

    @property
    def tokens(self) -> int:
        """Tokens of one epoch."""
        return self.prompt_tokens + self.response_tokens

    @property
    def sha256(self) -> str:
        """Identity of the training, whatever its model is called here."""
        plan = asdict(self)
        del plan["config"]["model"], plan["asked"]  # the second is in the hash of the items
        return sha256_json({"student": FORMAT, **plan})


@dataclass(frozen=True, slots=True)
class Manifest:
    """A finished training. `losses` are the mean nats per response token of each epoch."""

    plan: TrainingPlan
    losses: tuple[float, ...]
    adapter_sha256: str


def plan_of(
    student: Student, items: Sequence[Item], examples: Sequence[Example], config: StudentConfig
) -> TrainingPlan:
    """The plan of training `student` on `items`, whose `examples` these are."""
    return TrainingPlan(
        identity=student.identity,
        config=config,
        items_sha256=items_sha256(items),
        items=len(items),
        prompt_tokens=sum(len(example.prompt) for example in examples),
        response_tokens=sum(len(example.response) for example in examples),
        cut=cut(examples),
        asked=asked_by(items),
    )


def items_sha256(items: Sequence[Item]) -> str:
    """Hash of the ids and texts of a set of items, the same in any order."""
    ordered = sorted(items, key=lambda item: item.id)
    return sha256_texts(
        text
        for item in ordered
        for text in (item.id, item.instruction, item.input, item.response or "")
    )


def finished(folder: Path, plan: TrainingPlan) -> Manifest | None:
    """The manifest in `folder`, or None if there is none.

    Raises RunError if it belongs to another training, and if an adapter is there without a manifest
    or an unfinished training beside it: it is not ours, and is not replaced.
    """
    if not (folder / MANIFEST).exists():
        if (folder / WEIGHTS).exists() and not (folder / UNFINISHED).exists():
            raise RunError(f"{folder} holds an adapter without {MANIFEST}. Choose another folder")
        return None
    manifest = read_manifest(folder)
    if manifest.plan.sha256 != plan.sha256:
        raise RunError(f"{folder} contains a different training. Choose another folder")
    return manifest


def is_begun(folder: Path) -> bool:
    """Whether `folder` holds a training, finished or not."""
    return any((folder / name).exists() for name in (MANIFEST, WEIGHTS, UNFINISHED))


def copy_trained(source: Path, folder: Path) -> Manifest:
    """Put the finished training in `source` into `folder` as well; its manifest.

    Raises RunError as `read_manifest`, and if `folder` holds another training.
    """
    manifest = read_manifest(source)
    if finished(folder, manifest.plan) is None:
        for name in (SETTINGS, WEIGHTS, MANIFEST):  # the last says that the others are there
            _write_bytes(folder / name, (source / name).read_bytes())
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a trained student, its adapter's hash checked.

    Raises RunError if there is none, or if manifest or adapter are not what training wrote.
    """
    path = folder / MANIFEST
    try:
        fields = load_json(path.read_bytes())
        adapter = (folder / WEIGHTS).read_bytes()
    except FileNotFoundError:
        raise RunError(f"{folder} contains no trained student. Train one there first") from None
    except OSError as error:
        raise RunError(f"{folder} cannot be read ({error.strerror}). Check its files") from None
    except ValueError as error:
        raise RunError(f"{path} is not JSON ({error}). Train again in another folder") from None
    try:
        manifest = _parsed(fields)
        recorded(manifest)
    except (KeyError, TypeError) as error:
        raise RunError(f"{path} is not a manifest of a student ({error!r})") from None
    except ValueError as error:
        raise RunError(f"{path} is damaged ({error}). Train again in another folder") from None
    if hashlib.sha256(adapter).hexdigest() != manifest.adapter_sha256:
        raise RunError(f"{folder / WEIGHTS} has changed since it was trained. Train again")
    return manifest


def recorded(manifest: Manifest) -> TrainedManifest:
    """The manifest as its file has it. Raises ValueError with a value that no training wrote."""
    return TrainedManifest.of(asdict(manifest))


def _parsed(fields: Any) -> Manifest:
    plan = dict(fields["plan"])
    plan |= {"config": StudentConfig(**plan["config"]), "cut": Cut(**plan["cut"])}
    plan["asked"] = tuple(plan["asked"])
    return Manifest(TrainingPlan(**plan), tuple(fields["losses"]), fields["adapter_sha256"])


def save_adapter(folder: Path, plan: TrainingPlan, model: Any, losses: Sequence[float]) -> Manifest:
    """Write the adapter of the peft `model`, then the manifest; the unfinished state goes."""
    from peft import get_peft_model_state_dict

    settings = model.peft_config["default"].to_dict() | {
        "base_model_name_or_path": plan.config.model,
        "inference_mode": True,
    }
    listed = {name: sorted(v) if isinstance(v, set) else v for name, v in settings.items()}
    write_text(folder / SETTINGS, pretty_json(listed))
    sha256 = _write_tensors(folder / WEIGHTS, get_peft_model_state_dict(model))
    manifest = Manifest(plan, tuple(losses), sha256)
    write_text(folder / MANIFEST, pretty_json({"student": FORMAT, **asdict(manifest)}))
    drop_unfinished(folder)
    return manifest


@contextlib.contextmanager
def trained(student: Student, config: StudentConfig, folder: Path | None) -> Iterator[None]:
    """The student as the training in `folder` left it, meanwhile; the base model for None.

    Raises RunError if the folder holds no trained student, or one that is not of this student,
    template, mode, rank, alpha, blocks and max_length.
    """
    if folder is None:
        yield
        return
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    _check_fits(read_manifest(folder).plan, student, config, folder)
    with adapted(student, config) as model:
        set_peft_model_state_dict(model, load_file(folder / WEIGHTS))
        yield


def _check_fits(plan: TrainingPlan, student: Student, config: StudentConfig, folder: Path) -> None:
    pairs = {name: (getattr(plan.config, name), getattr(config, name)) for name in _SHAPE}
    pairs |= {"model": (plan.identity, student.identity), "template": (plan.template, TEMPLATE)}
    for name, (there, here) in pairs.items():
        if there != here:
            raise RunError(
                f"{folder} contains a student with {name} {there}, but this one has {here}. Use "
                "the same value, or train again in another folder"
            )


def save_epoch(
    folder: Path,
    plan: TrainingPlan,
    weights: Mapping[str, Any],
    optimiser: Any,
    losses: Sequence[float],
) -> None:
    """Keep what the next epoch starts from."""
    tensors = dict(weights)
    for name, value in weights.items():
        tensors |= {f"{name} {moment}": optimiser.state[value][moment] for moment in _MOMENTS}
    _write_tensors(
        folder / UNFINISHED, tensors, {"plan": plan.sha256, "losses": json.dumps(list(losses))}
    )


def drop_unfinished(folder: Path) -> None:
    """Forget the epochs of a training that will not go on."""
    (folder / UNFINISHED).unlink(missing_ok=True)


def restore(
    folder: Path, plan: TrainingPlan, weights: Mapping[str, Any], optimiser: Any
) -> list[float]:
    """Put weights and optimiser where `save_epoch` left them; the losses of the epochs so far.

    Without such a file nothing changes and there are no losses. Raises RunError if it is of
    another training or damaged.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    path = folder / UNFINISHED
    if not path.exists():
        return []
    try:
        with safe_open(path, framework="pt") as file, torch.no_grad():
            known = file.metadata() or {}
            if known.get("plan") != plan.sha256:
                raise RunError(
                    f"{path} belongs to a different training. Choose another folder, or delete it"
                )
            for name, value in weights.items():
                value.copy_(file.get_tensor(name))
                optimiser.state[value] = {
                    moment: file.get_tensor(f"{name} {moment}").to(value.device)
                    for moment in _MOMENTS
                }
    except SafetensorError as error:
        raise RunError(f"{path} is damaged ({error}). Delete it to train from the start") from None
    losses: list[float] = json.loads(known["losses"])
    return losses


def _write_tensors(
    path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None
) -> str:
    """Write a file of tensors whole or not at all; hex sha256 of its bytes."""
    from safetensors.torch import save

    data = save(
        {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()},
        dict(metadata or {}),
    )
    _write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def _write_bytes(path: Path, data: bytes) -> None:
    with atomic_write(path) as handle:
        cast(TextIOWrapper, handle).buffer.write(data)  # bytes go past the layer of text
