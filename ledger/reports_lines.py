"""General-ledger detail and the account statement: lines with running balances, on both axes.

Lines of an account stand in the order of its chain, which is that of the journal. The running
balance begins at the opening balance and takes each line that counts within the span, so the last
one is the closing balance of the trial balance.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection

from kernel.money import to_json
from ledger import asof
from ledger import store_reports as store
from ledger.known import Known
from ledger.reports import Header, Json, Span, UnknownAccount, header, time_text
from ledger.store_asof import Turnover
from ledger.store_reports import ListedAccount, ReportLine, Slice


class Position(NamedTuple):
    """Where a page begins: behind this line of this account. (0, 0) is the beginning."""

    account_id: int
    account_seq: int


BEGINNING = Position(0, 0)


@dataclass(frozen=True, slots=True)
class AccountSpan:
    """One account over the whole span: what its lines must add up to. Amounts are signed."""

    account_id: int
    code: str
    currency: str
    opening_minor: int
    line_count: int
    debits_minor: int
    credits_minor: int

    @property
    def closing_minor(self) -> int:
        """Signed: debit positive."""
        return self.opening_minor + self.debits_minor - self.credits_minor

    def as_json(self) -> Json:
        """The control totals with stable keys; balances are signed, debit positive."""
        return {
            "account_id": str(self.account_id),
            "account": self.code,
            "opening": to_json(self.opening_minor, self.currency),
            "line_count": self.line_count,
            "debits": to_json(self.debits_minor, self.currency),
            "credits": to_json(self.credits_minor, self.currency),
            "closing": to_json(self.closing_minor, self.currency),
        }


@dataclass(frozen=True, slots=True)
class RunningLine:
    """A line and the balance behind it within the span."""

    line: ReportLine
    code: str
    currency: str
    balance_minor: int

    def as_json(self) -> Json:
        """The line in a debit and a credit column."""
        row = self.line
        return {
            "account_id": str(row.account_id),
            "account": self.code,
            "account_seq": row.account_seq,
            "journal_no": None if row.journal_no is None else str(row.journal_no),
            "event_id": str(row.event_id),
            "entry_no": row.entry_no,
            "line_no": row.line_no,
            "debit": to_json(max(row.amount_minor, 0), self.currency),
            "credit": to_json(max(-row.amount_minor, 0), self.currency),
            "balance": to_json(self.balance_minor, self.currency),
            "effective_at": time_text(row.effective_at),
            "recorded_at": time_text(row.recorded_at),
            "event_kind": row.event_kind,
            "event_subject": row.event_subject,
            "actor_kind": row.actor_kind,
            "reason": row.reason,
        }


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """A page of the general ledger or of a statement. `goes_on_at` begins the next; None: the end.

    `accounts` are those that begin or go on on this page, with what they add up to over the span.
    """

    header: Header
    accounts: tuple[AccountSpan, ...]
    lines: tuple[RunningLine, ...]
    goes_on_at: Position | None

    def as_json(self) -> Json:
        """The page with stable keys."""
        return {
            "header": self.header.as_json(),
            **_body(self.accounts, self.lines, self.goes_on_at),
        }


def general_ledger(
    connection: Connection,
    *,
    known: Known,
    span: Span | None = None,
    kind: str | None = None,
    currency: str | None = None,
    after: Position = BEGINNING,
    limit: int = 100,
) -> LedgerPage:
    """Lines of all accounts, or those of a kind or currency, account by account; a page of them.

    A page has up to `limit` lines and accounts together, at least one. Accounts that stand at zero
    and do not move within the span are left out.
    """
    arguments = {"kind": kind, "currency": currency}
    accounts = store.list_known(
        connection,
        known,
        kind=kind,
        currency=currency,
        after=max(after.account_id - 1, 0),
        limit=limit + 1,
    )
    return _page(
        connection,
        "general_ledger",
        arguments,
        accounts,
        _Asked(known, span or Span(), after, limit),
    )


def statement(
    connection: Connection,
    account_id: int,
    *,
    known: Known,
    span: Span | None = None,
    after_seq: int = 0,
    limit: int = 100,
) -> LedgerPage:
    """The extract of one account within a span; a page behind a line of its chain.

    Refuses: `ledger.unknown_account`.
    """
    if not store.is_account(connection, account_id):
        raise UnknownAccount(account_id=account_id)
    accounts = store.list_known(connection, known, only=account_id, limit=1)
    after = Position(account_id, after_seq) if after_seq else BEGINNING
    asked = _Asked(known, span or Span(), after, limit)
    return _page(connection, "statement", {"account_id": str(account_id)}, accounts, asked)


class _Asked(NamedTuple):
    known: Known
    span: Span
    after: Position
    limit: int


class _Open(NamedTuple):
    """An account over the span, and what is left of it behind the page's beginning."""

    listed: ListedAccount
    over: AccountSpan
    after_seq: int
    left: int
    running_minor: int


def _page(
    connection: Connection,
    report: str,
    arguments: Json,
    accounts: Sequence[ListedAccount],
    asked: _Asked,
) -> LedgerPage:
    opened = _opened(connection, accounts, asked)
    shown, room = [], asked.limit
    for each in opened:
        if room <= 0:
            break
        shown.append(each)
        room -= each.left + 1
    lines = _lines(connection, shown, asked)
    # An account may be cut, and more accounts may follow than were asked for.
    is_cut = len(lines) < sum(each.left for each in shown)
    goes_on = is_cut or len(shown) < len(opened) or len(accounts) > asked.limit
    goes_on_at = _last(shown, accounts, lines, is_cut=is_cut) if goes_on else None
    over = [each.over for each in shown]
    all_arguments = {
        **arguments,
        **asked.span.as_json(),
        "after": [str(each) for each in asked.after],
        "limit": asked.limit,
    }
    head = header(report, all_arguments, asked.known, _body(over, lines, goes_on_at))
    return LedgerPage(head, tuple(over), tuple(lines), goes_on_at)


def _opened(
    connection: Connection, accounts: Sequence[ListedAccount], asked: _Asked
) -> list[_Open]:
    """The accounts that have something to show behind the page's beginning."""
    names = [each.known for each in accounts]
    ends = asof.turnovers(connection, [(name, asked.span.end) for name in names])
    starts = asof.openings(connection, names, asked.span.start)
    found = []
    for each, start, end in zip(accounts, starts, ends, strict=True):
        over = AccountSpan(
            account_id=each.known.account_id,
            code=each.known.code,
            currency=each.currency,
            opening_minor=start.balance_minor,
            line_count=end.line_count - start.line_count,
            debits_minor=end.debit_minor - start.debit_minor,
            credits_minor=end.credit_minor - start.credit_minor,
        )
        if each.known.account_id == asked.after.account_id:
            done = _done(connection, each, asked)
            left = over.line_count - done.line_count
            running = over.opening_minor + done.balance_minor
            if left > 0:
                found.append(_Open(each, over, asked.after.account_seq, left, running))
        elif over.line_count or over.opening_minor:
            found.append(_Open(each, over, 0, over.line_count, over.opening_minor))
    return found


def _done(connection: Connection, account: ListedAccount, asked: _Asked) -> Turnover:
    """What earlier pages have shown of the account that this page goes on with."""
    seq = min(asked.after.account_seq, account.known.line_count)
    shown = account.known._replace(line_count=seq)
    (end,) = asof.turnovers(connection, [(shown, asked.span.end)])
    (start,) = asof.openings(connection, [shown], asked.span.start)
    return Turnover(
        end.line_count - start.line_count,
        end.debit_minor - start.debit_minor,
        end.credit_minor - start.credit_minor,
    )


def _lines(connection: Connection, shown: Sequence[_Open], asked: _Asked) -> list[RunningLine]:
    """The lines of these accounts, as many as the page takes, with running balances."""
    rows = store.list_lines(
        connection,
        [
            Slice(each.over.account_id, each.after_seq, each.listed.known.line_count)
            for each in shown
            if each.left
        ],
        start=asked.span.start,
        before=asof.before_of(asked.span.end),
        limit=asked.limit,
    )
    running = {each.over.account_id: each.running_minor for each in shown}
    named = {each.over.account_id: each.over for each in shown}
    lines = []
    for row in rows[: asked.limit]:
        running[row.account_id] += row.amount_minor
        over = named[row.account_id]
        lines.append(RunningLine(row, over.code, over.currency, running[row.account_id]))
    return lines


def _last(
    shown: Sequence[_Open],
    accounts: Sequence[ListedAccount],
    lines: Sequence[RunningLine],
    *,
    is_cut: bool,
) -> Position:
    """The last line shown, or the end of the last account that was looked at."""
    if is_cut:
        return Position(lines[-1].line.account_id, lines[-1].line.account_seq)
    last = shown[-1].listed.known if shown else accounts[-1].known
    return Position(last.account_id, last.line_count)


def _body(
    accounts: Iterable[AccountSpan], lines: Iterable[RunningLine], goes_on_at: Position | None
) -> Json:
    return {
        "accounts": [each.as_json() for each in accounts],
        "lines": [each.as_json() for each in lines],
        "goes_on_at": None if goes_on_at is None else [str(each) for each in goes_on_at],
    }
