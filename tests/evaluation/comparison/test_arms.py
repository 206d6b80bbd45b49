"""Arms: what a name on the command line of `ab` and `swap` finds in a suite."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import UsageError
from selectllm.evaluation.comparison.arms import Arm, Halves

PROMPTS = {"short@1": "short@1", "short@2": "short@2", "rank": "rank@3", "./new.jinja": "new@draft"}
MODELS = ("gpt", "llama+lora", "short")
SEVERAL = Halves(PROMPTS, MODELS)
ONE_MODEL = Halves(PROMPTS, ("gpt",)).with_default(prompt=None, model=None)
ONE_PROMPT = Halves({"rank": "rank@3"}, MODELS).with_default(prompt=None, model=None)

names = st.text("ab+@ .", min_size=1, max_size=6).map(str.strip).filter(bool)


class TestArm:
    """What an arm is called."""

    def test_a_pair_is_named_by_prompt_and_model(self) -> None:
        assert Arm("short@1", "gpt").name == "short@1 + gpt"

    def test_a_strategy_is_named_as_it_is_written(self) -> None:
        assert Arm(strategy="longest").name == "strategy:longest"

    def test_its_json_gives_the_arm_back(self) -> None:
        arm = Arm("short@1", "gpt")
        assert Arm(**arm.to_json()) == arm


class TestWhatANameFinds:
    """A prompt, then a model, then PROMPT+MODEL, then a strategy."""

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("short@2", Arm("short@2", "gpt")),
            ("rank", Arm("rank@3", "gpt")),
            ("rank@3", Arm("rank@3", "gpt")),
            ("./new.jinja", Arm("new@draft", "gpt")),
            ("new", Arm("new@draft", "gpt")),
            ("new@draft", Arm("new@draft", "gpt")),
        ],
    )
    def test_a_prompt_as_written_by_reference_or_by_name(self, text: str, found: Arm) -> None:
        assert ONE_MODEL.arm("a", text) == found

    def test_a_model_with_the_only_prompt(self) -> None:
        assert ONE_PROMPT.arm("a", "llama+lora") == Arm("rank@3", "llama+lora")

    @pytest.mark.parametrize("text", ["short@1+gpt", "short@1 + gpt", " short@1 +gpt "])
    def test_a_pair_with_spaces_around_the_plus_or_none(self, text: str) -> None:
        assert SEVERAL.arm("a", text) == Arm("short@1", "gpt")

    def test_a_pair_whose_model_has_a_plus_in_its_name(self) -> None:
        assert SEVERAL.arm("a", "rank+llama+lora") == Arm("rank@3", "llama+lora")

    def test_a_strategy_of_any_name(self) -> None:
        assert SEVERAL.arm("b", "strategy:longest") == Arm(strategy="longest")

    def test_a_prompt_wins_over_a_model_of_the_same_name(self) -> None:
        halves = Halves({"same": "same@1"}, ("same",), "same@1", "same")
        assert halves.arm("a", "same") == Arm("same@1", "same")

    def test_what_the_suite_writes_wins_over_a_name_alone(self) -> None:
        halves = Halves({"short": "other@1", "short@2": "short@2"}, (), None, "gpt")
        assert halves.arm("a", "short") == Arm("other@1", "gpt")

    @given(st.dictionaries(names, names, min_size=1), st.sets(names, min_size=1), st.data())
    def test_every_arm_of_a_suite_is_found_by_its_own_name_or_called_unclear(
        self, written: dict[str, str], models: set[str], data: st.DataObject
    ) -> None:
        prompts = {text: f"{name}@1" for text, name in written.items()}
        reference = data.draw(st.sampled_from(sorted(prompts.values())))
        arm = Arm(reference, data.draw(st.sampled_from(sorted(models))))
        halves = Halves(prompts, sorted(models), "rest@1", "rest")
        try:
            said = halves.arm("a", arm.name).name
        except UsageError as error:
            said = str(error)
        assert said == arm.name or ("may be any of" in said and arm.name in said)


class TestWhatANameDoesNotFind:
    """Errors name the option and list what there is."""

    @pytest.mark.parametrize(
        ("halves", "text", "words"),
        [
            (ONE_MODEL, "shrot@1", ["is not an arm of the suite", "short@2", "strategy:NAME"]),
            (ONE_MODEL, "short", ["any of short@1 + gpt, short@2 + gpt"]),
            (SEVERAL, "short+gpt", ["any of short@1 + gpt, short@2 + gpt"]),
            (SEVERAL, "rank@3", ["names no model", "pass `model`"]),
            (SEVERAL, "gpt", ["names no prompt", "pass `prompt`"]),
            (SEVERAL, "rank+gtp", ["is not an arm of the suite", "gpt, llama+lora, short"]),
            (Halves({}, ()), "x", ["the prompts none and the models none"]),
        ],
    )
    def test_is_an_error_with_the_list(self, halves: Halves, text: str, words: list[str]) -> None:
        with pytest.raises(UsageError) as error:
            halves.arm("a", text)
        assert str(error.value).startswith(f"`a` '{text}'")
        for word in words:
            assert word in str(error.value)


class TestDefaultHalves:
    """The halves that are named, and what is taken without them."""

    def test_the_only_prompt_and_the_only_model_are_taken(self) -> None:
        halves = Halves({"rank": "rank@3"}, ("gpt",)).with_default(prompt=None, model=None)
        assert (halves.prompt, halves.model) == ("rank@3", "gpt")

    def test_of_several_none_is_taken(self) -> None:
        halves = SEVERAL.with_default(prompt=None, model=None)
        assert (halves.prompt, halves.model) == (None, None)

    def test_two_spellings_of_one_prompt_are_one(self) -> None:
        halves = Halves({"rank": "rank@3", "rank@latest": "rank@3"}, ())
        assert halves.with_default(prompt=None, model=None).prompt == "rank@3"

    def test_the_options_choose_among_several(self) -> None:
        halves = SEVERAL.with_default(prompt="rank", model="gpt")
        assert halves.arm("a", "short@1") == Arm("short@1", "gpt")
        assert halves.arm("a", "llama+lora") == Arm("rank@3", "llama+lora")

    @pytest.mark.parametrize(
        ("prompt", "model", "message"),
        [
            ("rnak", None, "`prompt` 'rnak' is not in the suite. The suite has: new@draft, rank@3"),
            ("short", None, "`prompt` 'short' is any of short@1, short@2"),
            (None, "gtp", "`model` 'gtp' is not in the suite. The suite has: gpt, llama"),
        ],
    )
    def test_an_option_that_fits_none_or_two_is_an_error(
        self, prompt: str | None, model: str | None, message: str
    ) -> None:
        with pytest.raises(UsageError) as error:
            SEVERAL.with_default(prompt=prompt, model=model)
        assert message in str(error.value)
