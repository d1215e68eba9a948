"""The shapes of answers about retainers and term amendments."""

from engine.api.answers import Answer, IdText, Money, OpenAnswer, TimeText


class RetainerActed(OpenAnswer):
    """What became of a retainer."""

    retainer_id: IdText
    contract_id: IdText
    state: str
    version: int


class DrawdownActed(OpenAnswer):
    """What became of a drawdown; `funded` says whether the client's money for it is with us."""

    drawdown_id: IdText
    period_id: IdText
    state: str
    version: int
    units: int
    amount: Money
    exceeds: bool
    due_at: TimeText
    funded: bool


class TermAmendmentActed(OpenAnswer):
    """What became of a term amendment."""

    amendment_id: IdText
    contract_id: IdText
    term_id: IdText
    action: str
    state: str
    version: int


class TermAmendmentAnswer(Answer):
    """An offer to end a term, or to change a retainer's price from a period on."""

    amendment_id: IdText
    contract_id: IdText
    term_id: IdText
    action: str
    proposed_by: str
    state: str
    version: int
    amount: Money | None
    hourly_rate: Money | None
    quota: int | None
    from_period: int | None
    created_at: TimeText
    signed_at: TimeText | None


class RollAnswer(Answer):
    """What of unused money rolls on."""

    cap: Money
    periods: int


class RetainerAnswer(Answer):
    """A retainer with what was agreed."""

    id: IdText
    contract_id: IdText
    proposed_by: str
    state: str
    version: int
    kind: str
    amount: Money
    every: str
    anchor_on: str
    zone: str
    unused: str
    rest: str
    roll: RollAnswer | None
    hourly_rate: Money | None
    quota: int | None
    overage: str
    overage_price: Money | None
    on_pause: str
    notice_days: int
    method: str
    created_at: TimeText
    accepted_at: TimeText | None
    cancel_asked_by: str | None
    pause_asked_by: str | None
    ends_at: TimeText | None


class PeriodAnswer(Answer):
    """A period of a retainer with its money: what it holds and what can still be drawn."""

    id: IdText
    retainer_id: IdText
    contract_id: IdText
    number: int
    first_on: str
    next_on: str
    starts_at: TimeText
    ends_at: TimeText
    state: str
    version: int
    charges: int
    funded: bool
    paused_at: TimeText | None
    paused_days: int
    amount: Money
    held: Money
    available: Money
    carried_in: Money
    released: Money
    refunded: Money
    carried_out: Money


class WorkedAnswer(Answer):
    """Hours of a drawdown."""

    started_at: TimeText
    ended_at: TimeText


class DrawdownAnswer(Answer):
    """What was drawn; what exceeded the period has a slot of its own once it is charged."""

    id: IdText
    period_id: IdText
    seq: int
    units: int
    amount: Money
    message_ref: str
    state: str
    version: int
    exceeds: bool
    slot_id: IdText | None
    release_id: IdText | None
    charges: int
    submitted_at: TimeText
    due_at: TimeText
    hours: list[WorkedAnswer]
