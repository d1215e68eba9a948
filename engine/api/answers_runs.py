"""The shapes of what is answered about payout runs, schedules, instant payouts and bank files."""

from typing import Annotated, Literal

from pydantic import Field

from engine.api.answers import Answer, IdText, Money, TimeText

DayText = Annotated[str, Field(json_schema_extra={"format": "date"})]
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
RunStateText = Literal["prepared", "approved", "executing", "stopped", "done", "withdrawn"]


class CountedAnswer(Answer):
    """So many payees, and what they come to."""

    count: int
    amount: Money


class ProgressAnswer(Answer):
    """How far a run is."""

    planned: CountedAnswer
    left_out: CountedAnswer
    requested: CountedAnswer
    dropped: CountedAnswer


class PayoutRunAnswer(Answer):
    """A payout run; `content` is the hash of what it plans, which an approval names.

    `progress` and `reasons` (how many payees for which code) come with a single run.
    """

    run_id: IdText
    currency: str
    kind: Literal["scheduled", "everyone"]
    due_from_on: DayText
    cut_off_on: DayText
    state: RunStateText
    version: int
    item_count: int
    planned_count: int
    planned: Money
    fees: Money
    limit: Money
    content: Hash
    reason: str
    prepared_by: IdText
    prepared_at: TimeText
    approved_by: IdText | None
    approved_at: TimeText | None
    started_at: TimeText | None
    ended_at: TimeText | None
    progress: ProgressAnswer | None = None
    reasons: dict[str, int] | None = None


class PayoutRunItemAnswer(Answer):
    """A payee of a run: what he is paid, or `why` not."""

    payee_id: IdText
    method_id: IdText | None
    amount: Money
    fee: Money
    state: Literal["planned", "left_out", "requested", "dropped"]
    why: str
    payout_id: IdText | None


class PreviewAnswer(Answer):
    """What a run would plan now: `code` is how its preparation would be answered."""

    code: str
    run: PayoutRunAnswer | None
    items: list[PayoutRunItemAnswer]


class PayoutScheduleAnswer(Answer):
    """One setting; without party it is the default of all."""

    schedule_id: IdText
    party_id: IdText | None
    currency: str
    valid_from_on: DayText
    cadence: Literal["manual", "daily", "weekly", "twice_a_month", "monthly"]
    weekday: int | None
    day: int | None
    second_day: int | None
    minimum: Money
    method_id: IdText | None
    set_at: TimeText


class NextRunAnswer(Answer):
    """When a payee is next paid in a currency, and what that comes to if all stays as it is."""

    currency: str
    schedule: PayoutScheduleAnswer | None
    next_run_on: DayText | None
    available: Money
    consequence: str


class PartySchedulesAnswer(Answer):
    """By currency, what counts for a party."""

    party_id: IdText
    items: list[NextRunAnswer]


class PayoutRunLimitAnswer(Answer):
    """Up to what sum scheduled runs are paid without a person."""

    limit_id: IdText
    currency: str
    limit: Money


class InstantQuoteAnswer(Answer):
    """What an instant payout costs and leaves, beside an ordinary one."""

    amount: Money
    fee: Money
    net: Money
    ordinary_fee: Money


class InstantFeeAnswer(Answer):
    """What instant payouts cost from a time on."""

    currency: str
    valid_from: TimeText
    rate_bps: int
    fixed: Money
    smallest: Money
    largest: Money | None
    is_on_top: bool


class InstantMethodAnswer(Answer):
    """Whether a method may be paid at once."""

    method_id: IdText
    may_be_instant: bool


class BankAccountAnswer(Answer):
    """A bank account: its number is sealed, the last four characters are shown."""

    account_id: IdText
    party_id: IdText
    country: str
    last4: str
    token: str
    serves: str
    currency: str | None
    added_at: TimeText
    ended_at: TimeText | None


class BankFileAnswer(Answer):
    """A file of payments, and who made and released it."""

    file_id: IdText
    message_id: str
    format: Literal["pain.001.001.03", "pain.001.001.09", "csv"]
    account_id: IdText
    execute_on: DayText
    order_count: int
    control_sum: Money
    content: Hash
    state: Literal["made", "released", "withdrawn"]
    made_by: IdText
    made_at: TimeText
    decided_by: IdText | None
    decided_at: TimeText | None
