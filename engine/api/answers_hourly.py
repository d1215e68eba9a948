"""The shapes of what is answered about hours: terms, weeks, entries, lines, claims on clients."""

from engine.api.answers import Answer, IdText, Money, OpenAnswer, TimeText


class HourlyTermActed(OpenAnswer):
    """What became of an hourly term."""

    term_id: IdText
    contract_id: IdText
    state: str
    version: int
    limit_minutes: int


class HourlyContractActed(OpenAnswer):
    """A contract on hours that was offered, with its term."""

    contract_id: IdText
    term_id: IdText
    state: str
    version: int


class EntryTold(OpenAnswer):
    """A time entry, and whether it is protected as far as that is known now."""

    entry_id: IdText
    state: str
    version: int
    started_at: TimeText
    ended_at: TimeText
    minutes: int
    rate: Money
    billable_minutes: int
    over_limit: bool
    funded: bool
    protected: bool
    unprotected_because: str


class TimeLogged(HourlyTermActed):
    """Hours that were kept."""

    entries: list[EntryTold]


class RunActed(OpenAnswer):
    """What became of time that runs; once it is stopped, the entries it was worth."""

    run_id: IdText
    term_id: IdText
    contract_id: IdText
    state: str
    version: int
    started_at: TimeText
    ended_at: TimeText | None


class LineDisputeActed(OpenAnswer):
    """What became of a disputed line."""

    line_dispute_id: IdText
    week_id: IdText
    line_no: int
    slot_id: IdText
    state: str
    version: int
    frozen: Money
    protected: Money
    refunded: Money
    proposed_refund: Money | None
    due_at: TimeText | None


class WeekActed(OpenAnswer):
    """What became of a worked week."""

    week_id: IdText
    term_id: IdText
    contract_id: IdText
    state: str
    version: int
    amount: Money


class RateAnswer(Answer):
    """What an hour costs that starts at `from_at` or later."""

    rate: Money
    from_at: TimeText


class HourlyTermAnswer(Answer):
    """What two parties agreed on hours.

    After `paused_at` nothing is logged until the client's payment is made; after `ended_at` nothing
    at all.
    """

    id: IdText
    contract_id: IdText
    payee_id: IdText
    currency: str
    state: str
    version: int
    proposed_by: str
    week_zone: str
    activity_floor: int
    method: str
    collect: str
    unused: str
    limit_minutes: int
    rates: list[RateAnswer]
    method_failed: bool
    paused_at: TimeText | None
    ended_at: TimeText | None
    created_at: TimeText
    accepted_at: TimeText | None


class WeekAnswer(Answer):
    """A worked week; `amount` is that of its invoice."""

    id: IdText
    term_id: IdText
    contract_id: IdText
    slot_id: IdText | None
    state: str
    version: int
    starts_at: TimeText
    ends_at: TimeText
    invoice_at: TimeText
    review_ends_at: TimeText
    limit_minutes: int
    amount: Money
    protected: Money
    advanced: Money
    charge_attempts: int
    code: str


class WeekLineAnswer(Answer):
    """One line of an invoice: all minutes of one rate, rounded once."""

    line_no: int
    rate: Money
    late: bool
    minutes: int
    amount: Money
    protected_minutes: int
    protected: Money


class WeekClockAnswer(Answer):
    """What happens by itself, and when."""

    kind: str
    due_at: TimeText
    consequence: str


class RunAnswer(Answer):
    """Time that runs, or ran."""

    id: IdText
    term_id: IdText
    contract_id: IdText
    payee_id: IdText
    state: str
    version: int
    started_at: TimeText
    ended_at: TimeText | None
    memo: str
    activity: int


class LineDisputeAnswer(Answer):
    """A line of an invoice that the client disputes: what is frozen, and who has the next word."""

    id: IdText
    week_id: IdText
    line_no: int
    slot_id: IdText
    contract_id: IdText
    state: str
    version: int
    frozen: Money
    protected: Money
    reason: str
    reply: str
    opened_at: TimeText
    served_at: TimeText | None
    channel: str
    proof: str
    due_at: TimeText | None
    proposed_refund: Money | None
    proposed_by: IdText | None
    approved_by: IdText | None
    refunded: Money
    ended_at: TimeText | None


class ClientClaimAnswer(Answer):
    """What a client owes for hours that the platform paid in advance."""

    week_id: IdText
    client_id: IdText
    state: str
    version: int
    hours: Money
    client_fee: Money
    total: Money
    payee_was_paid: Money
    made_at: TimeText
    write_off_proposed_by: IdText | None
    write_off_approved_by: IdText | None


class DepositAnswer(Answer):
    """What the client paid ahead for a week: asked for, there now, and what of it is worked."""

    asked: Money
    held: Money
    worked: Money
    covers_all_hours: bool


class WeekInFull(WeekAnswer):
    """A week with its invoice, what is logged so far, and what happens if nobody acts."""

    lines: list[WeekLineAnswer]
    disputed_lines: list[LineDisputeAnswer]
    logged_minutes: int
    billable_minutes: int
    claim: ClientClaimAnswer | None
    deposit: DepositAnswer | None
    if_nothing_happens: list[WeekClockAnswer]


class TimeEntryAnswer(Answer):
    """Hours that were logged; until the invoice, what is billable and protected as it looks now.

    `unprotected_because` is the first reason that fails; empty for protected hours. `funded` is
    false where the client pays ahead and his deposit does not cover all of these hours.
    """

    id: IdText
    term_id: IdText
    contract_id: IdText
    week_id: IdText | None
    state: str
    version: int
    started_at: TimeText
    ended_at: TimeText
    minutes: int
    billable_minutes: int
    source: str
    memo: str
    activity: int
    rate: Money
    over_limit: bool
    funded: bool
    protected: bool
    unprotected_because: str
    line_no: int | None
    logged_at: TimeText
