"""The tools that selected items are handed over to, one record each."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from selectllm.core.choices import TargetName
from selectllm.core.errors import UsageError
from selectllm.core.files import write_bytes
from selectllm.utility.annotation.argilla import TURNS, answer_files
from selectllm.utility.annotation.label_studio import CONFIG
from selectllm.utility.handover.handed import HandedItem
from selectllm.utility.handover.label_studio import label_studio_files
from selectllm.utility.handover.tables import csv_files, jsonl_files, xlsx_files

Files = Mapping[str, bytes]
"""What is written, by what is added to the name of OUT: "" is OUT itself."""

README = ".README.md"
GUIDELINES = (
    "Write the answer that a careful expert would give to the instruction. The reason why the "
    "item was selected and the items that were not selected are shown for information only."
)


@dataclass(frozen=True, slots=True)
class Target:
    """A tool. `suffix`: of OUT. `files`: what it imports, from at least one item.

    `steps`: in Markdown how it is imported and how answers come out again; {out} is the name of
    OUT. `back`: what comes out, as the command that reads it names it. `first`: the file that is
    written first, by what is added to the name of OUT. `turns`: whether it shows conversations.
    """

    suffix: str
    files: Callable[[str, Sequence[HandedItem]], Files]
    steps: str
    back: str
    first: str = ""
    turns: bool = True


def _argilla(name: str, handed: Sequence[HandedItem]) -> Files:
    turns = any(one.turns for one in handed)
    rows = [
        {
            "id": one.item.id,
            "instruction": one.item.instruction,
            **({TURNS: one.turns} if turns else {}),
            "input": one.item.input,
            "response": one.item.response or "",
            "about": one.about,
            "reason": one.choice.reason or "",
            "rivals": one.rivals_text,
        }
        for one in handed
    ]
    files = answer_files(name, rows, GUIDELINES)
    return {f"/{name}": content for name, content in files.items()}


def _alone(files: Callable[[Sequence[HandedItem]], Files]) -> Callable[..., Files]:
    return lambda name, handed: files(handed)


_SHEET = """\
1. Open {out} in a spreadsheet.
2. Write each answer into the column `answer`, and your name into `annotator` if several people
   answer. Leave the column `id` as it is.
3. Save the file{as_what}.
"""

TARGETS: Mapping[TargetName, Target] = {
    "label-studio": Target(
        ".json",
        _alone(label_studio_files),
        f"""\
1. In Label Studio create a project. Under Labeling Setup choose 'Custom template' and paste
   the content of {{out}}{CONFIG} as its code.
2. Import {{out}} into the project.
3. When the items are answered, export them as JSON (JSON-MIN and CSV can be read, too).
""",
        "EXPORT.json",
    ),
    "argilla": Target(
        ".argilla",
        _argilla,
        """\
1. Load the folder in Python (Argilla 2): `rg.Dataset.from_disk("{out}", workspace="WORKSPACE",
   client=client)`.
2. When the items are answered, write them to a folder: `dataset.to_disk("answers.argilla")`.
""",
        "answers.argilla",
        "/records.json",
    ),
    "csv": Target(
        ".csv",
        _alone(csv_files),
        _SHEET.replace("{as_what}", " as 'CSV UTF-8', or as .xlsx")
        + """
Text that begins with `=`, `+`, `-` or `@` has an apostrophe before it, so that no spreadsheet runs
it as a formula. The apostrophe is not part of the text.
""",
        "{out}",
        turns=False,
    ),
    "xlsx": Target(
        ".xlsx", _alone(xlsx_files), _SHEET.replace("{as_what}", ""), "{out}", turns=False
    ),
    "jsonl": Target(
        ".jsonl",
        _alone(jsonl_files),
        "Fill in `answer` of every line, and `annotator` if several people answer.\n",
        "{out}",
    ),
}


def handover_files(
    target: Target,
    out: Path,
    handed: Sequence[HandedItem],
    source: str,
    options: Sequence[str] = (),
) -> Files:
    """All files: those of the tool, and what says how to go on.

    `source`: the file of the selection, and `options`: as the command that brings the answers back
    has them. Raises UsageError where the tool cannot take an item.
    """
    return {
        **target.files(out.stem, handed),
        README: _readme(target, out, handed, shlex.quote(source), shlex.join(options)).encode(),
    }


def _readme(
    target: Target, out: Path, handed: Sequence[HandedItem], source: str, options: str
) -> str:
    filled = sum(one.choice.filled for one in handed)
    note = f" {filled} of them were chosen at random and are marked as such." if filled else ""
    back = target.back.replace("{out}", out.name)
    return f"""\
# {out.name}

{len(handed)} items to be answered.{note} Each comes with its rank, the model's reason for
selecting it (if it gave one), and the candidates of its cluster that were not selected.

{GUIDELINES}

## How to use it

{target.steps.replace("{out}", out.name)}
## How to read the answers back

In this folder, run:

```console
selectllm answers {source} {back} -o training.jsonl{options and f" {options}"}
```

It joins the answers to all columns of the items, writes training.jsonl, and says which answers are
missing, which items were answered twice, and which answers belong to no item. The exit code is 1
while the answers are not complete.
"""


def write_handover(out: Path, files: Files) -> list[Path]:
    """Write `files` at `out`; returns their paths. What is there already must be the same.

    Raises UsageError for another file of a name, since answers may be in it.
    """
    paths = {out.parent / f"{out.name}{added}": content for added, content in files.items()}
    for path, content in paths.items():
        if path.exists() and not (path.is_file() and path.read_bytes() == content):
            raise UsageError(
                f"`out` {out}: {path} exists and holds something else, such as answers. Name "
                "another file, or remove it",
                argument="out",
            )
    for path, content in paths.items():
        write_bytes(path, content)
    return list(paths)
