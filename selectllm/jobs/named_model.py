"""A model that is named by its id, with settings given as `KEY=VALUE` texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from selectllm.core.errors import ModelError, UsageError
from selectllm.core.names import unknown
from selectllm.core.shown import shortened
from selectllm.jobs.options import ModelOptions
from selectllm.models.model import ModelSpec
from selectllm.models.providers.endpoint import is_variable
from selectllm.models.secrets import MASK, is_secret_name, masked

if TYPE_CHECKING:
    from selectllm.evaluation.suite import Suite
    from selectllm.evaluation.suite_entries import ModelEntry


def named_model(model_id: str, options: ModelOptions) -> ModelSpec:
    """The model with these settings, checked as in a suite."""
    from selectllm.evaluation.suite_entries import ModelEntry

    return named_entry(ModelEntry(id=model_id), options).spec()


class NamedModels(Mapping[str, ModelSpec]):
    """Every model by its id, each with the same settings; none is listed."""

    def __init__(self, options: ModelOptions) -> None:
        self._options = options

    @staticmethod
    def of(options: ModelOptions, model: ModelSpec | None) -> Mapping[str, ModelSpec] | None:
        """What strategies and prefilters find models in; None without any settings.

        The settings are those of --model if it is given, and of every model elsewhere.
        """
        if not options:
            return None
        return NamedModels(options) if model is None else {model.id: model}

    def __getitem__(self, name: str) -> ModelSpec:
        if "/" not in name:
            raise KeyError(name)
        return named_model(name, self._options)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def with_model(suite: Suite, options: ModelOptions) -> Suite:
    """The suite with what `options` say of its one model. Raises UsageError if it has several."""
    if not options:
        return suite
    if len(suite.models) != 1:
        raise UsageError(
            "`api_base` and `model_arg` apply to a suite with one model, and this suite has "
            f"{len(suite.models)}. Write these settings into its model entries instead.",
            argument="api_base" if options.api_base is not None else "model_arg",
        )
    return suite.model_copy(update={"models": (named_entry(suite.models[0], options),)})


def named_entry(model: ModelEntry, options: ModelOptions) -> ModelEntry:
    """A model entry with what `options` say instead.

    A setting of several parts is given part by part, `vote.orders=3`, or whole, `vote={orders: 3}`.
    Raises UsageError for an argument that is not KEY=VALUE and ModelError for a setting that no
    model has; provider settings that we do not know go under `extra.`.
    """
    from pydantic import ValidationError

    from selectllm.core.strict import reason_of
    from selectllm.evaluation.suite_entries import ModelEntry

    entry: dict[str, Any] = model.model_dump(exclude_unset=True) | {"extra": dict(model.extra)}
    known = _settings()
    if options.api_base is not None:
        entry["api_base"] = options.api_base
    for argument in options.model_arg:
        key, value = _key_value(argument)
        part, dot, inner = key.partition(".")
        if part == "extra" and dot:
            entry["extra"][inner] = value
        elif key not in known:
            raise ModelError(
                f"`model_arg` {shown_argument(argument)!r}: {unknown('setting', key, known)}; "
                f"write a provider's own setting as extra.{key}=VALUE"
            )
        elif dot:
            whole = entry.get(part)
            entry[part] = {**(whole if isinstance(whole, dict) else {}), inner: value}
        else:
            entry[key] = value
    try:
        return ModelEntry.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelError(
            f"`model_arg` {where}: {shortened(first['input'])} {reason_of(dict(first))}"
        ) from None


def _settings() -> set[str]:
    """The keys of a model entry that may be given, parts after a dot."""
    from selectllm.core.strict import Strict
    from selectllm.evaluation.suite_entries import ModelEntry, PriceEntry, VoteEntry

    parts: dict[str, type[Strict]] = {"price": PriceEntry, "vote": VoteEntry}
    nested = {f"{name}.{key}" for name, entry in parts.items() for key in entry.model_fields}
    return (ModelEntry.model_fields.keys() - {"id", "extra"}) | nested


def shown_argument(argument: str) -> str:
    """KEY=VALUE as it may be shown: a secret is masked, the name of its variable is none."""
    import yaml

    key, equals, text = argument.partition("=")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    names_variable = key == "api_key_env" and is_variable(text)
    secret = not names_variable and any(is_secret_name(part) for part in key.split("."))
    return argument if masked(value, secret) == value else f"{key}{equals}{MASK}"


def _key_value(argument: str) -> tuple[str, Any]:
    """KEY=VALUE, the value read as YAML: 0.7 is a number, true a truth value."""
    from selectllm.core.yaml_text import YamlFault, load_yaml

    key, equals, text = argument.partition("=")
    if not equals:
        raise UsageError(
            f"`model_arg` {shown_argument(argument)!r} is not KEY=VALUE. Write it like "
            "temperature=0.7."
        )
    try:
        return key, load_yaml(text, like_numbers=True)
    except YamlFault:
        return key, text
