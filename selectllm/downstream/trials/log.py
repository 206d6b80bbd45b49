"""The log of finished trials: one file per student, settings and test items, in the cache.

Whatever asks for a trial again, with other selectors or for another purpose, finds it here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selectllm.core.codec import sha256_json
from selectllm.core.jsonl_log import RowFormat, RowLog
from selectllm.core.types import Item
from selectllm.downstream.student.adapter import items_sha256
from selectllm.downstream.student.config import StudentConfig
from selectllm.downstream.student.template import TEMPLATE

FORMAT = 1
TrialKey = tuple[str, int]
"""(hash of the items, training seed)."""
BASE: TrialKey = ("", 0)
"""The student before any training."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A student trained on one set with one seed, and what the test responses then cost it.

    `items_sha256`: of the set, "" for no training. `tokens`: of its responses, which is what is
    learned. `nats`: of each test response, in the order of the tests. `seconds`: CPU time.
    """

    items_sha256: str
    training_seed: int
    tokens: int
    nats: tuple[float, ...]
    seconds: float = 0.0

    @property
    def key(self) -> TrialKey:
        """What trial it is."""
        return self.items_sha256, self.training_seed


def _from_json(row: Mapping[str, Any]) -> Trial:
    match row:
        case {
            "items_sha256": str(),
            "training_seed": int(),
            "tokens": int(),
            "nats": [*nats],
        } if all(isinstance(each, int | float) for each in nats):
            return Trial(**{**row, "nats": tuple(nats)})
    raise TypeError("not a trial")


TRIALS: RowFormat[TrialKey, Trial] = RowFormat(
    "trial", lambda trial: trial.key, lambda trial: asdict(trial), _from_json
)


class TrialLog(RowLog[TrialKey, Trial]):
    """The trials of one `manifest` that are finished, in `folder`.

    `name`: of the file, without its suffix; it stands for the manifest.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        self.name = sha256_json(manifest)[:16]
        super().__init__(folder / f"{self.name}.jsonl", manifest, TRIALS)


def trial_manifest(identity: str, config: StudentConfig, tests: Sequence[Item]) -> dict[str, Any]:
    """What trials must share to be compared; `identity`: of the student's weights."""
    settings = asdict(config)
    del settings["model"], settings["seed"]
    return {
        "format": FORMAT,
        "student": identity,
        "config": settings,
        "template": TEMPLATE,
        "tests": {
            "items": len(tests),
            "sha256": items_sha256(tests),
            "order": sha256_json([item.id for item in tests]),
        },
    }
