"""What is checked at every midnight of a replay, cheaply enough to be done for each day.

Every account's balance against the sum of its lines, carried from midnight to midnight; both
books and currencies at zero; the mirrors, and client money against the rail's own word; and that
no clock failed.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from engine.replay.stage import Stage
from engine.replay.store_midnight import (
    Fresh,
    find_newest_event,
    list_failed,
    list_fresh,
    list_totals,
)
from escrow.service_batch import FUNDING_HANDLER
from kernel.database import snapshot
from kernel.money import format_minor
from payouts.safeguarding import Difference, safeguarding
from rails.model import RailOutcome
from rails.service import list_open

FINDINGS_KEPT: Final = 50
PENDING: Final = "custody.processor_pending"
"""Where payments stand that the rail has made; it tells of some of them days later."""


@dataclass(slots=True)
class Midnights:
    """What earlier midnights have counted: per account the sum of its lines, and their number.

    `told_late`: midnights at which the rail had payments that it had not told us of; those
    payments are then the whole difference, to the cent.
    """

    checked: int = 0
    told_late: int = 0
    findings: list[str] = field(default_factory=list)
    _sums: dict[int, tuple[int, int]] = field(default_factory=dict)
    _places: dict[int, tuple[str, str]] = field(default_factory=dict)
    _totals: dict[tuple[str, str], int] = field(default_factory=dict)
    _newest: int = -1

    def check(self, stage: Stage, at: datetime) -> None:
        """Count what was posted since the last midnight, and hold the books against the rail."""
        self.checked += 1
        with snapshot(stage.engine, stage.tenant) as connection:
            newest = find_newest_event(connection)
            for fresh in list_fresh(connection, after=self._newest, until=newest):
                self._count(fresh, at)
            self._newest = newest
            totals = list_totals(connection)
            failed = list_failed(connection)
            safe = safeguarding(connection, stage.rail.balances(at=at))
        self._compare(totals, at)
        for kind, subject in failed:
            self._tell(at, f"the clock {kind} of {subject} rang and failed")
        for each in safe.currencies:
            for difference in each.differences:
                self._explain(stage, each.currency, difference, at)
            if each.missing_minor:
                missing = f"{format_minor(each.missing_minor, each.currency)} {each.currency}"
                self._tell(at, f"client money is {missing} short")

    def _explain(self, stage: Stage, currency: str, difference: Difference, at: datetime) -> None:
        """A difference is no finding if it is just what the rail has and did not tell us yet."""
        untold = 0
        if difference.account == PENDING:
            waiting = stage.read(lambda connection: list_open(connection, FUNDING_HANDLER))
            asked = [each for each in waiting if each.currency == currency]
            results = stage.rail.resolve(asked, at=at)
            done = [each for each in results if each.outcome is RailOutcome.DONE]
            untold = sum(each.amount_minor - each.fee_minor for each in done)
        if difference.other_minor - difference.books_minor == untold:
            self.told_late += 1
            return
        books = format_minor(difference.books_minor, currency)
        other = format_minor(difference.other_minor, currency)
        self._tell(at, f"{difference.account} is {books} here and {other} elsewhere")

    def _count(self, fresh: Fresh, at: datetime) -> None:
        """Add an account's new lines to what was counted before; its row must say the same."""
        before, lines = self._sums.get(fresh.account_id, (0, 0))
        now = (before + fresh.added_minor, lines + fresh.added_lines)
        if now != (fresh.balance_minor, fresh.line_count):
            self._tell(at, f"{fresh.code} stands at {fresh.balance_minor}, its lines at {now[0]}")
        self._sums[fresh.account_id] = now
        place = self._places.setdefault(fresh.account_id, (fresh.kind, fresh.currency))
        self._totals[place] = self._totals.get(place, 0) + fresh.added_minor

    def _compare(self, totals: dict[tuple[str, str], int], at: datetime) -> None:
        """No account moved without a line, and every book is at zero in every currency."""
        counted = {place: total for place, total in self._totals.items() if total}
        stored = {place: total for place, total in totals.items() if total}
        for place in sorted(counted.keys() | stored.keys()):
            if counted.get(place, 0) != stored.get(place, 0):
                self._tell(at, f"all {place[0]} in {place[1]} do not stand at their lines' sum")
        books: dict[tuple[str, str], int] = {}
        for (kind, currency), total in stored.items():
            book = (kind.partition(".")[0], currency)
            books[book] = books.get(book, 0) + total
        for (book_name, currency), total in books.items():
            if total:
                self._tell(at, f"the {book_name} book is off by {total} in {currency}")

    def _tell(self, at: datetime, what: str) -> None:
        if len(self.findings) < FINDINGS_KEPT:
            self.findings.append(f"{at:%Y-%m-%d}: {what}")
