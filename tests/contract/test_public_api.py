"""What `import selectllm` offers: the names of `__all__`, each documented, loaded when used."""

from __future__ import annotations

import inspect

import pytest

import selectllm


def test_the_names_are_sorted_and_few() -> None:
    assert selectllm.__all__ == sorted(selectllm.__all__)
    assert len(selectllm.__all__) <= 30


@pytest.mark.parametrize("name", selectllm.__all__)
def test_every_name_loads_and_is_documented(name: str) -> None:
    value = getattr(selectllm, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        selectllm.nothing  # noqa: B018


def test_no_public_name_is_that_of_a_module() -> None:
    """`from selectllm import x` must not depend on whether module x was imported before."""
    for name in selectllm.__all__:
        assert selectllm._HOME[name] != name
