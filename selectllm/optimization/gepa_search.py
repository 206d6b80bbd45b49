"""GEPA over versions of a prompt, under a budget of decisions.

GEPA (Agrawal et al. 2025, arXiv 2507.19457) evolves a text: it shows a teacher a few training
clusters with what came of them, tries the text that the teacher writes on the same clusters, and
if that scores higher, on all validation clusters; texts that lead on some validation cluster are
rewritten further.

A search keeps no state of its own on disk. It draws by seed alone, and every decision and every
reply of the teacher is in its logs or the reply cache: made again, it takes the same way at no
cost, and goes on from where it was cut off, wherever that was. (GEPA's own state is a pickle.)
"""

from __future__ import annotations

import sys
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol, TypeVar

from selectllm.core.errors import SelectLLMError, UsageError
from selectllm.core.jsonl_log import RowFormat, RowLog
from selectllm.core.types import Cluster, Decision
from selectllm.optimization.gepa_program import (
    COMPONENT,
    Proposal,
    Teacher,
    load_gepa,
    selection_metric,
    selection_module,
)
from selectllm.optimization.metric import Metric
from selectllm.optimization.splits import Splits
from selectllm.optimization.template import Demonstration, system_text, with_demonstrations
from selectllm.optimization.versions import VersionKey, Versions
from selectllm.prompting.prompt import render
from selectllm.selection.concurrency import run_all

SHOWN = 4  # training clusters that the teacher sees at a time
ROUNDS = 8  # of the default budget, were every proposal worth all validation clusters
FAILED_IN_A_ROW = 5  # proposals that cannot be used: the teacher cannot do it, stop asking

T = TypeVar("T")


class Runner(Protocol):
    """What runs coroutines on one event loop, such as asyncio.Runner."""

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result."""
        ...


def one_round(splits: Splits) -> int:
    """Decisions that one proposal takes at most: on the clusters shown, by both, and validated."""
    return 2 * SHOWN + len(splits.validation)


def default_budget(splits: Splits) -> int:
    """Decisions of a search unless told otherwise."""
    return len(splits.validation) + ROUNDS * one_round(splits)


def check_budget(budget: int, splits: Splits, demonstrations: int) -> None:
    """Raise UsageError if `budget` does not suffice for one round."""
    least = _reserve(splits, demonstrations) + len(splits.validation)
    if budget < least:
        also = " and as many as validate it with demonstrations" if demonstrations else ""
        raise UsageError(
            f"--budget {budget}: one round takes {least} decisions ({len(splits.validation)} to "
            f"validate the parent, then up to {one_round(splits)} for a proposal{also}). Allow "
            f"{least} or more"
        )


def check_demonstrations(demonstrations: int, splits: Splits) -> None:
    """Raise UsageError for more demonstrations than there are training clusters to take them of."""
    if demonstrations > len(splits.training):
        raise UsageError(
            f"--demonstrations {demonstrations}: they come from training clusters, of which there "
            f"are {len(splits.training)}. Ask for that many at most"
        )


def _reserve(splits: Splits, demonstrations: int) -> int:
    """What has to be left for one more round."""
    return one_round(splits) + (len(splits.validation) if demonstrations else 0)


@dataclass(frozen=True, slots=True)
class ProposalRow:
    """The teacher's n-th proposal as the log keeps it.

    `parent`: sha256 of the prompt to be rewritten. `text`: what is tried instead, None if the
    reply could not be used, for which `problem` says why. `reply` and what it took: None if
    nothing was sent.
    """

    number: int
    parent: str
    text: str | None
    problem: str | None
    reply: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_usd: float | None = None

    @classmethod
    def of(cls, number: int, parent: str, proposal: Proposal) -> ProposalRow:
        """The row of a proposal."""
        row = cls(number, parent, proposal.text, proposal.problem)
        if (reply := proposal.reply) is None:
            return row
        return replace(
            row,
            reply=reply.text,
            tokens_in=reply.tokens_in,
            tokens_out=reply.tokens_out,
            cost_usd=reply.cost_usd,
        )


PROPOSALS: RowFormat[int, ProposalRow] = RowFormat(
    "proposal", lambda row: row.number, asdict, lambda row: ProposalRow(**row)
)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search ended with.

    `text` is the system text that did best on the validation clusters, or the parent's own if none
    did better, and `demonstrations` is how many worked examples it holds. `decisions` were made,
    none of them counted twice. `proposals` is how many the teacher was asked for, and `failed` how
    many of them could not be used; `problem` says why the last of these could not, and `reply` is
    what the teacher wrote (None if nothing was sent). `validated` is how many new versions were
    tried on all validation clusters. `stopped` says why the search ended.
    """

    text: str
    demonstrations: int
    decisions: int
    proposals: int
    failed: int
    validated: int
    stopped: str
    problem: str | None = None
    reply: str | None = None

    @property
    def outcome(self) -> dict[str, Any]:
        """The fields that optimize.json has; replies are in the log of proposals."""
        return {name: value for name, value in asdict(self).items() if name != "reply"}


@dataclass
class Search:
    """One search; `found` carries it out.

    `teacher` rewrites, `versions` decides. `demonstrations`: worked examples from training
    clusters to try with the best text. `proposals`: the log of what the teacher wrote.
    """

    versions: Versions
    metric: Metric
    splits: Splits
    teacher: Teacher
    runner: Runner
    budget: int
    proposals: RowLog[int, ProposalRow]
    demonstrations: Sequence[Demonstration] = ()
    _made: list[Proposal] = field(default_factory=list, init=False)
    _decided: set[VersionKey] = field(default_factory=set, init=False)
    _failed_in_a_row: int = field(default=0, init=False)
    _failure: SelectLLMError | None = field(default=None, init=False)
    _stopped: str = field(default="what is left of the budget is no whole round", init=False)

    def __post_init__(self) -> None:
        self._by_id = {cluster.id: cluster for split in self.splits for cluster in split}
        self._scored = selection_metric(self.metric)

    def found(self) -> SearchResult:
        """Search, and say what was found.

        Raises ProviderError, BudgetReached, ReplyMissing: a failure is never a score. The same
        search made again goes on from there.
        """
        gepa = load_gepa()
        parent = system_text(self.versions.parent.prompt)
        result = gepa.optimize(
            seed_candidate={COMPONENT: parent},
            trainset=list(self.splits.training),
            valset=list(self.splits.validation),
            adapter=self,
            reflection_minibatch_size=SHOWN,
            stop_callbacks=self._must_stop,
            seed=self.versions.run.suite.seed,
            logger=_Log(),
        )
        text: str = result.candidates[result.best_idx][COMPONENT]
        best = float(result.val_aggregate_scores[result.best_idx])
        text, held = self._demonstrated(text, best)
        failed = [each for each in self._made if each.text is None]
        return SearchResult(
            text=text,
            demonstrations=held,
            decisions=len(self._decided),
            proposals=len(self._made),
            failed=len(failed),
            validated=len(result.candidates) - 1 + bool(self.demonstrations),
            stopped=self._stopped,
            problem=failed[-1].problem if failed else None,
            reply=failed[-1].reply.text if failed and failed[-1].reply else None,
        )

    def _demonstrated(self, text: str, best: float) -> tuple[str, int]:
        """`text` with demonstrations if that validates better, and how many it holds."""
        if not self.demonstrations:
            return text, 0
        longer = with_demonstrations(text, self.demonstrations)
        scores = self.evaluate(self.splits.validation, {COMPONENT: longer}).scores
        if sum(scores) / len(scores) > best:
            return longer, len(self.demonstrations)
        return text, 0

    def _must_stop(self, state: Any) -> bool:
        """Whether the search ends here; raises what the teacher's model raised."""
        if self._failure is not None:
            raise self._failure  # GEPA would take it for a proposal that came to nothing
        if self._failed_in_a_row >= FAILED_IN_A_ROW:
            self._stopped = f"{FAILED_IN_A_ROW} proposals in a row could not be used"
            return True
        left = self.budget - int(state.total_num_evals)
        return left < _reserve(self.splits, len(self.demonstrations))

    # What follows is GEPA's adapter (gepa.core.adapter.GEPAAdapter).

    def evaluate(
        self, batch: Sequence[Cluster], candidate: Mapping[str, str], capture_traces: bool = False
    ) -> Any:
        """Decide and score every cluster of `batch` by one version."""
        made = self.runner.run(self._predicted(batch, candidate[COMPONENT]))
        scored = [self._scored(None, prediction) for prediction in made]
        traces = list(zip(batch, made, scored, strict=True)) if capture_traces else None
        return load_gepa().EvaluationBatch(
            outputs=made, scores=[each.score for each in scored], trajectories=traces
        )

    async def _predicted(self, batch: Sequence[Cluster], text: str) -> list[Any]:
        module = selection_module(self._decide, text)
        made: dict[int, Any] = {}

        async def one(cluster: Cluster) -> None:
            made[cluster.id] = await module.acall(cluster=cluster.id)

        await run_all(batch, one, self.versions.settings.concurrency)
        return [made[cluster.id] for cluster in batch]

    async def _decide(self, text: str, cluster: int) -> Decision:
        decision = await self.versions.decide(text, self._by_id[cluster])
        self._decided.add((decision.prompt_sha256 or "", cluster))
        return decision

    def make_reflective_dataset(
        self, candidate: Mapping[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> dict[str, list[dict[str, str]]]:
        """What the teacher is shown of the clusters that a version decided."""
        pool, prompt = self.versions.run.pool, self.versions.parent.prompt
        examples = []
        for _, prediction, scored in eval_batch.trajectories:
            shown = [pool.by_id[item_id] for item_id in prediction.decision.shown]
            message = render(prompt, shown, self.versions.asked)[-1]["content"]
            examples.append(
                {"shown": message, "reply": prediction.reply, "feedback": scored.feedback}
            )
        return {COMPONENT: examples}

    def propose_new_texts(
        self,
        candidate: Mapping[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, str]]],
        components_to_update: list[str],
    ) -> dict[str, str]:
        """The teacher's rewriting; nothing if its reply cannot be used, which is counted."""
        text = candidate[COMPONENT]
        try:
            proposal = self.teacher.propose(text, reflective_dataset[COMPONENT])
        except SelectLLMError as error:
            self._failure = error
            return {}
        self._keep(text, proposal)
        return {COMPONENT: proposal.text} if proposal.text else {}

    def _keep(self, text: str, proposal: Proposal) -> None:
        """Count and log what the teacher made of `text`; a search made again logs it once."""
        self._made.append(proposal)
        self._failed_in_a_row = 0 if proposal.text else self._failed_in_a_row + 1
        number, parent = len(self._made), self.versions.prompt(text).sha256
        row = ProposalRow.of(number, parent, proposal)
        if number not in self.proposals or self.proposals[number] != row:
            self.proposals.append(row)


class _Log:
    """GEPA's log, which nobody reads: decisions and proposals are in our own."""

    def log(self, message: str) -> None:
        """Nothing, but GEPA logs an exception and goes on: a defect has to come out."""
        if (error := sys.exception()) is not None:
            raise error
