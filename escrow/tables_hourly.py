"""The tables of hours as SQLAlchemy Core sees them; the migration `v0015_hourly` makes them.

Columns stand in the order of the rows in `escrow.model_hourly`.
"""

from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Integer, Table, Text, Uuid
from sqlalchemy.types import TypeEngine

from escrow.tables import METADATA

_ID: Final = Uuid()
_TEXT: Final = Text()
_MINOR: Final = BigInteger()
_COUNT: Final = Integer()
_TIME: Final = DateTime(timezone=True)
_FLAG: Final = Boolean()


def _table(name: str, **columns: TypeEngine[Any]) -> Table:
    return Table(name, METADATA, *(Column(column, kind) for column, kind in columns.items()))


HOURLY_TERM: Final = _table(
    "hourly_term",
    term_id=_ID,
    contract_id=_ID,
    payee_id=_ID,
    currency=_TEXT,
    state=_TEXT,
    version=_COUNT,
    proposed_by=_TEXT,
    week_zone=_TEXT,
    activity_floor=_COUNT,
    method=_TEXT,
    method_token=_TEXT,
    rail_account=_TEXT,
    limit_minutes=_COUNT,
    method_failed=_FLAG,
    created_at=_TIME,
    accepted_at=_TIME,
)

HOURLY_RATE: Final = _table(
    "hourly_rate", term_id=_ID, seq=_COUNT, rate_minor=_MINOR, from_at=_TIME
)

WORK_WEEK: Final = _table(
    "work_week",
    id=_ID,
    term_id=_ID,
    contract_id=_ID,
    slot_id=_ID,
    starts_at=_TIME,
    ends_at=_TIME,
    invoice_at=_TIME,
    review_ends_at=_TIME,
    state=_TEXT,
    version=_COUNT,
    limit_minutes=_COUNT,
    amount_minor=_MINOR,
    protected_minor=_MINOR,
    advanced_minor=_MINOR,
    charge_attempts=_COUNT,
    code=_TEXT,
)

TIME_ENTRY: Final = _table(
    "time_entry",
    id=_ID,
    term_id=_ID,
    contract_id=_ID,
    payee_id=_ID,
    week_starts_at=_TIME,
    week_id=_ID,
    started_at=_TIME,
    ended_at=_TIME,
    source=_TEXT,
    memo=_TEXT,
    activity=_COUNT,
    rate_minor=_MINOR,
    state=_TEXT,
    version=_COUNT,
    method_verified=_FLAG,
    identity_verified=_FLAG,
    payee_clear=_FLAG,
    logged_at=_TIME,
    billed_minutes=_COUNT,
    over_limit=_FLAG,
    is_protected=_FLAG,
    reason=_TEXT,
    line_no=_COUNT,
)

WEEK_LINE: Final = _table(
    "week_line",
    week_id=_ID,
    line_no=_COUNT,
    rate_minor=_MINOR,
    is_late=_FLAG,
    minutes=_COUNT,
    amount_minor=_MINOR,
    protected_minutes=_COUNT,
    protected_minor=_MINOR,
)

CLIENT_CLAIM: Final = _table(
    "client_claim",
    week_id=_ID,
    client_id=_ID,
    currency=_TEXT,
    gross_minor=_MINOR,
    commission_minor=_MINOR,
    fee_minor=_MINOR,
    state=_TEXT,
    version=_COUNT,
    made_at=_TIME,
    proposed_by=_ID,
    approved_by=_ID,
)
