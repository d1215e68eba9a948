"""The tables of hours as SQLAlchemy Core sees them; the migrations v0015 and v0020 make them.

Columns stand in the order of the rows in `escrow.model_hourly`.
"""

from typing import Final

from escrow.columns import COUNT, FLAG, ID, MINOR, TEXT, TIME, table

HOURLY_TERM: Final = table(
    "hourly_term",
    term_id=ID,
    contract_id=ID,
    payee_id=ID,
    currency=TEXT,
    state=TEXT,
    version=COUNT,
    proposed_by=TEXT,
    week_zone=TEXT,
    activity_floor=COUNT,
    method=TEXT,
    method_token=TEXT,
    rail_account=TEXT,
    limit_minutes=COUNT,
    method_failed=FLAG,
    created_at=TIME,
    accepted_at=TIME,
    collect=TEXT,
    unused=TEXT,
    paused_at=TIME,
    ended_at=TIME,
)

HOURLY_RATE: Final = table("hourly_rate", term_id=ID, seq=COUNT, rate_minor=MINOR, from_at=TIME)

WORK_WEEK: Final = table(
    "work_week",
    id=ID,
    term_id=ID,
    contract_id=ID,
    slot_id=ID,
    starts_at=TIME,
    ends_at=TIME,
    invoice_at=TIME,
    review_ends_at=TIME,
    state=TEXT,
    version=COUNT,
    limit_minutes=COUNT,
    amount_minor=MINOR,
    protected_minor=MINOR,
    advanced_minor=MINOR,
    charge_attempts=COUNT,
    code=TEXT,
)

TIME_ENTRY: Final = table(
    "time_entry",
    id=ID,
    term_id=ID,
    contract_id=ID,
    payee_id=ID,
    week_starts_at=TIME,
    week_id=ID,
    started_at=TIME,
    ended_at=TIME,
    source=TEXT,
    memo=TEXT,
    activity=COUNT,
    rate_minor=MINOR,
    state=TEXT,
    version=COUNT,
    method_verified=FLAG,
    identity_verified=FLAG,
    payee_clear=FLAG,
    logged_at=TIME,
    billed_minutes=COUNT,
    over_limit=FLAG,
    is_protected=FLAG,
    reason=TEXT,
    line_no=COUNT,
)

WEEK_LINE: Final = table(
    "week_line",
    week_id=ID,
    line_no=COUNT,
    rate_minor=MINOR,
    is_late=FLAG,
    minutes=COUNT,
    amount_minor=MINOR,
    protected_minutes=COUNT,
    protected_minor=MINOR,
)

CLIENT_CLAIM: Final = table(
    "client_claim",
    week_id=ID,
    client_id=ID,
    currency=TEXT,
    gross_minor=MINOR,
    commission_minor=MINOR,
    fee_minor=MINOR,
    state=TEXT,
    version=COUNT,
    made_at=TIME,
    proposed_by=ID,
    approved_by=ID,
)

LINE_DISPUTE: Final = table(
    "line_dispute",
    id=ID,
    week_id=ID,
    line_no=COUNT,
    slot_id=ID,
    contract_id=ID,
    currency=TEXT,
    amount_minor=MINOR,
    protected_minor=MINOR,
    opened_by=ID,
    reason=TEXT,
    opened_at=TIME,
    state=TEXT,
    version=COUNT,
    served_at=TIME,
    served_by=ID,
    channel=TEXT,
    proof=TEXT,
    due_at=TIME,
    reply=TEXT,
    proposed_refund_minor=MINOR,
    proposed_by=ID,
    approved_by=ID,
    refunded_minor=MINOR,
    ended_at=TIME,
)

TIME_RUN: Final = table(
    "time_run",
    id=ID,
    term_id=ID,
    contract_id=ID,
    payee_id=ID,
    started_at=TIME,
    memo=TEXT,
    activity=COUNT,
    state=TEXT,
    version=COUNT,
    ended_at=TIME,
)
