"""What utilities must say of a suite's items before anything is asked. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from selectllm.core.errors import SuiteError, UtilityError
from selectllm.core.names import listed
from selectllm.core.types import Cluster
from selectllm.evaluation.comparison.rated_sample import sampled
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.suite import Suite
from selectllm.selection.strategies import is_analytic
from selectllm.utility.utility import Utility


def check_differing(
    suite: Suite, utilities: Sequence[Utility], comparison: ComparisonDesign
) -> None:
    """What ratings of differing items need, before anything is asked."""
    for arm in comparison.arms:
        if arm.strategy is not None and is_analytic(arm.strategy):
            raise SuiteError(
                f"`differing`: {arm.name} stands for the average of all possible picks, so it "
                "has no items of its own to rate. Compare without `differing`"
            )
    decides = [u for u in utilities if suite.gate.utility in (None, u.name)][:1]
    decides += [utility for utility in utilities if utility.name == suite.gate.assisted_by]
    for utility in decides:
        if utility.range is None:
            raise UtilityError(
                f"utility {utility.name}: `differing` needs its `range: [lowest, highest]` in the "
                "suite"
            )


def check_covered(utilities: Sequence[Utility], clusters: Sequence[Cluster], suite: Suite) -> None:
    """Every item of the clusters has a value, before anything is spent on them."""
    members = [member for cluster in clusters for member in cluster.members]
    judge = suite.gate.assisted_by
    for utility in utilities:
        if judge is not None and utility.name in (judge, suite.gate.utility):
            continue  # people rated a sample; the judge is looked at by itself
        missing = [member for member in members if member not in utility.values]
        if missing:
            raise UtilityError(
                f"utility {utility.name}: no value for {len(missing)} of the {len(members)} items "
                f"of the suite's clusters: {listed(missing)}. Get them with selectllm utility ask "
                f"{suite.source or 'SUITE'} -o sheet.csv, or compare by rated differences alone: "
                "ab "
                "--differing"
            )


def check_unassisted(suite: Suite, what: str, why: str) -> None:
    """Raise SuiteError if a judge is to help in `what`, which cannot be: `why`."""
    if suite.gate.assisted_by is not None:
        raise SuiteError(
            f"gate.assisted_by: {what} cannot use a judge, because {why}. Compare with ab, "
            "or leave assisted_by out and name one utility with a value for every item as "
            "gate.utility"
        )


def check_assisted(
    suite: Suite, utilities: Sequence[Utility], clusters: Sequence[Cluster], *, whole: bool
) -> None:
    """The judge rated every item, before anything is asked; the sample is held to be ours.

    `whole`: people rated every item of it.
    """
    members = [member for cluster in clusters for member in cluster.members]
    by_name = {utility.name: utility for utility in utilities}
    judge, human = by_name[suite.gate.assisted_by or ""], by_name[suite.gate.utility or ""]
    if missing := [member for member in members if member not in judge.values]:
        raise UtilityError(
            f"utility {judge.name} is the judge (gate.assisted_by), but {len(missing)} of "
            f"the {len(members)} items in the suite's clusters have no rating from it: "
            f"{listed(missing)}. A judge has to rate every item. Have it rate these as well"
        )
    sampled(clusters, suite.picks, human, whole=whole)
