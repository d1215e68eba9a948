"""The shapes of answers as of a date: balances and reports on both axes."""

from typing import Annotated, Any

from pydantic import Field

from engine.api.answers import Answer, Money, Number, TimeText


class BalanceAnswer(Answer):
    """The balance of an account before a time, as known at a number of the journal; signed."""

    account_id: Number
    account: str
    balance: Money
    effective_at: TimeText | None
    journal_no: Number
    provisional: bool


class HeaderAnswer(Answer):
    """What was asked, and of which journal.

    `sha256` is the hash of the report's canonical JSON (keys sorted, no spaces) without this field;
    a provisional report has none.
    """

    report: str
    arguments: dict[str, Any]
    journal_no: int
    provisional: bool
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None


class ReportAnswer(Answer):
    """A report."""

    header: HeaderAnswer


class Columns(Answer):
    """Opening and closing balances in two columns each, and what moved in between."""

    book: str
    currency: str
    opening_debit: Money
    opening_credit: Money
    debits: Money
    credits: Money
    closing_debit: Money
    closing_credit: Money


class KindColumns(Columns):
    """One kind of account in one currency."""

    kind: str
    nature: str


class AccountColumns(Columns):
    """One account."""

    account_id: Number
    account: str


class SumColumns(Columns):
    """One book in one currency; each pair of columns is equal, or the books are broken."""

    balanced: bool


class TrialReport(ReportAnswer):
    """The trial balance by kind and currency."""

    rows: list[KindColumns]
    totals: list[SumColumns]


class TrialAccountsReport(ReportAnswer):
    """A page of the trial balance by account; `next_after` begins the next."""

    rows: list[AccountColumns]
    next_after: Number | None


class ActivityAnswer(Answer):
    """What one kind of event moved."""

    event_kind: str
    line_count: int
    debits: Money
    credits: Money


class RollRow(Answer):
    """One kind in one currency from opening to closing; `ties` to the trial balance."""

    book: str
    kind: str
    currency: str
    opening_debit: Money
    opening_credit: Money
    activities: list[ActivityAnswer]
    closing_debit: Money
    closing_credit: Money
    ties: bool


class RollReport(ReportAnswer):
    """The roll-forward."""

    rows: list[RollRow]


class SpanAnswer(Answer):
    """An account over the whole span, whatever of it is on this page; balances are signed."""

    account_id: Number
    account: str
    opening: Money
    line_count: int
    debits: Money
    credits: Money
    closing: Money


class RunningLineAnswer(Answer):
    """A line, and the balance behind it within the span."""

    account_id: Number
    account: str
    account_seq: int
    journal_no: Number | None
    event_id: Number
    entry_no: int
    line_no: int
    debit: Money
    credit: Money
    balance: Money
    effective_at: TimeText
    recorded_at: TimeText
    event_kind: str
    event_subject: str
    actor_kind: str
    reason: str


class LedgerReport(ReportAnswer):
    """A page of lines. `goes_on_at` is the `after` of the next one: account and line."""

    accounts: list[SpanAnswer]
    lines: list[RunningLineAnswer]
    goes_on_at: list[Number] | None


class AgedRow(Answer):
    """Held money of one kind and currency that waits for one thing, by age in days."""

    kind: str
    currency: str
    awaited: str
    slots: int
    by_age_days: dict[str, Money]
    held: Money


class LiabilityAnswer(Answer):
    """Held money by age against the liability in the books."""

    kind: str
    currency: str
    held: Money
    control: Money
    ties: bool


class AgeingReport(ReportAnswer):
    """Held money by age and by what it waits for."""

    rows: list[AgedRow]
    controls: list[LiabilityAnswer]


class TieAnswer(Answer):
    """The accounts of a kind summed one by one, against the control total; signed."""

    kind: str
    kept_per: str
    currency: str
    accounts: int
    sub_ledger: Money
    control: Money
    difference: Money


class SlotBreakAnswer(Answer):
    """A slot that says it holds another amount than its accounts owe."""

    slot: str
    currency: str
    slot_says: Money
    accounts_owe: Money


class TieReport(ReportAnswer):
    """Sub-ledgers against their control accounts; `breaks` are the rows that differ.

    `slot_breaks` are slots whose own figure differs; null but for a question about now.
    """

    rows: list[TieAnswer]
    breaks: list[TieAnswer]
    slot_breaks: list[SlotBreakAnswer] | None
