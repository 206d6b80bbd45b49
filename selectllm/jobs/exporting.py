"""Training files of selected sets, for training elsewhere: what `export` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectllm.core.choices import LayoutName
from selectllm.core.errors import UsageError
from selectllm.core.shown import counted
from selectllm.downstream.outcomes.export import LAYOUTS, RECIPE, WITHOUT_TURNS, write_export
from selectllm.downstream.outcomes.exported import MANIFEST
from selectllm.downstream.outcomes.schema import ExportManifest
from selectllm.downstream.outcomes.training_sets import TrainingSets, set_of_selection, sets_of_run
from selectllm.jobs.options import ExportSettings
from selectllm.jobs.pool_of_picks import is_selection
from selectllm.jobs.workshop import read_pool
from selectllm.report.next_steps import trained_elsewhere

if TYPE_CHECKING:
    from selectllm.jobs.session import Session


@dataclass(frozen=True, slots=True)
class Export:
    """Training files in `folder`; `manifest`: what ties results to their sets."""

    folder: Path
    manifest: ExportManifest

    @property
    def text(self) -> str:
        """What was written, and what comes next."""
        sets, layouts = self.manifest.sets, ", ".join(self.manifest.layouts)
        empty = max(row.unanswered for row in sets)
        note = f" Up to {empty} items of a set have no response." if empty else ""
        return (
            f"Wrote {counted(len(sets), 'set')} as {layouts} to {self.folder}.{note}\n{MANIFEST} "
            f"says which set a result belongs to. Fill in {RECIPE} when you train.\n"
            f"{trained_elsewhere(self.folder)}"
        )

    def to_json(self) -> dict[str, Any]:
        """The manifest, as --json prints it."""
        return self.manifest.to_json()


async def export(source: Path, settings: ExportSettings, *, session: Session) -> Export:
    """Write training files of every set in a folder of sets, or of one selection.

    With a manifest that ties results to sets, and a recipe to fill in. A folder that is there is
    left as it is, and must hold the same.
    """
    sets = _training_sets(source, settings, session)
    layouts = settings.layout or tuple(LAYOUTS)
    out = session.path(settings.out)
    manifest = write_export(out, sets, layouts, unanswered=settings.unanswered)
    if note := _shortened(sets, layouts):
        session.note(note)
    return Export(settings.out, manifest)


def _shortened(source: TrainingSets, layouts: Sequence[LayoutName]) -> str | None:
    """What is said of layouts that leave turns of conversations out."""
    short = [name for name in layouts if name in WITHOUT_TURNS]
    items = {item.id: item for each in source.sets for item in each.items}
    longer = sum(item.is_conversation for item in items.values())
    if not (short and longer):
        return None
    whole = [name for name in LAYOUTS if name not in WITHOUT_TURNS]
    return (
        f"Note: {longer:,} of {len(items):,} items are conversations with more turns than a "
        f"question and its answer. {' and '.join(short)} cannot hold turns, and contains only "
        f"their instruction, input and response. {' and '.join(whole)} hold every turn."
    )


def _training_sets(source: Path, settings: ExportSettings, session: Session) -> TrainingSets:
    place = session.path(source)
    if not place.exists():
        raise UsageError(f"{source} does not exist. Check the path")
    if not place.is_dir() or is_selection(place):
        if settings.pool is not None:
            raise UsageError(
                f"`pool`: {source} already contains its items. Leave the option out",
                argument="pool",
            )
        return set_of_selection(place, settings.columns)
    if settings.pool is None:
        raise UsageError(
            f"{source} contains only ids. Name the pool that its sets were selected from: `pool` "
            "FILE",
            argument="pool",
        )
    return sets_of_run(place, read_pool(session, settings.pool, settings.columns))
