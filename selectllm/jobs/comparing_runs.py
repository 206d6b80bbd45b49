"""Two finished runs held against each other: read from their folders alone, nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selectllm.core.errors import RunError, UsageError
from selectllm.core.files import real
from selectllm.core.names import for_files
from selectllm.core.types import Item
from selectllm.evaluation.comparison.run_inputs import read_manifest
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.two_runs.compare import compare_runs
from selectllm.evaluation.two_runs.schema import RunsCompared
from selectllm.evaluation.two_runs.shared import RunSide, SharedClusters, shared_clusters
from selectllm.jobs.evidence import evidence_of, read_asked, read_evidence
from selectllm.jobs.outputs import nearby
from selectllm.jobs.rating import pool_of_run
from selectllm.jobs.reporting import read_finished
from selectllm.jobs.workspace import find_workspace
from selectllm.prompting.library import PromptLibrary
from selectllm.report.formats import RENDERED, Place
from selectllm.report.html.evidence import RunEvidence
from selectllm.report.html.page import ShownResult, page_of_several
from selectllm.report.html.side_by_side import side_by_side


@dataclass(frozen=True)
class ComparedFolders:
    """Two runs compared. `results`: the figures. `folders`: of the first run and of the second."""

    results: RunsCompared
    folders: tuple[Path, Path]
    shared: SharedClusters

    @property
    def page(self) -> Path:
        """Where their page goes unless told otherwise: into the second run's folder."""
        return self.folders[1] / f"beside-{for_files(self.results.a.name)}.html"

    def place(self, form: str) -> Place:
        """Where a report in this format is read, with the cases if it is a page."""
        root = find_workspace(self.folders[1]).root
        return Place(root, evidence=self.evidence() if form == "html" else None)

    def evidence(self) -> RunEvidence:
        """The cases of both runs as one, in the shared clusters; prompts from their workspaces."""
        sides = zip(self.folders, (self.shared.a, self.shared.b), strict=True)
        a, b = (
            evidence_of(
                folder,
                side.inputs,
                side.decisions,
                PromptLibrary(find_workspace(folder).prompts),
            )
            for folder, side in sides
        )
        return side_by_side(self.results, a, b)


def compare_folders(a: Path, b: Path) -> ComparedFolders:
    """The run in folder `b` held against the run in folder `a`.

    Raises RunError for a folder that holds no finished run of prompts and models, or a damaged
    one, with the line; UsageError for twice the same folder, for different numbers of picks, and
    for runs without a cluster in common.
    """
    if real(a) == real(b):
        raise UsageError(f"{a} is named twice. Name two runs; to list them, run: selectllm runs")
    sides = [_side(folder, name) for folder, name in zip((a, b), short_names((a, b)), strict=True)]
    shared = shared_clusters(sides[0], sides[1], _same_items(a, b))
    return ComparedFolders(compare_runs(shared), (a, b), shared)


def page_of_each(folders: Sequence[Path]) -> str:
    """Several results one below the other on one page, which compares none of them.

    Raises RunError for a folder that holds no finished result, or a damaged one.
    """
    shown = []
    for folder, name in zip(folders, short_names(folders), strict=True):
        result, _ = read_finished(folder)
        library = PromptLibrary(find_workspace(folder).prompts)
        report = RENDERED[type(result)](result)
        shown.append(ShownResult(result, report, read_evidence(folder, library), name))
    return page_of_several(shown)


def _side(folder: Path, name: str) -> RunSide:
    result, _ = read_finished(folder)
    if not isinstance(result, RunResults) or not folder.is_dir():
        raise RunError(
            f"{folder} does not hold the clusters of a run of prompts and models, so it cannot be "
            "compared. Name a folder that eval, ab, aa, swap or regress wrote"
        )
    inputs, decisions = read_asked(folder)
    place = nearby(folder)
    return RunSide(name, name if place.is_absolute() else place.as_posix(), inputs, decisions)


def short_names(folders: Sequence[Path]) -> list[str]:
    """What runs are called: the end of each folder's path, as long as it takes to tell them apart.

    `../runs` and `runs/x` are made absolute first, so that every name is one of folders.
    """
    parts = [real(folder).parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-length:]) for each in parts]
        if len(set(names)) == len(set(parts)):
            break
    return names


def _same_items(a: Path, b: Path) -> frozenset[str] | None:
    """The ids that stand for the same texts in the pools of both runs; None: it is one pool.

    Raises RunError if the pools differ and one of them is not there to look.
    """
    hashes = [read_manifest(folder).get("pool_sha256") for folder in (a, b)]
    if hashes[0] == hashes[1]:
        return None
    try:
        ours, theirs = (pool_of_run(folder).by_id for folder in (a, b))
    except UsageError as error:
        raise RunError(
            f"The runs have different pools, and it is not clear which items are the same: {error}"
        ) from None
    return frozenset(
        key for key, item in theirs.items() if key in ours and _text(ours[key]) == _text(item)
    )


def _text(item: Item) -> tuple[str, str]:
    return item.instruction, item.input
