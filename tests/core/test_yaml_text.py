"""YAML of strangers: plain values, each key once, at a cost that is known."""

from __future__ import annotations

import pytest

from selectllm.core.yaml_text import YamlFault, as_number, load_yaml


def layers(first: str, layer: str) -> str:
    """Eleven lines, each of which names the one before it ten times."""
    lines = [f"a0: &a0 {first}"]
    for number in range(1, 12):
        before = ", ".join([f"*a{number - 1}"] * 10)
        lines.append(f"a{number}: &a{number} {layer.format(before=before, number=number)}")
    return "\n".join(lines)


FAULTS = {
    "a billion laughs": (layers("[x, x]", "[{before}]"), "values, those of aliases included"),
    "laughs of merged keys": (
        layers("{x: 1}", "{{<<: [{before}], k{number}: 1}}"),
        "values, those of aliases included",
    ),
    "a list that holds itself": ("a: &a [*a]", "line 1: a value that holds itself"),
    "two that hold each other": ("- &a {b: &b [*a]}", "line 1: a value that holds itself"),
    "brackets": ("x: 1\na: " + "[" * 200_000, "line 2: nested more than 40 deep"),
    "indentation": (
        "\n".join(" " * depth + "a:" for depth in range(200)),
        "line 40: nested more than 40 deep",
    ),
    "digits": ("x: 1\na: " + "9" * 6000, "line 2: a number of more than 100 digits"),
    "digits behind the dot": ("a: 1." + "0" * 6000, "line 1: a number of more than 100 digits"),
    "a date that is none": ("x: 1\na: 2024-99-99", "line 2: '2024-99-99' cannot be read"),
    "many values": ("- a\n" * 30_000, "more than 20,000 values"),
    "a long text": ("#" * 600_000, "longer than 500,000 characters"),
    "a control character": ("x: 1\na: \x00", "line 2: the character 0x00 is not allowed in YAML"),
    "a key twice": ("a: 1\nb: {c: 1, c: 2}", "line 2: the key 'c' appears twice"),
    "a merge twice": ("x: &x {a: 1}\ny: {<<: *x, <<: *x}", "line 2: the key '<<' appears twice"),
    "a merge of no mapping": ("a: {<<: 3}", "line 1: expected a mapping"),
    "an object of Python": ("x: 1\na: !!python/object:os.system x", "line 2: could not determine"),
    "a list as a key": ("{[1]: 2}", "line 1: found unhashable key"),
    "two documents": ("a: 1\n---\nb: 2", "line 2: but found another document"),
}


@pytest.mark.parametrize(("text", "said"), FAULTS.values(), ids=FAULTS)
def test_what_is_too_much_or_no_yaml_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(YamlFault) as caught:
        load_yaml(text)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 300


def test_merge_keys_fill_in_what_a_mapping_does_not_say() -> None:
    text = "- &b {id: 1, name: a}\n- &c {<<: *b, name: c}\n- {<<: [*c, *b], id: 9}"
    assert load_yaml(text) == [
        {"id": 1, "name": "a"},
        {"id": 1, "name": "c"},
        {"id": 9, "name": "c"},
    ]


def test_a_number_that_yaml_1_1_reads_as_text_is_told_apart_where_it_is_asked_for() -> None:
    text = "[1e-2, 1.5e3, '1e-2', 1.0e+3, -.5E3, 1e, e5]"
    assert load_yaml(text) == ["1e-2", "1.5e3", "1e-2", 1000.0, "-.5E3", "1e", "e5"]
    told = load_yaml(text, like_numbers=True)
    assert told == load_yaml(text)
    assert as_number(told) == [0.01, 1500.0, "1e-2", 1000.0, -500.0, "1e", "e5"]
