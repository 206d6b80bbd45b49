"""Scales on which a model puts one item, and the value that its log-probabilities give it there.

The value is the mean of the points, each weighed by its probability: one token gives a fine score,
where the token alone gives a whole number that most items share (G-Eval, Liu et al. 2023, arXiv
2303.16634). On the scale `no/yes` it is the probability of yes among the two, as rerankers have it
(Zhuang et al. 2024, arXiv 2310.14122). Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from selectllm.core.types import Parsed, Question, Status
from selectllm.prompting.replies.logprobs import log_probabilities, wrote_label

_DIGITS = re.compile(r"([0-9]) ?- ?([0-9])")
YES = {"no": 0.0, "yes": 1.0, "No": 0.0, "Yes": 1.0}
SCALES = "two digits such as 1-5, the lower one first, or no/yes"
"""What a scale may be, in words."""


def scale_of(written: str) -> Mapping[str, float] | None:
    """The value of every answer of a scale as front matter has it; None for no scale.

    Each answer is one token: a digit is its own value, no is 0 and yes is 1, in small letters or
    with a capital.
    """
    if written.strip() == "no/yes":
        return YES
    match = _DIGITS.fullmatch(written.strip())
    if match is None or match[1] >= match[2]:
        return None
    return {str(digit): float(digit) for digit in range(int(match[1]), int(match[2]) + 1)}


def read_point(text: str, question: Question, cut: bool) -> Parsed:
    """The value of the one item shown, as `scores`, from the text of a reply of log-probabilities.

    Between the ends of the scale; higher is better. The probabilities of the points that are listed
    count as all there is: `unlisted` says that some are not, `stray_token` that the model would
    have written something else. Without any there is no value. Never raises on any text.
    """
    likely = log_probabilities(text, question.labels)
    if not likely:
        return Parsed((), "invalid", ("no_answer",))
    value_of = dict(zip(question.labels, question.scale, strict=True))
    largest = max(likely.values())
    weights = {label: math.exp(value - largest) for label, value in likely.items()}
    value = sum(value_of[label] * weights[label] for label in likely) / sum(weights.values())
    listed = {value_of[label] for label in likely}
    unlisted = ("unlisted",) if listed < {*question.scale} else ()
    stray = () if wrote_label(text, question.labels) else ("stray_token",)
    status: Status = "repaired" if stray else "ok"
    return Parsed((0,), status, (*unlisted, *stray), scores=(value,))
