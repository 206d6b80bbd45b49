"""A page with as many decisions as somebody may have, made without asking any model."""

from __future__ import annotations

from selectllm.evaluation.runs.schema import RunResults
from selectllm.report.formats import Place, report
from selectllm.report.html.evidence import (
    PromptShape,
    Provenance,
    RunEvidence,
    Showing,
    ShownArm,
    ShownAttempt,
    ShownChoice,
    ShownCluster,
    ShownItem,
)
from tests.report.html.test_charts import comparison
from tests.report.test_report import ab

PAIRS, SIZE = 10, 10
NAMES = ("short@1 + gpt", "criteria@1 + gpt", *(f"p{n}@1 + m" for n in range(PAIRS - 2)))
TEXT = "Explain in plain words how thing number {} came about, and what became of it later on. "


def large_page(decisions: int) -> str:
    """A page of ten pairs and clusters of ten."""
    result: RunResults = comparison(ab())
    return report(result, "html", Place(evidence=evidence(decisions // PAIRS)))


def evidence(clusters: int) -> RunEvidence:
    """Of ten pairs on so many clusters; every pair picks two other slots."""
    parts = [part for slot in range(SIZE) for part in (1 + slot, (slot, 0), (slot, 1))]
    answered = ShownAttempt(0, "stop", 900, 8, 0.0001, None)
    return RunEvidence(
        picks=2,
        arms=tuple(ShownArm(name, *name.split(" + ")) for name in NAMES),
        utilities=("rating",),
        deciding="rating",
        reference=0,
        judged=1,
        items=tuple(
            ShownItem(f"i{n}", TEXT.format(n) * 3, "", (float(n % 5),))
            for n in range(SIZE * clusters)
        ),
        clusters=tuple(
            ShownCluster(n, None, tuple((n * 7 + arm) % 10 / 10 for arm in range(PAIRS)))
            for n in range(clusters)
        ),
        showings=tuple(
            Showing(n, 0, tuple(range(SIZE * n, SIZE * (n + 1)))) for n in range(clusters)
        ),
        choices=tuple(
            ShownChoice(arm, n, 0, (arm, (arm + 1) % SIZE), "ok", (), (answered,), 0)
            for n in range(clusters)
            for arm in range(PAIRS)
        ),
        replies=("[1], [2]",),
        pieces=("Choose two.\n", *(f"\n[{slot + 1}] " for slot in range(SIZE))),
        shapes=((PromptShape("user", (0, *parts)),),),
        labels={},
        lengths=(),
        asked=None,
        provenance=Provenance("selectllm ab large.yaml", "1 May 2026", ()),
    )
