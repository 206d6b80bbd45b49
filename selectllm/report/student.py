"""A student's training and its scores on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.report.layout import add_row, table
from selectllm.report.wording import counted, number

Content = Mapping[str, Any]

DIGITS = 3
BY = {
    "per_token": ("loss per token", "nats, lower is better; long responses count more"),
    "per_item": (
        "loss per item",
        "the mean of each response's own loss per token; a short one counts as much",
    ),
}


def trained_text(content: Content, dev: int = 0) -> str:
    """What a training was, line by line; `dev`: items that its learning rate was chosen on."""
    plan, choice = content["plan"], content["learning_rate"]
    epochs = plan["config"]["epochs"]
    lines = [
        f"{counted(plan['items'], 'item')}, {counted(epochs, 'epoch')} of "
        f"{counted(plan['prompt_tokens'] + plan['response_tokens'], 'token')}, "
        f"{plan['response_tokens']:,} of them learned",
        _cut(plan["cut"], plan["config"]["max_length"], "learned"),
    ]
    if choice is not None:
        lines += _rates(choice, dev)
    losses = ", ".join(number(loss, DIGITS) for loss in content["losses"])
    lines.append(f"loss by epoch, while it ran: {losses} nats a learned token")
    lines.append(f"adapter: {content['folder']}, after {content['seconds']:.1f} seconds")
    return "\n".join(lines)


def _rates(choice: Content, dev: int) -> Iterator[str]:
    losses = choice["losses"].items()
    tried = ", ".join(f"{rate} {_loss(loss)}" for rate, loss in losses)
    yield (
        f"learning rate {choice['rate']:g}, chosen on {counted(dev, 'dev item')}; their loss per "
        f"token: {tried}; before training {number(choice['base_loss'], DIGITS)}"
    )
    if choice["edge"] is not None:
        yield (
            f"note: it is the {choice['edge']} rate that was tried; a better one may lie beyond: "
            "try it with --learning-rate and `student score` on the dev items"
        )
    if choice["losses"][f"{choice['rate']:g}"] >= choice["base_loss"]:
        yield "note: on the dev items no rate was better than no training"


def _loss(loss: float | None) -> str:
    return "diverged" if loss is None else number(loss, DIGITS)


def _cut(cut: Content, max_length: int, what: str) -> str:
    """`what`: what is not done with the tokens that did not fit."""
    lost = [
        f"{counted(cut[f'{part}_tokens'], 'token')} of {counted(cut[f'{part}s'], part)}"
        for part in ("prompt", "response")
        if cut[f"{part}s"]
    ]
    if not lost:
        return f"nothing was cut: all fit into {max_length} tokens"
    return f"cut to fit into {max_length} tokens, and not {what}: {', '.join(lost)}"


def print_scores(content: Content, console: Console) -> None:
    """Print scores (schema: schemas/student_scores.json) as a table and sentences."""
    console.print(render_scores(content))


def render_scores(content: Content) -> RenderableType:
    """Each mean loss by length of the response, then cuts and answers."""
    parts: list[RenderableType] = []
    for by in BY:
        parts += [_table(content, by), Text()]
    return Group(*parts, *map(Text, _sentences(content)))


def _table(content: Content, by: str) -> Table:
    tuned = content["losses"]["tuned"] is not None
    whose = ("base", "tuned", "gain") if tuned else ("base",)
    title, meaning = BY[by]
    made = table(
        f"{title}, {content['student']}",
        meaning + ("; gain: base less tuned, higher is better" if tuned else ""),
        ["response"],
        ["items", *whose],
    )
    rows = [(_length(band), band["items"], band) for band in content["bands"]]
    rows.append(("all", len(content["items"]), content["losses"]))
    for name, items, losses in rows:
        add_row(made, name, f"{items:,}", *(number(losses[each][by], DIGITS) for each in whose))
    return made


def _length(band: Content) -> str:
    if band["up_to"] is None:
        return f"{band['above'] + 1:,} tokens or more"
    return f"{band['above'] + 1:,} to {band['up_to']:,} tokens"


def _sentences(content: Content) -> Iterator[str]:
    yield (
        "the two losses disagree, at times on which of two students is better: name one before "
        "you look"
    )
    gain = content["losses"]["gain"]
    if gain is not None and gain["per_token"] * gain["per_item"] < 0:
        yield "note: here one says that training helped, the other that it did harm"
    yield _cut(content["cut"], content["max_length"], "scored")
    if content["answers"] is not None:
        yield _answers(content["answers"])


def _answers(answers: Content) -> str:
    cut = answers["cut_prompts"]
    return (
        f"answers: {answers['stopped']:,} of {answers['answers']:,} stopped by themselves, the "
        f"others at {answers['new_tokens']:,} tokens; with the references, on the mean: ROUGE-L "
        f"{number(answers['rouge_l'])}, cosine {number(answers['cosine'])}"
        + (f"; {counted(cut, 'prompt')} cut to leave room" if cut else "")
    )
