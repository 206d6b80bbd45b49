"""A budget that all commands of a workspace share by its name, whatever processes they run in.

What a call can cost at most is set aside before it is sent, in the file that they share, and
replaced by what it did cost when its reply is in. What a process that died had set aside counts as
spent: its provider may have billed it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from zlib import crc32

from selectllm.core.errors import BudgetReached
from selectllm.core.stopping import rest
from selectllm.models.wrappers.bill import Bill, Limits
from selectllm.models.wrappers.byte_lock import release, take
from selectllm.models.wrappers.held import Held
from selectllm.models.wrappers.shared_state import SharedState

FIRST_POLL, LAST_POLL = 0.01, 0.25  # seconds between looks at what others have set aside
_FIRST_CALLS = 1 << 40  # offset of the locks of first calls, above the numbers of processes


class SharedBudget:
    """The budget called `name`, of which this command spends while it is within `limits`.

    `note`: hears what of the budget is counted without being known. All methods raise CacheError
    for a file that cannot be used.
    """

    def __init__(
        self,
        state: SharedState,
        name: str,
        limits: Limits,
        note: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.name = name
        self.limits = limits
        self._state = state
        self._note = note
        self._held = Held(
            note,
            f"has set aside a part of the budget {name!r} for calls that are on their way",
            "so that no more is spent than may be",
        )

    @property
    def spent(self) -> Bill:
        """What all commands have spent, without what is set aside."""
        with self._state.transaction() as rows:
            return self._spent(rows)

    def fits(self, bill: Bill) -> bool:
        """Whether `bill` could be set aside, once what others have set aside is settled for 0."""
        with self._state.transaction() as rows:
            self._settle_the_dead(rows)
            aside = self._aside(rows, self._state.holder(rows))
            return self.limits.allow(self._spent(rows) + aside + bill)

    async def reserve(self, bill: Bill) -> int:
        """Set `bill` aside and return its number, waiting where others may leave room.

        Raises BudgetReached when it cannot fit.
        """
        wait, waiting = FIRST_POLL, self._held.waiting()
        while (number := self._try(bill)) is None:
            waiting.goes_on(self._state.locks, self._holders)
            await rest(wait)
            wait = min(2 * wait, LAST_POLL)
        return number

    def settle(self, number: int, spent: Bill, assumed: float = 0.0) -> None:
        """Replace what was set aside under `number`; `assumed`: USD of it that nobody confirmed."""
        with self._state.transaction() as rows:
            rows.execute("DELETE FROM reservations WHERE id = ?", (number,))
            self._add(rows, spent, assumed)

    def shown(self, model: str) -> tuple[float, float] | None:
        """See `show`; None before the first call of that model."""
        with self._state.transaction() as rows:
            found = rows.execute(
                "SELECT read, written FROM shown WHERE account = ? AND model = ?",
                (self.name, model),
            ).fetchone()
        return None if found is None else (float(found[0]), float(found[1]))

    def show(self, model: str, read: float, written: float) -> None:
        """Keep how many times the tokens that were estimated a model has read and written."""
        with self._state.transaction() as rows:
            rows.execute(
                "INSERT INTO shown VALUES (?, ?, ?, ?) ON CONFLICT (account, model) DO UPDATE SET "
                "read = max(read, excluded.read), written = max(written, excluded.written)",
                (self.name, model, read, written),
            )

    @contextlib.asynccontextmanager
    async def first_call(self, model: str) -> AsyncIterator[None]:
        """While it lasts, no other process makes the first call of that model."""
        offset = _FIRST_CALLS + crc32(f"{self.name}/{model}".encode())
        waiting = self._held.waiting()
        while not take(self._state.locks, offset):
            waiting.goes_on(self._state.locks, lambda: [offset])
            await rest(LAST_POLL)
        try:
            yield
        finally:
            release(self._state.locks, offset)

    def _try(self, bill: Bill) -> int | None:
        """The number under which it is set aside now; None if that may go later."""
        with self._state.transaction() as rows:
            self._settle_the_dead(rows)
            spent, aside = self._spent(rows), self._aside(rows)
            if self.limits.allow(spent + aside + bill):
                return rows.execute(
                    "INSERT INTO reservations (account, holder, usd, tokens, requests) "
                    "VALUES (?, ?, ?, ?, ?)",
                    (self.name, self._state.holder(rows), bill.usd, bill.tokens, bill.requests),
                ).lastrowid
        if self.limits.allow(spent + bill):
            return None
        raise BudgetReached(
            f"The budget {self.name!r} that this workspace shares is spent: "
            f"{self.limits.words(spent, bill)}. Raise its limit and run the same command again: "
            "what was paid for is kept"
        )

    def _aside(self, rows: sqlite3.Connection, holder: int | None = None) -> Bill:
        """What is set aside for calls that are on their way; those of `holder`, or of everybody."""
        return Bill(
            *rows.execute(
                "SELECT total(usd), coalesce(sum(tokens), 0), coalesce(sum(requests), 0) "
                "FROM reservations WHERE account = ? AND (? IS NULL OR holder = ?)",
                (self.name, holder, holder),
            ).fetchone()
        )

    def _holders(self) -> list[int]:
        """The numbers of the processes that have set something aside."""
        with self._state.transaction() as rows:
            found = rows.execute(
                "SELECT DISTINCT holder FROM reservations WHERE account = ?", (self.name,)
            )
            return [number for (number,) in found]

    def _settle_the_dead(self, rows: sqlite3.Connection) -> None:
        """Count as spent what processes had set aside that ended before they settled it."""
        aside = rows.execute(
            "SELECT holder, count(*), sum(usd), sum(tokens), sum(requests) FROM reservations "
            "WHERE account = ? GROUP BY holder",
            (self.name,),
        ).fetchall()
        for holder, calls, *left in aside:
            if self._state.lives(holder):
                continue
            rows.execute(
                "DELETE FROM reservations WHERE account = ? AND holder = ?", (self.name, holder)
            )
            self._add(rows, Bill(*left), left[0])
            self._note(
                f"Note: {calls} calls of a command that was killed may have been billed. The "
                f"budget {self.name!r} counts them at the most that they can cost, {left[0]:.4f} "
                "USD."
            )

    def _spent(self, rows: sqlite3.Connection) -> Bill:
        found = rows.execute(
            "SELECT usd, tokens, requests FROM accounts WHERE name = ?", (self.name,)
        ).fetchone()
        return Bill() if found is None else Bill(*found)

    def _add(self, rows: sqlite3.Connection, spent: Bill, assumed: float) -> None:
        rows.execute(
            "INSERT INTO accounts VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
            "usd = usd + excluded.usd, tokens = tokens + excluded.tokens, "
            "requests = requests + excluded.requests, assumed = assumed + excluded.assumed",
            (self.name, spent.usd, spent.tokens, spent.requests, assumed),
        )


def budgets(state: SharedState) -> dict[str, Bill]:
    """What was spent under each name, where anything was. Raises CacheError as above."""
    if not state.file.exists():
        return {}
    with state.looking() as rows:
        found = rows.execute("SELECT name, usd, tokens, requests FROM accounts ORDER BY name")
        return {name: Bill(*spent) for name, *spent in found}


def forget(state: SharedState, name: str) -> Bill | None:
    """Begin the budget called `name` anew; what was spent under it, None if there is none."""
    spent = budgets(state).get(name)
    if spent is not None:
        with state.transaction() as rows:
            for table, column in (("accounts", "name"), ("reservations", "account")):
                rows.execute(f"DELETE FROM {table} WHERE {column} = ?", (name,))
    return spent
