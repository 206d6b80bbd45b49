"""Models by name, whatever they are loaded for: encoders, language models."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from selectllm.core.errors import EncoderError, ModelError, SelectLLMError
from selectllm.data.encoders import load_encoder
from selectllm.data.model_files import LOADING, ModelRole, find_model, loading
from selectllm.selection.scorers.language_model import load_language_model


def use_encoder(name: str, cache: Path) -> None:
    load_encoder(name).encode(["x"])


def use_language_model(name: str, cache: Path) -> None:
    load_language_model(name, cache).log_likelihoods([("", "x")])


every_use = pytest.mark.parametrize(
    ("use", "role"),
    [
        (use_encoder, ModelRole("encoder", EncoderError)),
        (use_language_model, ModelRole("language model", ModelError)),
    ],
)
Use = Callable[[str, Path], None]
ROLE = ModelRole("model", ModelError)


@every_use
@pytest.mark.parametrize("name", ["./missing", "/missing/model", "~/missing-model"])
def test_a_folder_that_is_not_there_is_an_error(
    use: Use, role: ModelRole, name: str, tmp_path: Path
) -> None:
    with pytest.raises(role.error, match=f"no {role.name} folder {name}"):
        use(name, tmp_path)


@every_use
def test_a_folder_with_a_broken_model_is_an_error(
    use: Use, role: ModelRole, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(role.error, match=rf"cannot load {role.name} .*check the name"):
        use(str(tmp_path), tmp_path)


def test_a_folder_is_known_by_its_name_and_what_is_in_its_model_files(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    before = find_model(str(folder), ROLE)
    assert (before.source, before.revision) == (str(folder), None)
    assert before.identity.startswith("mine@")
    (folder / "README.md").write_text("words", encoding="utf-8")
    assert find_model(str(folder), ROLE) == before
    (folder / "model.bin").write_bytes(b"weights")
    assert find_model(str(folder), ROLE).identity != before.identity


def test_a_folder_without_model_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SelectLLMError, match=r"^model folder .* holds no model files"):
        find_model(str(tmp_path), ROLE)


@pytest.mark.parametrize("library", LOADING)
def test_tries_again_are_no_noise_beside_the_error(
    library: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger(f"{library}.inside")
    monkeypatch.setattr(logging.getLogger(library), "propagate", True)

    def load() -> None:
        with loading("nosuch", ROLE, "Check the name"):
            logger.warning("Retrying in 1s")
            raise OSError("gone")

    with pytest.raises(ModelError, match="cannot load model nosuch: gone"):
        load()
    logger.warning("something else")
    assert {record.getMessage() for record in caplog.records} == {"something else"}
