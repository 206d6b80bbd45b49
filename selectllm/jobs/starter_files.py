"""What a new workspace holds beside prompts and data: a gate, and what runs it. Pure.

The suite, its test and its workflow name each other's files, so that all of it works as it stands
once a baseline is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

SUITE = "eval/suites/gate.yaml"
REPLIES = "eval/replies/gate.jsonl"
BASELINE = "eval/baselines/gate.json"
WORKFLOW = ".github/workflows/selectllm.yml"
FIRST_RUN = "eval/runs/gate-first"
SHEET = "eval/sheet.csv"

MODEL = "smollm2-135m"
SIZE, PICKS, CLUSTERS = 10, 2, 60

_SUITE = """\
# The gate of this workspace: does a changed prompt or model still pick as well as before?
# To see what it asks and what that costs before anything is sent, run: selectllm plan {file}
name: gate
pool: {pool}
{columns}{utilities}clusters: {{by: diverse, size: {size}, limit: {clusters}}}
picks: {picks}
seed: 0
replies: ../replies/gate.jsonl     # written by --record; with them the gate needs no key
prompts: [short@latest, criteria@latest]
models:
  - local/{model}     # needs no key, but picks about as well as chance: use your own
  # - {{name: gpt, id: openai/gpt-4o-mini}}     # needs OPENAI_API_KEY
{gate}"""
_RATED = """\
utilities:
  - {{name: rating, source: ratings, column: {column}, kind: human}}     # who rated: or model
"""
_RATED_BY_MODEL = """\
utilities:
  - {{name: rating, source: ratings, column: {column}, kind: model, rater: a language model}}
"""
_UNRATED = """\
# No column of the pool looks like a rating, and a gate needs something to decide by. Collect
# ratings with selectllm utility ask, and put the line that selectllm utility import prints here:
# utilities:
#   - {name: rating, source: import, file: sheet.ratings.jsonl, range: [1, 5]}
"""
_GATE = "gate: {margin: 0.10}     # the largest loss of captured that does not matter\n"

_TEST = '''\
"""The gate in pytest: the prompts of suites/gate.yaml pick as well as in the recorded baseline."""


def test_the_prompts_have_not_become_worse(selection_gate):
    selection_gate("suites/gate.yaml", "baselines/gate.json")
'''
_WORKFLOW = """\
# The gate on every pull request, from recorded replies: no key is needed. It fails until a baseline
# is committed: {baseline}.
name: selectllm
on: pull_request
permissions: {{contents: read, pull-requests: write}}
jobs:
  gate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {{python-version: "3.11"}}
      - run: pip install selectllm=={version}
      - run: selectllm prompts check
      - run: >-
          selectllm regress {suite} --baseline {baseline} --offline
          --junit gate.xml --markdown gate.md
      - if: always() && hashFiles('gate.md') != ''
        run: gh pr comment "$PR" --body-file gate.md --edit-last --create-if-none
        env:
          GH_TOKEN: "${{{{ github.token }}}}"
          PR: "${{{{ github.event.pull_request.html_url }}}}"
"""
_PROMPTS_BYTES = """\
# Versions of prompts are hashed byte for byte: git leaves their line ends alone.
* -text
"""
_EVAL_BYTES = """\
# Pools, replies and baselines are compared byte for byte: git leaves their line ends alone.
data/** -text
replies/** -text
baselines/** -text
"""


def starter_files(
    pool: str,
    *,
    items: int,
    columns: Mapping[str, str],
    rated: str | None,
    version: str,
    ours: bool = False,
) -> dict[str, str]:
    """Path below the workspace -> text.

    `pool`: as the suite names it. `items`: how many it has, at least 3. `columns`: what is mapped.
    `rated`: the column of its ratings. `version`: of selectllm, which the workflow installs.
    `ours`: the pool is the quickstart's, which a language model rated.
    """
    size = min(SIZE, max(2, items // 2))
    rating = _RATED_BY_MODEL if ours else _RATED
    suite = _SUITE.format(
        file=SUITE,
        pool=_quoted(pool),
        columns=f"columns: {_mapping(columns)}\n" if columns else "",
        utilities=rating.format(column=_quoted(rated)) if rated else _UNRATED,
        size=size,
        clusters=CLUSTERS,
        picks=min(PICKS, size - 1),
        model=MODEL,
        gate=_GATE,
    )
    workflow = _WORKFLOW.format(suite=SUITE, baseline=BASELINE, version=version)
    return {
        SUITE: suite,
        "eval/test_gate.py": _TEST,
        "eval/.gitignore": "runs/\n",
        "eval/.gitattributes": _EVAL_BYTES,
        "prompts/.gitattributes": _PROMPTS_BYTES,
        "cache/.gitignore": "*\n!.gitignore\n",
        WORKFLOW: workflow,
    }


def _mapping(columns: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}: {_quoted(path)}" for name, path in columns.items()) + "}"


def _quoted(text: str) -> str:
    """As YAML takes any text: JSON's strings are its double-quoted ones."""
    return json.dumps(text, ensure_ascii=False)
