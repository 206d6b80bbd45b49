"""Arms: what `ab` and `swap` compare, and how a name that somebody writes finds one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from selectllm.core.errors import UsageError
from selectllm.core.names import STRATEGY, unknown
from selectllm.selection.strategies import find_strategy


@dataclass(frozen=True, slots=True)
class Arm:
    """A prompt (`name@version`) run through a model (by name), or a strategy; the rest is None."""

    prompt: str | None = None
    model: str | None = None
    strategy: str | None = None

    @property
    def name(self) -> str:
        """`prompt + model`, or `strategy:NAME`."""
        return f"{STRATEGY}{self.strategy}" if self.strategy else f"{self.prompt} + {self.model}"

    def to_json(self) -> dict[str, Any]:
        """`{prompt, model, strategy}`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Halves:
    """What arms are made of in a suite.

    `prompts`: what the suite writes -> `name@version`. `models`: names. `prompt` and `model`:
    what an arm takes that names only the other half; None if the suite has several. `folder`:
    where strategies of the user's own lie. `numbered`: gives `NAME@latest` in a text its number.
    """

    prompts: Mapping[str, str]
    models: Sequence[str]
    prompt: str | None = None
    model: str | None = None
    folder: Path | None = None
    numbered: Callable[[str], str] = str

    def with_default(self, *, prompt: str | None, model: str | None) -> Halves:
        """With the halves that are named, else the only one that the suite has."""
        references = sorted(set(self.prompts.values()))
        if prompt is None:
            prompt = references[0] if len(references) == 1 else None
        else:
            prompt = self._one("prompt", prompt, self._prompts(prompt), references)
        if model is None:
            model = self.models[0] if len(self.models) == 1 else None
        else:
            found = [name for name in self.models if name == model]
            model = self._one("model", model, found, self.models)
        return replace(self, prompt=prompt, model=model)

    def only(self) -> Arm:
        """The one pair. Raises UsageError if the suite has several, or none."""
        for lacking, half, names in (
            ("prompt", self.prompt, set(self.prompts.values())),
            ("model", self.model, set(self.models)),
        ):
            if half is None:
                several = f"several: {', '.join(sorted(names))}. Say which one" if names else "none"
                raise UsageError(f"`{lacking}`: the suite has {several}", argument=lacking)
        return Arm(self.prompt, self.model)

    def swapped(self, before: str, after: str) -> tuple[Arm, Arm]:
        """Two models with one prompt. Raises UsageError if there are not just these."""
        for argument, model in (("from_", before), ("to", after)):
            if model not in self.models:
                raise UsageError(
                    f"`{argument}`: {unknown('model', model, self.models)} (in the suite)",
                    argument=argument,
                )
        if self.prompt is None:
            raise UsageError(
                f"`prompt`: the suite has several prompts: {', '.join(self.prompts)}. Say which "
                "one both models use",
                argument="prompt",
            )
        return Arm(self.prompt, before), Arm(self.prompt, after)

    def _one(self, argument: str, text: str, found: list[str], known: Sequence[str]) -> str:
        if len(found) != 1:
            several = f"is any of {', '.join(found)}" if found else "is not in the suite"
            raise UsageError(
                f"`{argument}` {text!r} {several}. The suite has: {', '.join(known)}. To use "
                "another one, add it to the suite",
                argument=argument,
            )
        return found[0]

    def _prompts(self, text: str) -> list[str]:
        """The prompts that `text` may mean: as written, by reference, or by name alone."""
        text = text if text in self.prompts else self.numbered(text)
        exact = {ref for written, ref in self.prompts.items() if text in (written, ref)}
        named = {ref for ref in self.prompts.values() if ref.partition("@")[0] == text}
        return sorted(exact or named)

    def arm(self, argument: str, text: str) -> Arm:
        """The arm that `text` names, given as `argument`.

        A prompt of the suite, then a model of it, then PROMPT+MODEL, then strategy:NAME; a half
        that is not named is the default one. Raises UsageError with the list when none fits, or
        more than one.
        """
        if found := self._prompts(text):
            return self._completed(argument, text, [Arm(ref, self.model) for ref in found], "model")
        if text in self.models:
            return self._completed(argument, text, [Arm(self.prompt, text)], "prompt")
        pairs = [
            Arm(ref, model)
            for at, char in enumerate(text)
            if char == "+"
            for ref in self._prompts(text[:at].strip())
            for model in self.models
            if model == text[at + 1 :].strip()
        ]
        if pairs:
            return self._completed(argument, text, pairs, "")
        if text.startswith(STRATEGY):
            return self._strategy(argument, text)
        raise UsageError(
            f"`{argument}` {text!r} is not an arm of the suite. {self._listing()}. To compare "
            "another prompt or model, add it to prompts: or models: in the suite",
            argument=argument,
        )

    def _strategy(self, argument: str, text: str) -> Arm:
        name = self.numbered(text.removeprefix(STRATEGY))
        try:
            find_strategy(name, self.folder)
        except UsageError as error:
            raise UsageError(f"`{argument}` {text!r}: {error}", argument=argument) from None
        return Arm(strategy=name)

    def _completed(self, argument: str, text: str, found: list[Arm], lacks: str) -> Arm:
        if len(found) > 1:
            names = ", ".join(arm.name for arm in found)
            raise UsageError(
                f"`{argument}` {text!r} may be any of {names}. {self._listing()}",
                argument=argument,
            )
        if lacks and getattr(found[0], lacks) is None:
            raise UsageError(
                f"`{argument}` {text!r} names no {lacks}, and the suite has several. Write "
                f"PROMPT+MODEL or pass `{lacks}`. {self._listing()}",
                argument=argument,
            )
        return found[0]

    def _listing(self) -> str:
        prompts = ", ".join(sorted(set(self.prompts.values()))) or "none"
        return (
            f"The suite has the prompts {prompts} and the models "
            f"{', '.join(self.models) or 'none'}. A strategy is written strategy:NAME, such as "
            "strategy:longest"
        )
