"""The shape of a quote: the whole price of a payment before anyone signs."""

from typing import Any, Literal

from pydantic import Field

from engine.api.answers import Answer, IdText, Money, TimeText


class TaxAnswer(Answer):
    """How a fee is taxed, in which country's name, and by which row of the table of decisions."""

    treatment: str
    country: str
    rate_bps: int
    note: str
    rule: str


class ClientPart(Answer):
    """What the client pays; his fee has its tax in it."""

    pays: Money
    fee: Money
    tax_in_fee: Money
    tax: TaxAnswer | None


class FeePart(Answer):
    """What one rule adds to the commission, or takes from it.

    A band has its rate, the sums billed that it lies between, and how much lies in it.
    """

    what: str
    fee: Money
    rate_bps: int | None
    on: Money | None
    from_: Money | None = Field(alias="from")
    up_to: Money | None


class CommissionPart(Answer):
    """Our commission; its parts sum to it. `forgone` is what a promotion takes off."""

    fee: Money
    forgone: Money
    schedule_id: IdText | None
    promotion_id: IdText | None
    billed_before: Money
    parts: list[FeePart]


class TaxPart(Answer):
    """The tax on our commission, on top of it."""

    amount: Money
    decision: TaxAnswer | None


class PromisePart(Answer):
    """What to post to /v1/fx/quotes, as it stands, so that the rate is promised for a release."""

    contract_id: IdText
    sold: str
    bought: str
    amount: Money


class ExchangePart(Answer):
    """What the payee's part becomes in his currency, and by which rate of which day."""

    mid: str
    rate: str
    margin_bps: int
    source: str
    as_of: str
    sold: Money
    bought: Money
    promise: PromisePart | None


class ArmPart(Answer):
    """What another payment, or the same without an experiment, would cost the payee."""

    commission: Money
    tax: Money
    payee_gets: Money


class FeesHold(Answer):
    """Until when the fees are as quoted."""

    until: TimeText | None
    promotion_until: TimeText | None
    words: str


class HoldsPart(Answer):
    """Until when each part holds."""

    fees: FeesHold
    history: str
    tax: str
    exchange: str | None


class QuoteAnswer(Answer):
    """The whole price of one payment, made by the functions that will post it."""

    kind: Literal["milestone", "hourly", "retainer", "bonus"]
    contract_id: IdText | None
    currency: str
    at: TimeText
    amount: Money
    client: ClientPart
    commission: CommissionPart
    tax: TaxPart
    exchange: ExchangePart | None
    payee_gets: Money
    next: ArmPart
    normal: ArmPart | None
    choices: list[dict[str, Any]]
    why: list[str]
    holds: HoldsPart
