"""The shapes of transaction histories and account extracts."""

from typing import Annotated, Literal

from pydantic import Field

from engine.api.answers import Answer, IdText, Money, Number, TimeText

Account = Literal[
    "wallet",
    "escrow",
    "escrow_disputed",
    "earned_pending",
    "earned_available",
    "earned_reserved",
    "set_aside",
    "blocked",
    "owed",
]


class FeesAnswer(Answer):
    """What we took of the party, or gave back; `gross` is what the commission was taken of."""

    gross: Money
    commission: Money
    client_fee: Money
    other: Money
    tax: Money
    total: Money


class ExchangeAnswer(Answer):
    """One currency that became another."""

    sold: Money
    bought: Money


class TransactionAnswer(Answer):
    """A line on an account of the party.

    `balance` is what the party has in the currency behind the line, on all its accounts, within
    what was asked for.
    """

    event_id: Number
    entry_no: int
    line_no: int
    journal_no: Number | None
    effective_at: TimeText
    recorded_at: TimeText
    account: Account
    kind: str
    what: str
    event_kind: str
    event_subject: str
    contract_id: IdText | None
    slot_id: IdText | None
    title: str
    debit: Money
    credit: Money
    balance: Money
    fees: FeesAnswer | None
    exchange: ExchangeAnswer | None


class TotalsAnswer(Answer):
    """Opening plus credits less debits is closing."""

    opening: Money
    credits: Money
    debits: Money
    closing: Money


class StandingAnswer(TotalsAnswer):
    """One kind of account."""

    account: Account
    words: str
    line_count: int


class SummaryAnswer(TotalsAnswer):
    """All accounts of one currency, and our fees of the month."""

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    accounts: list[StandingAnswer]
    fees: FeesAnswer


class ExtractAnswer(Answer):
    """A party's account extract of a month in UTC (elsewhere: statement of account).

    Its lines are those of the transaction history within the same span.
    """

    party_id: IdText
    party_kind: str
    month: str
    from_: Annotated[TimeText, Field(alias="from")]
    until: TimeText
    journal_no: Number
    provisional: bool
    currencies: list[SummaryAnswer]
