"""The tables of escrow as SQLAlchemy Core sees them; the migration `v0004_escrow` makes them.

Columns stand in the order of the rows in `escrow.model`; `escrow.store` builds its statements
from them.
"""

from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    Integer,
    Interval,
    MetaData,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.types import TypeEngine

METADATA: Final = MetaData()

_ID: Final = Uuid()
_TEXT: Final = Text()
_MINOR: Final = BigInteger()
_COUNT: Final = Integer()
_TIME: Final = DateTime(timezone=True)
_LENGTH: Final = Interval()


def _table(name: str, **columns: TypeEngine[Any]) -> Table:
    return Table(name, METADATA, *(Column(column, kind) for column, kind in columns.items()))


CONTRACT: Final = _table(
    "contract",
    id=_ID,
    client_id=_ID,
    payee_id=_ID,
    currency=_TEXT,
    state=_TEXT,
    version=_COUNT,
    proposed_by=_TEXT,
    commission_bps=_COUNT,
    client_fee_bps=_COUNT,
    security_hold_days=_COUNT,
    auto_release_after=_LENGTH,
    release_rule=_TEXT,
    refund_reply_after=_LENGTH,
    dormant_after=_LENGTH,
    dormant_limit_minor=_MINOR,
    free_change_rounds=_COUNT,
    created_at=_TIME,
    accepted_at=_TIME,
)

TERM: Final = _table("term", id=_ID, contract_id=_ID, kind=_TEXT, title=_TEXT, created_at=_TIME)

SLOT: Final = _table(
    "slot",
    id=_ID,
    term_id=_ID,
    contract_id=_ID,
    currency=_TEXT,
    seq=_COUNT,
    proposed_by=_TEXT,
    state=_TEXT,
    version=_COUNT,
    amount_minor=_MINOR,
    created_at=_TIME,
    active_at=_TIME,
    due_at=_TIME,
    funded_minor=_MINOR,
    rolled_in_minor=_MINOR,
    held_minor=_MINOR,
    released_minor=_MINOR,
    refunded_minor=_MINOR,
    rolled_out_minor=_MINOR,
    uncleared_minor=_MINOR,
    fee_deferred_minor=_MINOR,
    lot_count=_COUNT,
    submission_no=_COUNT,
    submission_count=_COUNT,
    change_rounds=_COUNT,
    confirmed_by=_TEXT,
    notices=_COUNT,
    disputed_minor=_MINOR,
    returned_minor=_MINOR,
)

SUBMISSION: Final = _table(
    "submission",
    slot_id=_ID,
    submission_no=_COUNT,
    message_ref=_TEXT,
    artefact_refs=ARRAY(_TEXT),
    submitted_at=_TIME,
)

FUNDING: Final = _table(
    "funding",
    id=_ID,
    contract_id=_ID,
    slot_id=_ID,
    purpose=_TEXT,
    method=_TEXT,
    rail_account=_TEXT,
    currency=_TEXT,
    amount_minor=_MINOR,
    client_fee_minor=_MINOR,
    state=_TEXT,
    version=_COUNT,
    created_at=_TIME,
    captured_minor=_MINOR,
    refunded_minor=_MINOR,
    rail_fee_minor=_MINOR,
    rail_ref=_TEXT,
    code=_TEXT,
    release_id=_ID,
    method_token=_TEXT,
)

LOT: Final = _table(
    "lot",
    slot_id=_ID,
    seq=_COUNT,
    funding_id=_ID,
    amount_minor=_MINOR,
    fee_minor=_MINOR,
    released_before_minor=_MINOR,
    gone_minor=_MINOR,
    fee_gone_minor=_MINOR,
)

RELEASE: Final = _table(
    "release",
    id=_ID,
    contract_id=_ID,
    slot_id=_ID,
    payee_id=_ID,
    currency=_TEXT,
    gross_minor=_MINOR,
    commission_minor=_MINOR,
    available_at=_TIME,
    state=_TEXT,
)

REFUND: Final = _table(
    "refund",
    id=_ID,
    slot_id=_ID,
    funding_id=_ID,
    method=_TEXT,
    rail_account=_TEXT,
    client_id=_ID,
    currency=_TEXT,
    amount_minor=_MINOR,
    fee_minor=_MINOR,
    state=_TEXT,
    version=_COUNT,
    created_at=_TIME,
    rail_ref=_TEXT,
    code=_TEXT,
)

AMENDMENT: Final = _table(
    "amendment",
    id=_ID,
    contract_id=_ID,
    slot_id=_ID,
    to_slot_id=_ID,
    new_amount_minor=_MINOR,
    proposed_by=_TEXT,
    slot_version=_COUNT,
    state=_TEXT,
    created_at=_TIME,
)
