"""The trial balance by kind and by account, and the roll-forward, on both axes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from kernel.money import to_json
from ledger import asof
from ledger import store_reports as store
from ledger.chart import CHART
from ledger.known import Known
from ledger.reports import Header, Json, Span, columns, header
from ledger.store_asof import KindTurnover

_KindName = tuple[str, str]


@dataclass(frozen=True, slots=True)
class TrialLine:
    """One kind in one currency, or one account: signed balances, and what moved in between."""

    name: str
    book: str
    currency: str
    opening_minor: int
    debits_minor: int
    credits_minor: int
    account_id: int | None = None

    @property
    def closing_minor(self) -> int:
        """Signed: debit positive."""
        return self.opening_minor + self.debits_minor - self.credits_minor

    def as_json(self) -> Json:
        """The line in debit and credit columns."""
        return {
            **self._named(),
            "book": self.book,
            "currency": self.currency,
            **columns("opening", self.opening_minor, currency=self.currency),
            "debits": to_json(self.debits_minor, self.currency),
            "credits": to_json(self.credits_minor, self.currency),
            **columns("closing", self.closing_minor, currency=self.currency),
        }

    def _named(self) -> Json:
        if self.account_id is None:
            return {"kind": self.name, "nature": CHART[self.name].nature.value}
        return {"account_id": str(self.account_id), "account": self.name}


@dataclass(frozen=True, slots=True)
class TrialSum:
    """The columns of one book in one currency: each pair is equal, or the books are broken."""

    book: str
    currency: str
    opening_debit_minor: int
    opening_credit_minor: int
    debits_minor: int
    credits_minor: int
    closing_debit_minor: int
    closing_credit_minor: int

    @property
    def is_balanced(self) -> bool:
        """Whether debits equal credits before, in between and after."""
        return (self.opening_debit_minor, self.debits_minor, self.closing_debit_minor) == (
            self.opening_credit_minor,
            self.credits_minor,
            self.closing_credit_minor,
        )

    def as_json(self) -> Json:
        """The sums with stable keys."""
        sums = {
            "opening_debit": self.opening_debit_minor,
            "opening_credit": self.opening_credit_minor,
            "debits": self.debits_minor,
            "credits": self.credits_minor,
            "closing_debit": self.closing_debit_minor,
            "closing_credit": self.closing_credit_minor,
        }
        return {
            "book": self.book,
            "currency": self.currency,
            **{name: to_json(minor, self.currency) for name, minor in sums.items()},
            "balanced": self.is_balanced,
        }


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """All kinds in all currencies, with the sums of both books."""

    header: Header
    rows: tuple[TrialLine, ...]
    totals: tuple[TrialSum, ...]

    @property
    def is_balanced(self) -> bool:
        """Whether debits equal credits in every book and currency."""
        return all(each.is_balanced for each in self.totals)

    def as_json(self) -> Json:
        """The report with stable keys."""
        return {"header": self.header.as_json(), **_trial_body(self.rows, self.totals)}


@dataclass(frozen=True, slots=True)
class TrialAccounts:
    """A page of the trial balance by account. `next_after` begins the next one; None: the end."""

    header: Header
    rows: tuple[TrialLine, ...]
    next_after: int | None

    def as_json(self) -> Json:
        """The page with stable keys."""
        return {"header": self.header.as_json(), **_page_body(self.rows, self.next_after)}


@dataclass(frozen=True, slots=True)
class Activity:
    """What one kind of event moved."""

    event_kind: str
    line_count: int
    debits_minor: int
    credits_minor: int


@dataclass(frozen=True, slots=True)
class RollLine:
    """One kind in one currency from opening to closing. `control_minor` is the trial balance's."""

    kind: str
    currency: str
    opening_minor: int
    activities: tuple[Activity, ...]
    control_minor: int

    @property
    def closing_minor(self) -> int:
        """Opening and all activities together, signed."""
        moved = sum(each.debits_minor - each.credits_minor for each in self.activities)
        return self.opening_minor + moved

    def as_json(self) -> Json:
        """The line with its activities."""
        money = self.currency
        return {
            "book": CHART[self.kind].book.value,
            "kind": self.kind,
            "currency": money,
            **columns("opening", self.opening_minor, currency=money),
            "activities": [
                {
                    "event_kind": each.event_kind,
                    "line_count": each.line_count,
                    "debits": to_json(each.debits_minor, money),
                    "credits": to_json(each.credits_minor, money),
                }
                for each in self.activities
            ],
            **columns("closing", self.closing_minor, currency=money),
            "ties": self.closing_minor == self.control_minor,
        }


@dataclass(frozen=True, slots=True)
class RollForward:
    """Opening, activity by kind of event, and closing, which is the trial balance's."""

    header: Header
    rows: tuple[RollLine, ...]

    @property
    def ties(self) -> bool:
        """Whether every closing is the trial balance's."""
        return all(each.closing_minor == each.control_minor for each in self.rows)

    def as_json(self) -> Json:
        """The report with stable keys."""
        return {"header": self.header.as_json(), **_roll_body(self.rows)}


def trial_balance(
    connection: Connection, *, known: Known, span: Span | None = None
) -> TrialBalance:
    """Opening, debits, credits and closing of every kind and currency that ever moved."""
    span = span or Span()
    opening, closing = _both_ends(connection, known, span)
    rows = [
        TrialLine(
            name=kind,
            book=CHART[kind].book.value,
            currency=currency,
            opening_minor=_balance(opening.get((kind, currency), ())),
            debits_minor=_debits(moved) - _debits(opening.get((kind, currency), ())),
            credits_minor=_credits(moved) - _credits(opening.get((kind, currency), ())),
        )
        for (kind, currency), moved in sorted(closing.items(), key=_by_book)
    ]
    totals = _sums(rows)
    body = _trial_body(rows, totals)
    head = header("trial_balance", span.as_json(), known, body)
    return TrialBalance(head, tuple(rows), tuple(totals))


def trial_accounts(
    connection: Connection,
    *,
    known: Known,
    span: Span | None = None,
    kind: str | None = None,
    currency: str | None = None,
    after: int = 0,
    limit: int = 100,
) -> TrialAccounts:
    """The trial balance by account, in the order of their numbers, a page behind `after`."""
    span = span or Span()
    found = store.list_known(
        connection, known, kind=kind, currency=currency, after=after, limit=limit + 1
    )
    page = found[:limit]
    ends = asof.turnovers(connection, [(each.known, span.end) for each in page])
    starts = asof.openings(connection, [each.known for each in page], span.start)
    rows = [
        TrialLine(
            name=each.known.code,
            book=each.book,
            currency=each.currency,
            opening_minor=start.balance_minor,
            debits_minor=end.debit_minor - start.debit_minor,
            credits_minor=end.credit_minor - start.credit_minor,
            account_id=each.known.account_id,
        )
        for each, start, end in zip(page, starts, ends, strict=True)
    ]
    next_after = page[-1].known.account_id if len(found) > limit else None
    arguments = {
        **span.as_json(),
        "kind": kind,
        "currency": currency,
        "after": after,
        "limit": limit,
    }
    head = header("trial_balance_by_account", arguments, known, _page_body(rows, next_after))
    return TrialAccounts(head, tuple(rows), next_after)


def roll_forward(connection: Connection, *, known: Known, span: Span | None = None) -> RollForward:
    """Opening plus activity by kind of event is closing, for every kind and currency."""
    span = span or Span()
    opening, closing = _both_ends(connection, known, span)
    rows = [
        RollLine(
            kind=kind,
            currency=currency,
            opening_minor=_balance(opening.get((kind, currency), ())),
            activities=_activities(opening.get((kind, currency), ()), moved),
            control_minor=_balance(moved),
        )
        for (kind, currency), moved in sorted(closing.items(), key=_by_book)
    ]
    head = header("roll_forward", span.as_json(), known, _roll_body(rows))
    return RollForward(head, tuple(rows))


_Ends = dict[_KindName, list[KindTurnover]]


def _both_ends(connection: Connection, known: Known, span: Span) -> tuple[_Ends, _Ends]:
    closing = asof.kind_turnovers(connection, effective_at=span.end, known=known)
    if span.start is None:
        return {}, _by_kind(closing)
    opening = asof.kind_turnovers(connection, effective_at=span.start, known=known)
    return _by_kind(opening), _by_kind(closing)


def _by_kind(rows: Iterable[KindTurnover]) -> _Ends:
    found: _Ends = {}
    for row in rows:
        found.setdefault((row.kind, row.currency), []).append(row)
    return found


def _by_book(item: tuple[_KindName, object]) -> tuple[str, str, str]:
    (kind, currency), _ = item
    return CHART[kind].book.value, currency, kind


def _debits(rows: Iterable[KindTurnover]) -> int:
    return sum(row.debit_minor for row in rows)


def _credits(rows: Iterable[KindTurnover]) -> int:
    return sum(row.credit_minor for row in rows)


def _balance(rows: Iterable[KindTurnover]) -> int:
    return sum(row.debit_minor - row.credit_minor for row in rows)


def _activities(
    opening: Iterable[KindTurnover], closing: Iterable[KindTurnover]
) -> tuple[Activity, ...]:
    before: Mapping[str, KindTurnover] = {row.event_kind: row for row in opening}
    found = []
    for row in closing:
        was = before.get(row.event_kind)
        count = row.line_count - (was.line_count if was else 0)
        debits = row.debit_minor - (was.debit_minor if was else 0)
        credited = row.credit_minor - (was.credit_minor if was else 0)
        if count:
            found.append(Activity(row.event_kind, count, debits, credited))
    return tuple(found)


def _sums(rows: Iterable[TrialLine]) -> list[TrialSum]:
    sums: dict[_KindName, list[int]] = {}
    for row in rows:
        at = sums.setdefault((row.book, row.currency), [0] * 6)
        parts = (
            *(max(row.opening_minor, 0), max(-row.opening_minor, 0)),
            *(row.debits_minor, row.credits_minor),
            *(max(row.closing_minor, 0), max(-row.closing_minor, 0)),
        )
        for i, part in enumerate(parts):
            at[i] += part
    return [TrialSum(*name, *parts) for name, parts in sorted(sums.items())]


def _trial_body(rows: Iterable[TrialLine], totals: Iterable[TrialSum]) -> Json:
    return {
        "rows": [row.as_json() for row in rows],
        "totals": [total.as_json() for total in totals],
    }


def _page_body(rows: Iterable[TrialLine], next_after: int | None) -> Json:
    return {
        "rows": [row.as_json() for row in rows],
        "next_after": None if next_after is None else str(next_after),
    }


def _roll_body(rows: Iterable[RollLine]) -> Json:
    return {"rows": [row.as_json() for row in rows]}
