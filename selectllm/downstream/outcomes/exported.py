"""What an exported folder says of its sets, and whether results and compared sets are of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from selectllm.core.codec import load_json, sha256_json
from selectllm.core.errors import RunError, UtilityError
from selectllm.core.names import unknown
from selectllm.downstream.outcomes.results import ResultsFile
from selectllm.downstream.outcomes.schema import ExportManifest, ManifestSet
from selectllm.evaluation.sets.log import SetKey
from selectllm.evaluation.sets.schema import SetsResults

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class ExportedSet:
    """One set as its manifest describes it.

    `tokens`: of instructions, inputs and responses together, estimated. `files`: the sha256 of
    its training file by layout.
    """

    name: str
    arm: str
    budget: int
    seed: int
    items: int
    tokens: int
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SetReference:
    """What a result says it is of: an arm, or a set by its name; what is None was not said."""

    arm: str
    budget: int | None = None
    seed: int | None = None

    def fits(self, made: ExportedSet) -> bool:
        """Whether it may mean that set."""
        return (
            self.arm in (made.name, made.arm)
            and self.budget in (None, made.budget)
            and self.seed in (None, made.seed)
        )

    @property
    def text(self) -> str:
        """In messages."""
        budget = "" if self.budget is None else f", budget {self.budget}"
        return f"{self.arm!r}{budget}" + ("" if self.seed is None else f", seed {self.seed}")


@dataclass(frozen=True, slots=True)
class Exported:
    """The sets of one exported folder. `sha256`: of its manifest."""

    pool_sha256: str
    suite: str | None
    sets: tuple[ExportedSet, ...]
    sha256: str

    def called(self, name: str) -> list[ExportedSet]:
        """The set of that name, or those of the arm of that name; none for another name."""
        found = [each for each in self.sets if each.name == name]
        return found or [each for each in self.sets if each.arm == name]

    def find(self, reference: SetReference, where: str) -> ExportedSet:
        """The one set that `reference` means; `where` begins the message.

        Raises UtilityError, with what there is, if there is none or it may be several.
        """
        arm = reference.arm
        of_arm = [each for each in self.sets if arm in (each.name, each.arm)]
        if not of_arm:
            known = dict.fromkeys(each.arm for each in self.sets)
            raise UtilityError(f"{where}: {unknown('exported arm', arm, known)}")
        found = [each for each in of_arm if reference.fits(each)]
        if len(found) == 1:
            return found[0]
        there = "; ".join(f"budget {each.budget}, seed {each.seed}" for each in of_arm[:5])
        there += "; ..." * (len(of_arm) > 5)
        if found:
            fault = "may be any of several sets; name its budget and seed, or the set"
        else:
            fault = "was not exported; a seed of the training goes into training_seed"
        raise UtilityError(f"{where}: {reference.text} {fault}. Of this arm there are: {there}")


def read_exported(folder: Path) -> Exported:
    """What the manifest of an exported folder says. Raises RunError if there is none to use."""
    path = folder / MANIFEST
    try:
        content = load_json(path.read_bytes())
        manifest = ExportManifest.of(content)
    except OSError as error:
        raise RunError(
            f"{path} cannot be read ({error.strerror}). Name a folder that `export` wrote"
        ) from None
    except ValueError as error:
        raise RunError(
            f"{path} is not a manifest of `export`, or damaged ({error}). Export again"
        ) from None
    return Exported(
        pool_sha256=manifest.pool_sha256,
        suite=manifest.suite,
        sets=tuple(map(_set, manifest.sets)),
        sha256=sha256_json(content),
    )


def _set(row: ManifestSet) -> ExportedSet:
    return ExportedSet(
        name=row.name,
        arm=row.arm,
        budget=row.budget,
        seed=row.seed,
        items=row.items,
        tokens=row.tokens.read + row.tokens.written,
        files={layout: file.sha256 for layout, file in row.files.items()},
    )


def check_pool(exported: Exported, pool_sha256: str, what: str) -> None:
    """Raise UtilityError unless the exported sets are of the pool with that hash."""
    if exported.pool_sha256 != pool_sha256:
        raise UtilityError(
            f"{what} belongs to another pool (sha256 {pool_sha256[:12]}) than the exported "
            f"sets ({exported.pool_sha256[:12]}). Name the exported folder whose sets were "
            "used for training"
        )


def check_source(content: ResultsFile, results: str, compared: SetsResults, of: str) -> None:
    """Raise UtilityError unless both are of one pool and suite.

    `results`, `of`: what its file and that folder are called.
    """
    pool, suite = compared.pool.sha256, compared.suite
    if content.pool_sha256 != pool:
        raise UtilityError(
            f"{results} belongs to another pool (sha256 {content.pool_sha256[:12]}) than "
            f"{of} ({pool[:12]}). Name the folder whose sets were used for training"
        )
    if content.suite is None:
        raise UtilityError(
            f"{results} belongs to a single selection of `select`, but {of} contains the "
            f"sets of suite {suite!r}. Export the folder that `sets` wrote, and train on "
            "its sets"
        )
    if content.suite != suite:
        raise UtilityError(
            f"{results} belongs to sets of suite {content.suite!r}, but {of} contains those "
            f"of suite {suite!r}. Name the folder that `sets` wrote for suite "
            f"{content.suite!r}"
        )


def check_held(used: Collection[SetKey], compared: SetsResults, of: str) -> None:
    """Raise UtilityError unless the folder called `of` holds every set that was trained on."""
    seeds = compared.seeds
    rows = [(row.selector, row.budget) for row in compared.sets]
    held = {(arm, budget, seed) for arm, budget in rows for seed in seeds}
    missing = sorted(set(used) - held)
    if not missing:
        return
    arm, budget, seed = missing[0]
    raise UtilityError(
        f"{of}: {len(missing)} of the {len(set(used))} sets with results are not in "
        f"this folder, for example {arm!r} with budget {budget} and seed {seed}. It has "
        f"budgets {', '.join(map(str, compared.budgets))} and seeds "
        f"{', '.join(map(str, seeds))}. Name the folder that was exported, which "
        "contains the missing sets"
    )
