"""The shapes of what is answered about exchange: rates, quotes, conversions, what stands open."""

from typing import Annotated

from pydantic import Field

from engine.api.answers import Answer, IdText, Money, OpenAnswer, TimeText

RateText = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]{1,10})?$")]
DayText = Annotated[str, Field(json_schema_extra={"format": "date"})]


class RateAnswer(Answer):
    """How much of `bought` a unit of `sold` is, in the middle; `as_of` is the source's own day."""

    source: str
    sold: str
    bought: str
    rate: RateText
    as_of: DayText


class RatesAnswer(Answer):
    """The newest rates of a source, and our margin where the platform asks."""

    source: str
    on: DayText
    rates: list[RateAnswer]


class PolicyAnswer(Answer):
    """How the tenant exchanges; `version` is null until a second person approved it."""

    policy_id: IdText
    version: int | None
    source: str
    margin_bps: int
    margins: dict[str, int]
    lifetime_s: int
    reporting: str
    tolerance_bps: int
    limits: list[Money]
    reason: str
    prepared_by: IdText
    approved_by: IdText | None


class TakenAnswer(OpenAnswer):
    """How many rates were new, and how many stood already."""

    taken: int
    known: int


class FxQuoteAnswer(Answer):
    """Two amounts that are promised once, until `expires_at`; with a contract, for its release."""

    quote_id: IdText
    party_id: IdText
    contract_id: IdText | None
    sold: Money
    bought: Money
    fixed: str
    mid: RateText
    rate: RateText
    margin_bps: int
    source: str
    as_of: DayText
    state: str
    quoted_at: TimeText
    expires_at: TimeText


class FillAnswer(Answer):
    """What the provider gave; `margin` is ours by the deal, `loss` what of it the market took."""

    provider: str
    provider_ref: str
    filled: Money
    margin: Money
    loss: Money
    gap: Money
    filled_at: TimeText


class ConversionAnswer(Answer):
    """Money that changed its currency; `fill` is null until the provider has filled it."""

    conversion_id: IdText
    kind: str
    subject: str
    party_id: IdText
    sold: Money
    bought: Money
    mid: RateText
    rate: RateText
    margin_bps: int
    source: str
    as_of: DayText
    quote_id: IdText | None
    state: str
    at: TimeText
    fill: FillAnswer | None


class ExposureRow(Answer):
    """What of one currency waits for its fill; `explained` is false where the books say other."""

    currency: str
    open: Money
    bridge: Money
    conversions: int
    oldest_at: TimeText | None
    oldest_s: int
    limit: Money | None
    over_limit: bool
    explained: bool


class ExposureAnswer(Answer):
    """Our market risk: all that was promised to customers and not yet filled."""

    at: TimeText
    currencies: list[ExposureRow]


class RevaluedRow(Answer):
    """One currency: what it is worth, what it was carried at, and the gain (a loss if negative)."""

    currency: str
    balance: Money
    rate: RateText
    source: str
    as_of: DayText
    worth: Money
    carried: Money
    gain: Money


class RevaluedAnswer(Answer):
    """The revaluation of a day, in the reporting currency."""

    on: DayText
    reporting: str
    revalued: list[RevaluedRow]


class RevaluationReversedAnswer(Answer):
    """What was taken back of a day."""

    on: DayText
    reversed: list[RevaluedRow]
