"""Every error that selectllm raises on purpose.

SelectLLMError                 exit code
├── UsageError                 2    bad input: what, where, which value, how to fix
│   ├── ArgumentError              also a TypeError: an unknown argument, or one that is missing
│   ├── ExtraMissing               an optional part of the installation is not there
│   ├── PoolError
│   ├── PromptError
│   ├── SuiteError
│   ├── UtilityError
│   ├── EncoderError
│   ├── EngineError                 an engine of many machines cannot be reached, or its workers die
│   ├── ModelError                  a model name or setting that cannot work
│   ├── CacheError                  a cache cannot be used
│   │   └── CacheDamaged            it holds what selectllm did not write
│   └── RunError                    an output folder or log that does not fit the call
├── SelectionShort             1    an answer: fewer items than asked for, or none, could be had
│   └── SelectionOverFilled         too many of them would have been chosen at random
├── BudgetReached              4    --max-cost would be exceeded
├── ReplyMissing               5    --offline and no recorded or cached reply
├── BatchUnderWay              5    a batch was sent and is not answered yet
└── ProviderError              6    the provider failed after retries, or refused the call

Messages name an argument in backticks, by its name in Python (`max_cost`), and carry the name of
the one that is wrong; the command line shows it as its flag (--max-cost).

A model's text is never an error: what cannot be read as picks is a `Decision` with status
`invalid`. A reply that could not be had is a decision with status `error`, and the command
ends with `ProviderError` after everything that succeeded has been kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectllm.core.types import Attempt, Reply


class SelectLLMError(Exception):
    """Base of all errors below. `exit_code` is what the command line ends with; 1 is an answer.

    `argument`: the name of the argument that is wrong, None if it is no argument's fault.
    `attempts`: what the question that it ended had sent, as far as that was paid for or failed.
    """

    exit_code = 2
    argument: str | None = None
    attempts: tuple[Attempt, ...] = ()

    def __init__(self, message: str, *, argument: str | None = None) -> None:
        super().__init__(message)
        if argument is not None:
            self.argument = argument


class UsageError(SelectLLMError):
    """The call or one of its files is wrong; nothing was written."""


class ArgumentError(UsageError, TypeError):
    """A job was called with an argument that it has not, or without one that it needs."""


@contextmanager
def blaming(argument: str) -> Iterator[None]:
    """While something is made of an argument: a UsageError that names no other names this one."""
    try:
        yield
    except UsageError as error:
        if error.argument is None:
            error.argument = argument
        raise


@contextmanager
def renaming(argument: str, name: str) -> Iterator[None]:
    """While something reads `argument` that the user gave as `name`: its errors say `name`."""
    try:
        yield
    except UsageError as error:
        told = re.sub(rf"`{argument}(?=[`=])", f"`{name}", str(error))
        error.args = (told, *error.args[1:])
        if error.argument == argument:
            error.argument = name
        raise


def check_whole(argument: str, value: object) -> None:
    """Raise UsageError unless the value of `argument` is a whole number, or None."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, Integral)):
        raise UsageError(
            f"`{argument}` {value!r} is {type(value).__name__}. Give a whole number",
            argument=argument,
        )


def check_number(argument: str, value: object) -> None:
    """Raise UsageError unless the value of `argument` is a finite number, or None."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Real):
        raise UsageError(
            f"`{argument}` {value!r} is {type(value).__name__}. Give a number",
            argument=argument,
        )
    if not isinstance(value, Integral) and not math.isfinite(value):
        raise UsageError(
            f"`{argument}` {value} is not a finite number. Give one", argument=argument
        )


class ExtraMissing(UsageError):
    """An optional part of the installation is not there; see core/extras.py."""


class UnfitError(UsageError):
    """A pool is too large for a strategy, or lacks what it goes by; another pool may do."""


class PoolError(UsageError):
    """A pool file cannot be read as items."""


class PromptError(UsageError):
    """A prompt is unknown, malformed, changed after its release, or does not fit the cluster."""


class SuiteError(UsageError):
    """A suite file is malformed or contradicts itself."""


class UtilityError(UsageError):
    """A utility is missing, not numeric, or does not cover the pool."""


class EncoderError(UsageError):
    """An encoder cannot be loaded, or returned vectors that cannot be used."""


class EngineError(UsageError):
    """A cluster cannot be reached, does not fit this installation, or loses its workers."""


class ModelError(UsageError):
    """A model name or setting cannot work."""


class CacheError(UsageError):
    """A cache folder cannot be used."""


class CacheDamaged(CacheError):
    """A cache is damaged, or holds rows that selectllm did not write."""


class RunError(UsageError):
    """An output folder or log belongs to another call, or is damaged."""


class SelectionShort(SelectLLMError):
    """Too few replies were valid for the selection that was asked for."""

    exit_code = 1


class SelectionOverFilled(SelectionShort):
    """More picks than `max_filled` allows would have been chosen at random.

    `filled` of `picks` picks had no usable answer. Every reply that was paid for is kept.
    """

    def __init__(self, message: str, *, filled: int, picks: int) -> None:
        super().__init__(message, argument="max_filled")
        self.filled = filled
        self.picks = picks


class AnswersIncomplete(SelectLLMError):
    """Items have no answer yet, or different ones, or an answer belongs to no item."""

    exit_code = 1


class BudgetReached(SelectLLMError):
    """The next call could exceed `--max-cost`. What was paid for is kept."""

    exit_code = 4


class ReplyMissing(SelectLLMError):
    """Offline, and neither the recorded replies nor the cache hold this request.

    `pack`: the file that holds the suite's recorded replies, None if it names none.
    """

    exit_code = 5

    def __init__(self, message: str, *, pack: Path | None = None) -> None:
        super().__init__(message)
        self.pack = pack


class BatchUnderWay(SelectLLMError):
    """Questions were sent in a batch, and its answers are not there yet."""

    exit_code = 5


class ProviderError(SelectLLMError):
    """The provider failed.

    `retryable`: the same request may succeed later (rate limit, server error, time-out).
    `retry_after`: seconds that the provider asked to wait, or None.
    `status`: HTTP status, or None when no response arrived.
    `fatal`: no request of this run can succeed (wrong key, unknown model; a server that is not
    there, which is also retryable: fatal once the retries are used up).
    `kind`: one word for what it was, a key of models.providers.failures.TROUBLES; "" if unknown.
    `doubtful`: it may be about this one request or about all of them; which one shows when other
    requests are answered, or meet the same.
    `reply`: what came back and was paid for, of no use as an answer; None if nothing did.
    `at_most_usd`: what the call may have been billed where nobody says, None if nothing.
    """

    exit_code = 6
    at_most_usd: float | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        fatal: bool = False,
        kind: str = "",
        doubtful: bool = False,
        reply: Reply | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after
        self.fatal = fatal
        self.kind = kind
        self.doubtful = doubtful
        self.reply = reply

    @property
    def tokens_in(self) -> int | None:
        """Prompt tokens that were billed all the same; None if none or not known."""
        return self.reply.tokens_in if self.reply else None

    @property
    def tokens_out(self) -> int | None:
        """Tokens of the reply that were billed all the same; None if none or not known."""
        return self.reply.tokens_out if self.reply else None

    @property
    def cost_usd(self) -> float | None:
        """What was billed all the same: 0 if nothing came back, None if that is not known."""
        return self.reply.cost_usd if self.reply else 0.0

    def reworded(self, message: str) -> ProviderError:
        """The same error with another message."""
        other = copy(self)  # with all that it holds, what it may have cost and its tries too
        other.args = (message,)
        return other
