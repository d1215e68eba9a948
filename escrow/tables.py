"""The tables of escrow as SQLAlchemy Core sees them; the migration `v0004_escrow` makes them.

Columns stand in the order of the rows in `escrow.model`; `escrow.store` builds its statements
from them.
"""

from typing import Final

from escrow.columns import COUNT, FLAG, ID, LENGTH, MINOR, TEXT, TEXTS, TIME, table

CONTRACT: Final = table(
    "contract",
    id=ID,
    client_id=ID,
    payee_id=ID,
    currency=TEXT,
    state=TEXT,
    version=COUNT,
    proposed_by=TEXT,
    commission_bps=COUNT,
    client_fee_bps=COUNT,
    security_hold_days=COUNT,
    auto_release_after=LENGTH,
    release_rule=TEXT,
    refund_reply_after=LENGTH,
    dormant_after=LENGTH,
    dormant_limit_minor=MINOR,
    free_change_rounds=COUNT,
    created_at=TIME,
    accepted_at=TIME,
    origin=TEXT,
    category=TEXT,
    payee_currency=TEXT,
    convert_at=TEXT,
    payee_schedule_id=ID,
    client_schedule_id=ID,
    promotion_schedule_id=ID,
    promotion_until=TIME,
    fx_margin_bps=COUNT,
)

TERM: Final = table("term", id=ID, contract_id=ID, kind=TEXT, title=TEXT, created_at=TIME)

SLOT: Final = table(
    "slot",
    id=ID,
    term_id=ID,
    contract_id=ID,
    currency=TEXT,
    seq=COUNT,
    proposed_by=TEXT,
    state=TEXT,
    version=COUNT,
    amount_minor=MINOR,
    created_at=TIME,
    active_at=TIME,
    due_at=TIME,
    funded_minor=MINOR,
    rolled_in_minor=MINOR,
    held_minor=MINOR,
    released_minor=MINOR,
    refunded_minor=MINOR,
    rolled_out_minor=MINOR,
    uncleared_minor=MINOR,
    fee_deferred_minor=MINOR,
    lot_count=COUNT,
    submission_no=COUNT,
    submission_count=COUNT,
    change_rounds=COUNT,
    confirmed_by=TEXT,
    notices=COUNT,
    disputed_minor=MINOR,
    returned_minor=MINOR,
    recalled_minor=MINOR,
    charged_back_minor=MINOR,
    contested_minor=MINOR,
)

SUBMISSION: Final = table(
    "submission",
    slot_id=ID,
    submission_no=COUNT,
    message_ref=TEXT,
    artefact_refs=TEXTS,
    submitted_at=TIME,
)

FUNDING: Final = table(
    "funding",
    id=ID,
    contract_id=ID,
    slot_id=ID,
    purpose=TEXT,
    method=TEXT,
    rail_account=TEXT,
    currency=TEXT,
    amount_minor=MINOR,
    client_fee_minor=MINOR,
    state=TEXT,
    version=COUNT,
    created_at=TIME,
    captured_minor=MINOR,
    refunded_minor=MINOR,
    rail_fee_minor=MINOR,
    rail_ref=TEXT,
    code=TEXT,
    release_id=ID,
    method_token=TEXT,
    charged_back_minor=MINOR,
    in_dispute=FLAG,
    quote_id=ID,
)

LOT: Final = table(
    "lot",
    slot_id=ID,
    seq=COUNT,
    funding_id=ID,
    amount_minor=MINOR,
    fee_minor=MINOR,
    released_before_minor=MINOR,
    gone_minor=MINOR,
    fee_gone_minor=MINOR,
)

RELEASE: Final = table(
    "release",
    id=ID,
    contract_id=ID,
    slot_id=ID,
    payee_id=ID,
    currency=TEXT,
    gross_minor=MINOR,
    commission_minor=MINOR,
    available_at=TIME,
    state=TEXT,
    taken_gross_minor=MINOR,
    taken_net_minor=MINOR,
    tax_minor=MINOR,
    paid_currency=TEXT,
    paid_minor=MINOR,
)

REFUND: Final = table(
    "refund",
    id=ID,
    slot_id=ID,
    funding_id=ID,
    method=TEXT,
    rail_account=TEXT,
    client_id=ID,
    currency=TEXT,
    amount_minor=MINOR,
    fee_minor=MINOR,
    state=TEXT,
    version=COUNT,
    created_at=TIME,
    rail_ref=TEXT,
    code=TEXT,
)

AMENDMENT: Final = table(
    "amendment",
    id=ID,
    contract_id=ID,
    slot_id=ID,
    to_slot_id=ID,
    new_amount_minor=MINOR,
    proposed_by=TEXT,
    slot_version=COUNT,
    state=TEXT,
    created_at=TIME,
)
