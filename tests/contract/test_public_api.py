"""What `import selectllm` offers: the names of `__all__`, each documented, loaded when used."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import selectllm

COUNT = 32


def test_the_names_are_sorted_and_few() -> None:
    assert selectllm.__all__ == sorted(selectllm.__all__)
    assert len(selectllm.__all__) == COUNT
    assert dir(selectllm) == selectllm.__all__


@pytest.mark.parametrize("name", selectllm.__all__)
def test_every_name_loads_and_is_documented(name: str) -> None:
    value = getattr(selectllm, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value)


@pytest.mark.parametrize("name", [n for n in selectllm.__all__ if n.endswith("_async")])
def test_every_job_has_a_twin_with_the_same_arguments(name: str) -> None:
    job, waiting = getattr(selectllm, name), getattr(selectllm, name.removesuffix("_async"))
    assert inspect.iscoroutinefunction(job)
    assert not inspect.iscoroutinefunction(waiting)
    assert inspect.signature(job) == inspect.signature(waiting)


def test_every_job_is_a_method_of_a_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELECTLLM_CACHE_DIR", str(tmp_path))
    with selectllm.Session() as session:
        for name in (n for n in selectllm.__all__ if n.endswith("_async")):
            assert name in dir(session)
            assert callable(getattr(session, name))
            assert callable(getattr(session, name.removesuffix("_async")))
        with pytest.raises(AttributeError, match="'Session' object has no attribute 'nothing'"):
            session.nothing  # noqa: B018


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        selectllm.nothing  # noqa: B018


def test_no_public_name_is_that_of_a_module() -> None:
    """`from selectllm import x` must not depend on whether module x was imported before."""
    modules = {module.name for module in pkgutil.iter_modules(selectllm.__path__)}
    assert not modules & {*selectllm.__all__, *selectllm._FORMER}


@pytest.mark.parametrize("name", sorted(selectllm._FORMER))
def test_a_former_name_works_and_names_its_place_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(vars(selectllm), name, raising=False)  # as in a process that is new
    place = f"selectllm.{selectllm._FORMER[name]}"
    scope: dict[str, object] = {}
    with pytest.warns(DeprecationWarning, match=rf"is {place}\.{name} now") as told:
        exec(f"from selectllm import {name}", scope)
    assert len(told) == 1
    assert scope[name] is getattr(importlib.import_module(place), name)


def test_a_former_module_works_and_names_its_place() -> None:
    with pytest.warns(DeprecationWarning, match="mport UtilitySource from selectllm"):
        former = importlib.import_module("selectllm.utility_sources")
    assert former.UtilitySource is selectllm.UtilitySource
