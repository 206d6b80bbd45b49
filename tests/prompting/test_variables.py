"""Variables of prompts: what a file may declare, what its template sees, and how one is settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import PromptError
from selectllm.core.types import Item, Question
from selectllm.prompting.library import PromptLibrary, lock, new_version
from selectllm.prompting.prompt import (
    Prompt,
    all_settings,
    labels_for,
    parse_prompt,
    render,
    settings_of,
    with_settings,
)
from selectllm.prompting.replies.parse import parse
from selectllm.prompting.variables import Value
from tests.support.prompt_files import put

ITEMS = tuple(Item(name, f"Explain {name} to a child.") for name in ("rain", "wind", "snow", "ice"))
PARTS = PromptLibrary().load("parts@1")
DECLARED = """\
---
description: d
reply: indices
variables:
  criteria: [true, false]  # whether to say what to look for
  labels:
    - numbers
    - letters
    # roman ones do not parse
  tone: [plain, "it's: [warm]", 'two

    lines']
  depth: [3, 0.5]
notes: "n"
---
"""
BODY = (
    "{% block user %}{{ [criteria, labels, tone, depth] }}"
    "{% if criteria is true %} criteria{% endif %}"
    "{% for item in items %} {{ item.label }}{% endfor %}{% endblock %}\n"
)


def prompt_of(source: str, path: str = "trial/v1.jinja") -> Prompt:
    return parse_prompt(source.encode(), path, "trial", 1)


def declaring(variables: str, body: str = "{{ a }}", labels: str = "numbers") -> Prompt:
    """A prompt with `variables` in flow style, whose user message is `body`."""
    front = f"description: d\nreply: indices\nlabels: {labels}\nvariables: {variables}"
    return prompt_of(f"---\n{front}\n---\n{{% block user %}}{body}{{% endblock %}}\n")


def shown(prompt: Prompt, k: int = 1) -> str:
    return render(prompt, ITEMS, k)[-1]["content"]


class TestDeclaration:
    """Names in the front matter, each with the values to try."""

    def test_the_first_value_of_each_is_what_is_shown(self) -> None:
        prompt = prompt_of(DECLARED + BODY)
        assert settings_of(prompt) == {
            "criteria": True,
            "labels": "numbers",
            "tone": "plain",
            "depth": 3,
        }
        assert shown(prompt) == "[True, 'numbers', 'plain', 3] criteria 1 2 3 4"

    def test_a_released_version_has_one_value_each(self) -> None:
        prompt = declaring("{a: false, b: none}", "{{ [a, b] }}")
        assert prompt.variables == (("a", (False,)), ("b", ("none",)))
        assert shown(prompt) == "[False, 'none']"

    def test_a_prompt_without_any_has_one_empty_setting(self) -> None:
        prompt = PromptLibrary().load("short@1")
        assert (prompt.variables, settings_of(prompt)) == ((), {})
        assert all_settings(prompt) == ({},)

    def test_the_variable_labels_sets_the_labels(self) -> None:
        front = (
            "---\ndescription: d\nreply: indices\nvariables: {labels: [letters, numbers]}\n---\n"
        )
        body = "{% block user %}{% for item in items %}{{ item.label }}{% endfor %}{% endblock %}"
        prompt = prompt_of(front + body)
        assert (prompt.labels, labels_for(prompt, 3)) == ("letters", ("A", "B", "C"))
        assert shown(prompt) == "ABCD"

    def test_a_key_labels_may_say_the_same(self) -> None:
        prompt = declaring("{labels: [letters, numbers]}", "{{ labels }}", labels="letters")
        assert (prompt.labels, shown(prompt)) == ("letters", "letters")

    def test_a_prompt_with_variables_can_be_hashed(self) -> None:
        assert len({PARTS, replace(PARTS), PromptLibrary().load("short@1")}) == 2

    @pytest.mark.parametrize(
        ("variables", "said"),
        [
            ("", "variables must be names with their values, not None. Write `variables: {crit"),
            ("{}", "variables must be names with their values, not {}"),
            ("[a, b]", r"variables must be names with their values, not \['a', 'b'\]"),
            ("{a: []}", "variable 'a' has no values. List at least its default"),
            ("{a: [x, y, x]}", "variable 'a' has 'x' twice. Leave one out"),
            ("{a: [true, 1]}", "variable 'a' has 1 twice"),
            ("{a: [x, null]}", "variable 'a': None is neither true or false nor a number nor a te"),
            ("{a: [[x]]}", r"variable 'a': \['x'\] is neither"),
            ("{a: {b: c}}", "variable 'a': {'b': 'c'} is neither"),
            ("{a: .nan}", "variable 'a': nan is neither"),
            ("{a: 2024-01-02}", "variable 'a': datetime.date.* Put quotes around it"),
            ("{a b: x}", "variables: 'a b' is not a name"),
            ("{1: x}", "variables: 1 is not a name"),
            ("{not: x}", "variables: 'not' is not a name"),
            ("{items: x}", "variables: 'items' already means something. Rename it"),
            ("{k: 1}", "variables: 'k' already means something"),
            ("{m: 1}", "variables: 'm' already means something"),
            ("{loop: 1}", "variables: 'loop' already means something"),
            ("{range: 1}", "variables: 'range' already means something"),
            ("{none: 1}", "variables: 'none' already means something"),
            (
                "{labels: [numbers, roman]}",
                "variables: there is no labels kind 'roman'. There are: letters",
            ),
            ("{labels: [letters, numbers]}", "labels is 'numbers', but the variable 'labels' begi"),
            ("{a: x, b: y}", "nothing in the template reads the variable 'b'. Leave it out"),
            ("{b: x}", "7: 'a' is undefined. A prompt sees items"),
        ],
    )
    def test_a_mistake_is_named_on_load(self, variables: str, said: str) -> None:
        with pytest.raises(PromptError, match=rf"trial/v1.jinja:.*{said}"):
            declaring(variables)

    def test_a_name_that_the_template_gives_itself_reads_no_variable(self) -> None:
        with pytest.raises(PromptError, match="nothing in the template reads the variable 'a'"):
            declaring("{a: x}", "{% for a in items %}{{ a.label }}{% endfor %}")


class TestAllSettings:
    """Every combination, for a search that tries them."""

    def test_they_are_every_combination_once_the_defaults_first(self) -> None:
        prompt = prompt_of(DECLARED + BODY)
        settings = all_settings(prompt)
        assert settings[0] == settings_of(prompt)
        assert len(settings) == len({tuple(each.items()) for each in settings}) == 2 * 2 * 3 * 2

    def test_a_settled_prompt_has_one(self) -> None:
        draft = with_settings(PARTS, {"criteria": False})
        assert all_settings(draft) == (settings_of(draft),)


class TestWithSettings:
    """A draft with one value each, in a file that a person can read."""

    def test_the_file_differs_in_the_values_alone(self) -> None:
        settings: Mapping[str, Value]
        settings = {"criteria": False, "labels": "letters", "tone": "it's: [warm]", "depth": 0.5}
        draft = with_settings(prompt_of(DECLARED + BODY), settings)
        front = """\
---
description: d
reply: indices
variables:
  criteria: false  # whether to say what to look for
  labels: letters
    # roman ones do not parse
  tone: 'it''s: [warm]'
  depth: 0.5
notes: "n"
---
"""
        assert draft.source == front + BODY
        assert (draft.version, draft.labels) == (0, "letters")
        assert shown(draft) == "[False, 'letters', \"it's: [warm]\", 0.5] A B C D"

    def test_a_key_labels_follows_the_variable(self) -> None:
        prompt = declaring("{ labels: [numbers, letters] , a: [x] }")
        source = with_settings(prompt, {"labels": "letters"}).source
        assert "\nlabels: letters\nvariables: { labels: letters , a: x }\n" in source

    def test_what_is_not_said_has_its_default(self) -> None:
        assert with_settings(PARTS, {}).source == with_settings(PARTS, settings_of(PARTS)).source
        assert settings_of(with_settings(PARTS, {"reasons": "after"})) == {
            **settings_of(PARTS),
            "reasons": "after",
        }

    def test_a_prompt_without_variables_is_its_own_draft(self) -> None:
        prompt = PromptLibrary().load("short@1")
        assert with_settings(prompt, {}).sha256 == prompt.sha256

    def test_a_value_is_written_as_it_was_declared(self) -> None:
        assert shown(with_settings(declaring("{a: [false, true]}"), {"a": 1})) == "True"

    @pytest.mark.parametrize("text", ["a\nb", "\x85", "\u2028 ", "\t", "", " ", "a: b, [c]", "é🧮"])
    def test_any_text_is_written_in_one_line(self, text: str) -> None:
        escaped = "".join(f"\\U{ord(sign):08x}" for sign in text)
        prompt = declaring(f'{{a: [first, "{escaped}"]}}', "{{ a }}.")
        draft = with_settings(prompt, {"a": text})
        assert shown(draft) == f"{text}."
        assert len(draft.source.splitlines()) == len(prompt.source.splitlines())

    def test_windows_line_ends_stay(self) -> None:
        source = (DECLARED + BODY).replace("\n", "\r\n")
        made = with_settings(prompt_of(source), {"criteria": False}).source
        assert made.count("\r\n") == made.count("\n")
        assert "  criteria: false  # whether to say what to look for\r\n" in made

    def test_a_name_that_is_no_variable_is_an_error(self) -> None:
        with pytest.raises(PromptError, match=r"no variable 'reason'\. Did you mean 'reasons'"):
            with_settings(PARTS, {"reason": "none"})

    def test_a_value_that_was_not_declared_is_an_error(self) -> None:
        said = r"reasons cannot be 'behind'\. Its values are 'none', 'before', 'after'"
        with pytest.raises(PromptError, match=said):
            with_settings(PARTS, {"reasons": "behind"})

    def test_values_behind_an_anchor_are_refused(self) -> None:
        prompt = declaring("{a: &both [x, y], b: *both}", "{{ [a, b] }}")
        with pytest.raises(PromptError, match=r"trial/v1.jinja"):
            with_settings(prompt, {"a": "y"})

    def test_a_draft_becomes_a_version_that_is_locked_like_any_other(self, tmp_path: Path) -> None:
        draft = with_settings(PARTS, {"criteria": False, "labels": "letters"})
        file = tmp_path / "draft.jinja"
        file.write_bytes(draft.source.encode())
        folder = tmp_path / "prompts"
        put(folder, "other@1")
        new_version(folder, "fixed", file)
        lock(folder)
        released = PromptLibrary(folder).load("fixed@1")
        assert released.locked
        assert render(released, ITEMS, 2) == render(draft, ITEMS, 2)


WHY = (
    "Both take several steps.",
    "It asks for 3 steps, and I have seen it 10 times less than the others.",
    "I chose this as a good answer would teach reasoning; the others are trivial.",
    "Candidate {0} takes thought, and {1} is a plain question.",
    "Unlike [{1}], [{0}] is rare.",
    "- [{0}] takes thought\n- the others do not",
)
DRAFTS = tuple(with_settings(PARTS, settings) for settings in all_settings(PARTS))


def words(prompt: Prompt) -> str:
    return " ".join(f"{name}={value}" for name, value in settings_of(prompt).items())


@pytest.mark.parametrize("prompt", DRAFTS, ids=words)
@pytest.mark.parametrize("k", [1, 2])
class TestParts:
    """The bundled prompt in parts, with each of its settings."""

    def test_a_part_is_there_or_not(self, prompt: Prompt, k: int) -> None:
        text, settings = shown(prompt, k), settings_of(prompt)
        assert ("Clarity and relevance" in text) is settings["criteria"]
        assert ("Diversity" in text) is (settings["criteria"] and k > 1)
        assert ("your reasons" in text) is (settings["reasons"] != "none")
        assert ("Final answer:" in text) is (settings["reasons"] == "before")
        assert ("=== [A] ===" in text) is (settings["labels"] == "letters")
        first = text.index(f"Choose {k} of the 4") < text.index("=== [")
        assert first is (settings["instructions"] == "first")

    def test_parts_are_set_apart_by_one_empty_line(self, prompt: Prompt, k: int) -> None:
        text = shown(prompt, k)
        assert text == text.strip()
        assert "\n\n\n" not in text
        assert text.count("\n\n") == 2

    def test_the_format_is_restated_last_and_no_example_is_a_valid_answer(
        self, prompt: Prompt, k: int
    ) -> None:
        end = shown(prompt, k).rpartition("\n\n")[2]
        assert "nothing else" in end
        assert f"[{', '.join(['label'] * k)}]" in end
        question = Question(ITEMS, labels_for(prompt, 4), k, prompt.reply)
        assert parse(end, question).status == "invalid"

    def test_a_reply_in_the_form_asked_for_is_read_whatever_its_reasons_say(
        self, prompt: Prompt, k: int
    ) -> None:
        labels = labels_for(prompt, 4)
        answer = f"[{', '.join(labels[2:0:-1][:k])}]"
        for why in WHY:
            reasons = why.format(labels[2], labels[0])
            reply = {
                "none": answer,
                "before": f"{reasons}\nFinal answer: {answer}",
                "after": f"{answer}\n{reasons}",
            }[str(settings_of(prompt)["reasons"])]
            parsed = parse(reply, Question(ITEMS, labels, k, prompt.reply))
            assert (parsed.status, parsed.picks) == ("ok", (2, 1)[:k]), reply


NAMES = ("alpha", "beta", "labels", "größe")
values: st.SearchStrategy[Value] = (
    st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t'\"#:,"))
    | st.sampled_from(["true", "null", "1e5", "- a", "[x]", "{{ k }}", "---", "*a", " x ", "{%"])
)
lists_of_values = st.lists(values, min_size=1, max_size=3, unique=True)
kinds = st.lists(st.sampled_from(["numbers", "letters"]), min_size=1, unique=True)
declarations = st.dictionaries(st.sampled_from(NAMES), st.nothing()) | st.fixed_dictionaries(
    {"alpha": lists_of_values}, optional={"beta": lists_of_values, "labels": kinds, "größe": values}
)


@st.composite
def with_chosen(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Value]]:
    """What a file declares, and a choice from it."""
    declared = draw(declarations.filter(bool))
    listed = {name: v if isinstance(v, list) else [v] for name, v in declared.items()}
    return declared, {name: draw(st.sampled_from(values)) for name, values in listed.items()}


@given(
    case=with_chosen(),
    flow=st.sampled_from([True, False, None]),
    end=st.sampled_from(["\n", "\r\n"]),
    k=st.integers(1, 4),
)
def test_a_settled_prompt_shows_what_its_parent_s_template_says_with_these_settings(
    case: tuple[dict[str, Any], dict[str, Value]], flow: bool | None, end: str, k: int
) -> None:
    declared, chosen = case
    front = {"description": "d", "reply": "indices", "variables": declared}
    if "labels" not in declared:
        front["labels"] = "numbers"
    head = yaml.safe_dump(front, allow_unicode=True, default_flow_style=flow)
    names = ", ".join(declared)
    body = (
        f"{{% block user %}}{end}{{% for v in [{names}] %}}<{{{{ v }}}}>{{% endfor %}}{end}"
        "{% for item in items %}{{ item.label }}{{ item.instruction }}{% endfor %}{{ k }}"
        "{% endblock %}"
    )
    parent = prompt_of(f"---{end}" + head.replace("\n", end) + f"---{end}" + body)
    made = with_settings(parent, chosen)
    assert made.source.endswith(f"---{end}" + body)
    labels = "ABCD" if chosen.get("labels") == "letters" else "1234"
    told = "".join(f"<{value}>" for value in chosen.values())
    items = "".join(f"{label}{item.instruction}" for label, item in zip(labels, ITEMS, strict=True))
    assert shown(made, k) == f"{told}{items}{k}"
