"""Compare arms of a suite: ab (better?), swap (safe to replace?), aa (how large is the noise?)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

from selectllm.core.errors import UsageError
from selectllm.core.names import unknown
from selectllm.evaluation.comparison.ab import looks_of, why_fixed
from selectllm.evaluation.comparison.arms import Arm, Halves
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign, Design
from selectllm.evaluation.comparison.schema import Needed
from selectllm.evaluation.comparison.schema import Verdict as VerdictRow
from selectllm.evaluation.runs.execute import tasks
from selectllm.evaluation.runs.prepare import load_prompts
from selectllm.evaluation.runs.run import Run, is_begun
from selectllm.evaluation.suite import Suite
from selectllm.jobs.arguments import parted
from selectllm.jobs.batching import asked_in_batches
from selectllm.jobs.evaluating import (
    EvaluatingArguments,
    carry_out,
    folder_of,
    open_run,
    suite_of,
)
from selectllm.jobs.evaluation import Evaluation, TableName
from selectllm.jobs.options import Evaluating
from selectllm.jobs.session import Session, opened
from selectllm.models.providers.providers import provider_of, takes_schema
from selectllm.prompting.library import PromptLibrary
from selectllm.prompting.prompt import Prompt
from selectllm.prompting.replies.formats import reply_format
from selectllm.selection.ask import first_request
from selectllm.selection.ways.following import following
from selectllm.stats.interval import Interval

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

LEAST = 2  # orders or repeats that a pair needs to be held against itself


@dataclass(frozen=True, eq=False)
class Verdict:
    """The result of comparing arm `b` with arm `a`.

    `word`: better, worse, equivalent (ab); safe, not safe (swap); or inconclusive. `reason`: why.
    `difference`: captured of b minus captured of a, with its interval; None if it cannot be
    measured. `needed`: what would decide an inconclusive verdict with 80 % power, None if that is
    not known. `run`: the evaluation. `details`: the whole verdict, as in results.json. `further`:
    the verdicts on further arms.
    """

    word: str
    reason: str
    a: str
    b: str
    difference: Interval | None
    needed: Needed | None
    run: Evaluation = field(repr=False)
    details: VerdictRow = field(repr=False)
    further: tuple[Verdict, ...] = ()

    def to_polars(self, rows: TableName = "verdicts") -> pl.DataFrame:
        """The verdict and the further ones, or another table of the run; see Evaluation."""
        return self.run.to_polars(rows)

    def to_pandas(self, rows: TableName = "verdicts") -> pd.DataFrame:
        """The same as a pandas DataFrame."""
        return self.run.to_pandas(rows)

    def _repr_html_(self) -> str:
        return self.run._repr_html_()


def verdict_of(run: Evaluation) -> Verdict:
    """The verdict in the results of a comparison, the others behind it."""
    first, *further = (_verdict(row, run) for row in run.results.verdicts)
    return replace(first, further=tuple(further))


def _verdict(row: VerdictRow, run: Evaluation) -> Verdict:
    return Verdict(
        word=row.word,
        reason=row.reason,
        a=row.a,
        b=row.b,
        difference=row.difference,
        needed=row.needed,
        run=run,
        details=row,
    )


async def ab(
    suite: Suite | Path | str,
    a: str,
    b: str | Sequence[str],
    *,
    prompt: str | None = None,
    model: str | None = None,
    design: Design = "fixed",
    differing: bool = False,
    session: Session | None = None,
    **arguments: Unpack[EvaluatingArguments],
) -> Verdict:
    """Find out whether arm `b` selects better than arm `a`, on the clusters of `suite`.

    An arm is a prompt of the suite, one of its models, PROMPT+MODEL, or strategy:NAME. `prompt` and
    `model` complete arms that name only one of the two. Several `b` share one error rate. `design`:
    "fixed" asks all clusters and then decides; "sequential" checks after each batch and stops as
    soon as the result is clear. `differing`: compare using ratings only for items that one arm
    picked and the other did not. For other arguments and for errors, see `evaluate`.
    """
    told = {"a": (a,), "b": (b,) if isinstance(b, str) else tuple(b)}
    if not told["b"]:
        raise UsageError("`b` is empty. Name at least one arm", argument="b")

    def arms(halves: Halves) -> ComparisonDesign:
        named = halves.with_default(prompt=prompt, model=model)
        arms = tuple(named.arm(which, name) for which, names in told.items() for name in names)
        if len(set(arms)) < len(arms):
            raise UsageError(
                f"`a` and `b`: {', '.join(arm.name for arm in arms)} contain one arm twice. "
                "Compare different arms. To see how much an arm differs from itself, run: "
                f"selectllm aa {suite.source or 'SUITE' if isinstance(suite, Suite) else suite}",
                argument="b",
            )
        return ComparisonDesign("ab", arms, differing=differing)

    looking = design == "sequential"
    if not looking and design != "fixed":
        raise UsageError(
            f"`design`: {unknown('design', design, ('fixed', 'sequential'))}", argument="design"
        )
    compared = await compare(suite, arms, arguments, session, sequential=looking)
    return verdict_of(compared)


async def swap(
    suite: Suite | Path | str,
    from_: str,
    to: str,
    *,
    prompt: str | None = None,
    retain: float = 0.9,
    session: Session | None = None,
    **arguments: Unpack[EvaluatingArguments],
) -> Verdict:
    """Find out whether model `to` can safely replace model `from_`, and what both cost.

    `retain`: the share of the old model's gain over random picks that the new one must keep,
    above 0 and at most 1. For other arguments and for errors, see `evaluate`.
    """
    if not 0 < retain <= 1:
        raise UsageError(f"`retain` {retain} is not above 0 and at most 1", argument="retain")

    def arms(halves: Halves) -> ComparisonDesign:
        named = halves.with_default(prompt=prompt, model=None)
        if from_ == to and from_ in named.models:
            raise UsageError(
                f"`from_` and `to` are both {from_!r}. Name two models of the suite", argument="to"
            )
        return ComparisonDesign("swap", named.swapped(from_, to), retain=retain)

    return verdict_of(await compare(suite, arms, arguments, session))


async def aa(
    suite: Suite | Path | str,
    *,
    prompt: str | None = None,
    model: str | None = None,
    by: Literal["orders", "repeats"] = "orders",
    session: Session | None = None,
    **arguments: Unpack[EvaluatingArguments],
) -> Evaluation:
    """A pair against itself, shown in other orders or asked again: what differs is noise.

    `results.noise` tells its size, how often each gate would raise a false alarm, and the
    least effect that these clusters can show. The rest, and what is raised: see `evaluate`.
    """
    if by not in ("orders", "repeats"):
        raise UsageError(f"`by`: {unknown('way', by, ('orders', 'repeats'))}", argument="by")

    def arms(halves: Halves) -> ComparisonDesign:
        pair = halves.with_default(prompt=prompt, model=model).only()
        return ComparisonDesign("aa", (pair,), by=by)

    return await compare(suite, arms, arguments, session)


async def compare(
    suite: Suite | Path | str,
    arms: Callable[[Halves], ComparisonDesign],
    arguments: EvaluatingArguments,
    session: Session | None,
    *,
    sequential: bool = False,
) -> Evaluation:
    """Evaluate the arms alone that `arms` makes of the suite's prompts and models."""
    evaluating, settings = parted(Evaluating, arguments)
    suite = evaluating.applied(suite_of(suite, session, settings))
    async with opened(session, settings, suite.folder) as session:
        prompts = load_prompts(suite, session.library)
        design = arms(halves(suite, prompts, session.library))
        suite = narrowed(suite, prompts, design.arms)
        if design.by is not None:
            least = max(LEAST, getattr(suite, design.by))
            suite = suite.model_copy(update={design.by: least})

        async def job(session: Session) -> Evaluation:
            run = open_run(session, suite, design, prompts=prompts, record=evaluating.record)
            if sequential:
                run = _sequential(session, run, design, evaluating)
            return await carry_out(session, run, evaluating)

        return await asked_in_batches(session, job)


def halves(suite: Suite, prompts: Mapping[str, Prompt], library: PromptLibrary) -> Halves:
    """What the arms of a suite are made of."""
    references = {reference: prompt.ref for reference, prompt in prompts.items()}
    models = [spec.name for spec in suite.specs()]
    return Halves(references, models, folder=suite.folder, numbered=library.numbered)


def narrowed(suite: Suite, prompts: Mapping[str, Prompt], arms: Sequence[Arm]) -> Suite:
    """The suite with the prompts of `arms` alone; its models may be named by strategies, too.

    Structured output is used for all of them or for none: it would be a head start.
    """
    wanted = {arm.prompt for arm in arms}
    with_schema = {p.ref for p in prompts.values() if reply_format(p.reply, p.folders).schema}
    specs = {spec.name: spec for spec in suite.specs()}
    asked = [specs[arm.model] for arm in arms if arm.model and arm.prompt in with_schema]
    # The embedded model's replies are constrained in any case.
    constrained = {provider_of(spec).constrained or takes_schema(spec) for spec in asked}
    return suite.model_copy(
        update={
            "prompts": tuple(name for name, prompt in prompts.items() if prompt.ref in wanted),
            "structured": "off" if len(constrained) > 1 else suite.structured,
        }
    )


def _sequential(
    session: Session, run: Run, comparison: ComparisonDesign, evaluating: Evaluating
) -> Run:
    """The run with the looks of a sequential design, or why it has none."""
    why = why_fixed(run.inputs)
    if why is None:
        looking = replace(run, comparison=replace(comparison, looks=looks_of(run.inputs)))
        # What was begun goes on as it was designed, though its replies are all cached by now.
        if is_begun(folder_of(session, looking, evaluating), looking) or not _known(session, run):
            return looking
        why = "every reply is recorded or cached, so there are no calls to save"
    session.note(f"Note: A fixed design is used ({why}).")
    return replace(run, comparison=replace(comparison, why=why))


def _known(session: Session, run: Run) -> bool:
    """Whether the first reply to every first question is recorded or cached already."""
    pack = run.meter.shared.pack
    questions = (question for task in tasks(run) for question in following(task))
    keys = (first_request(question, run.settings).key for question in questions)
    return all(key in pack or session.cache.get(key) is not None for key in keys)
