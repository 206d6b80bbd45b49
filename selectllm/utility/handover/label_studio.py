"""Items to be answered in Label Studio: tasks, and the labelling configuration. Pure.

Tasks as its import takes them: https://labelstud.io/guide/tasks. The id of an item is `item_id`,
since Label Studio's own exports call the number of a task `id`; no field is called `answer`, which
an export in columns would write over the annotator's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from selectllm.utility.annotation.label_studio import CONFIG, CONVERSATION, TEXTS, shown_texts
from selectllm.utility.handover.handed import HandedItem

_WHY = ("about", "reason", "rivals")


def label_studio_files(handed: Sequence[HandedItem]) -> Mapping[str, bytes]:
    """The tasks, and beside them the configuration that shows them with a field for the answer."""
    turns = any(one.turns for one in handed)
    tasks = [{"data": {**_data(one), **({"turns": one.turns} if turns else {})}} for one in handed]
    shown = [name for name in TEXTS if any(task["data"][name] for task in tasks)]
    return {
        "": (json.dumps(tasks, ensure_ascii=False, indent=1) + "\n").encode(),
        CONFIG: answer_config(shown, turns=turns).encode(),
    }


def _data(one: HandedItem) -> dict[str, str]:
    """Every field is text and always there: what the configuration names must be in each task."""
    item, choice = one.item, one.choice
    return {
        "item_id": item.id,
        "instruction": item.instruction,
        "input": item.input,
        "response": item.response or "",
        "about": one.about,
        "reason": choice.reason or "",
        "rivals": one.rivals_text,
        "rank": "" if choice.rank is None else str(choice.rank),
        "cluster": str(choice.cluster),
        "score": "" if choice.score is None else f"{choice.score:g}",
    }


def answer_config(shown: Sequence[str], *, turns: bool = False) -> str:
    """The configuration: the texts in `shown`, the answer, and why the item was selected.

    `turns`: conversations stand above them.
    """
    answer = (
        '  <Header value="Answer"/>\n'
        '  <TextArea name="answer" toName="instruction" rows="10" maxSubmissions="1"\n'
        '            editable="true" required="true" placeholder="Write the answer here."/>\n'
    )
    why = "".join(f'      <Text name="{name}" value="${name}"/>\n' for name in _WHY)
    panel = (
        '  <Collapse>\n    <Panel value="Why this was selected, and what was not">\n'
        f"{why}    </Panel>\n  </Collapse>\n"
    )
    conversation = CONVERSATION if turns else ""
    return f"<View>\n{conversation}{shown_texts(shown)}{answer}{panel}</View>\n"
