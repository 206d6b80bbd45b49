"""From a text to a prompt that shows exactly that text as its system message. Pure.

What is searched for is plain text; a prompt is a Jinja template. So the text goes into the
template with everything that Jinja would read in it, or change, written as an expression:
braces that open a tag, carriage returns, white space at its end. What is written is measured:
`with_system` renders what it made and compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import yaml

from selectllm.core.errors import PromptError
from selectllm.core.types import Item, Question
from selectllm.prompting.prompt import Prompt, labels_for, parse_prompt, render, with_parent
from selectllm.prompting.replies.formats import reply_format, write_reply

_BLOCK = re.compile(
    r"\{%[-+]?\s*block\s+system\b[^%]*%\}(?P<body>.*?)\{%[-+]?\s*endblock(?:\s+system)?\s*[-+]?%\}",
    re.DOTALL,
)
_USER = re.compile(r"\{%[-+]?\s*block\s+user\b")
_FRONT = re.compile(r"\A(?P<head>---[ \t]*\r?\n.*?)(?P<end>^---[ \t]*\r?\n)", re.DOTALL | re.M)
_DESCRIPTION = re.compile(r"^description:.*\r?\n(?:[ \t]+.*\r?\n)*", re.M)
_LITERAL = re.compile(r"\{\{ '(?:[^'\\]|\\.)*' \}\}")  # what `_literal` writes
_READ_BY_JINJA = re.compile(r"\{+[{%#]|\{*\r+")
# Two items are enough to see whether a message depends on them.
_SHOWN = (
    Item("a", "one", "first", response="x"),
    Item("b", "two {{ k }}", response="y"),
)


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A cluster of the training split as it was shown, and a reply with the best picks."""

    message: str
    reply: str


def system_text(prompt: Prompt) -> str:
    """The system message of `prompt`: the text that is searched; "" if it has none.

    Raises PromptError if it is no plain text, but depends on the items, `k` or `m`.
    """
    block = _block(prompt)
    if block is not None and (tag := re.search(r"\{[{%#]", _LITERAL.sub("", block["body"]))):
        line = prompt.source[: block.start("body")].count("\n") + 1
        raise PromptError(
            f"{prompt.path}:{line}: the system block is not a plain text ({tag.group()} in it), so "
            "optimize cannot rewrite it. Write it without tags, and move what depends on items, k "
            "or m into the user block"
        )
    return _system(prompt)


def check_rewritable(prompt: Prompt) -> None:
    """Raise PromptError if a search could not put other system texts into `prompt`."""
    with_system(prompt, f"{system_text(prompt)}\n\nAnother {{{{ text }}}}.")


def with_system(prompt: Prompt, text: str) -> Prompt:
    """A draft of `prompt` whose system message is `text`, byte for byte; the rest is as it was.

    `prompt` itself if that is its system message. Raises PromptError for a text that no file can
    hold (lone surrogates), or if the template cannot take it.
    """
    if text == system_text(prompt):
        return prompt
    block = f"{{% block system %}}\n{_literal(text)}\n{{%- endblock %}}"
    old = _block(prompt)
    if old is not None:
        source = prompt.source[: old.start()] + block + prompt.source[old.end() :]
    else:
        user = _USER.search(prompt.source, _body(prompt))
        at = user.start() if user else len(prompt.source)
        source = f"{prompt.source[:at]}{block}\n\n{prompt.source[at:]}"
    return _checked(prompt, source, text)


def _body(prompt: Prompt) -> int:
    """Where the template begins, behind the front matter, which may speak of blocks too."""
    front = _FRONT.match(prompt.source)
    return front.end() if front else 0


def _block(prompt: Prompt) -> re.Match[str] | None:
    return _BLOCK.search(prompt.source, _body(prompt))


def _checked(prompt: Prompt, source: str, text: str) -> Prompt:
    """The draft with `source`, if it shows `text` and otherwise what `prompt` shows."""
    try:
        data = source.encode("utf-8")
    except UnicodeEncodeError:
        raise PromptError(f"{prompt.ref}: the new system text is not valid Unicode") from None
    made = parse_prompt(data, prompt.path, prompt.name, 0, prompt.folders)
    expected = text if text.strip() else ""
    if _system(made) != expected or _user(made) != _user(prompt):
        raise PromptError(
            f"{prompt.path}: its system block cannot be rewritten. Write it as one plain block "
            f"{{% block system %}} ... {{% endblock %}}"
        )
    return made


def _system(prompt: Prompt) -> str:
    messages = render(prompt, _SHOWN, 1)
    return messages[0]["content"] if messages[0]["role"] == "system" else ""


def _user(prompt: Prompt) -> str:
    return render(prompt, _SHOWN, 1)[-1]["content"]


def _literal(text: str) -> str:
    """A template that renders to `text`: as it is, but for what Jinja would not leave so."""
    kept = text.rstrip()
    if len(kept) < len(text):
        kept = kept.rstrip("{")  # a brace before an expression would be read with it
    end = text[len(kept) :]
    body = _READ_BY_JINJA.sub(lambda found: _expression(found.group()), kept)
    return body + (_expression(end) if end else "")


def _expression(text: str) -> str:
    return f"{{{{ {text!r} }}}}"


def demonstration(
    prompt: Prompt, shown: tuple[Item, ...], k: int, utility: Mapping[str, float]
) -> Demonstration:
    """`shown` as the prompt shows it, and the reply that picks the k of most utility.

    Raises PromptError for a prompt that asks for scores: on what scale, only its own words say.
    """
    if reply_format(prompt.reply, prompt.folders).scores:
        raise PromptError(
            f"{prompt.ref} asks for scores, and optimize does not know on what scale, so it "
            "cannot write demonstrations. Use a prompt that asks for picks or a ranking"
        )
    question = Question(shown, labels_for(prompt, len(shown)), k, prompt.reply, prompt.folders)
    best = sorted(range(len(shown)), key=lambda position: -utility[shown[position].id])
    return Demonstration(render(prompt, shown, k)[-1]["content"], write_reply(question, best))


def with_demonstrations(text: str, demonstrations: Iterable[Demonstration]) -> str:
    """`text` with worked examples behind it."""
    parts = [text] if text.strip() else []
    for number, each in enumerate(demonstrations, start=1):
        parts.append(f"### Example {number}: what is asked\n\n{each.message}")
        parts.append(f"### Example {number}: the best picks\n\n{each.reply}")
    return "\n\n".join(parts)


@dataclass(frozen=True, slots=True)
class Origin:
    """What the front matter of a new version says: from what, by what search, and how well."""

    parent: str
    description: str
    search: str
    verdict: str


def written(prompt: Prompt, origin: Origin) -> str:
    """The file of a new version: `prompt` with its origin in the front matter.

    The template is that of `prompt`, byte for byte, so that it shows what was measured.
    """
    source = with_parent(prompt, origin.parent)
    front = _FRONT.match(source)
    assert front is not None
    opening, rest = front["head"].split("\n", 1)
    first = {"description": origin.description}
    last = {"search": origin.search, "verdict": origin.verdict}
    head = f"{opening}\n{_yaml(first)}{_DESCRIPTION.sub('', rest)}{_yaml(last)}"
    return head + source[front.start("end") :]


def _yaml(content: Mapping[str, str]) -> str:
    """One line a key."""
    text: str = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=2**30)
    return text
