"""Chargebacks: what the client's bank takes back, from whom, and how it ends.

A payment gives back at most what it brought, by refunds and chargebacks together; a balance
transaction is booked once; what is away is the sum of what was taken; evidence goes out only after
the payee was heard, before the deadline. All of it is held here, whatever the program says.

Revision ID: 0019
"""

from pathlib import Path

from escrow.machine import FUNDINGS
from escrow.machine_chargeback import CHARGEBACKS
from escrow.machine_claim import CLAIMS
from escrow.machine_dispute import DISPUTES
from escrow.machine_slot import SLOTS
from migrations.guards import append_only, learn_steps, moves_by_its_machine, not_deleted
from migrations.statements import run

SQL = Path(__file__).parents[1] / "sql"

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

MONEY = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

ALTER TABLE slot
    ADD COLUMN recalled_minor bigint NOT NULL DEFAULT 0
        CONSTRAINT slot_recalled_not_negative CHECK (recalled_minor >= 0),
    ADD COLUMN charged_back_minor bigint NOT NULL DEFAULT 0
        CONSTRAINT slot_charged_back_not_negative CHECK (charged_back_minor >= 0),
    DROP CONSTRAINT slot_money_adds_up,
    ADD CONSTRAINT slot_money_adds_up CHECK (
        funded_minor + rolled_in_minor = held_minor + recalled_minor + released_minor
            + refunded_minor + rolled_out_minor + charged_back_minor
    ),
    DROP CONSTRAINT slot_holds_money_in_its_states,
    ADD CONSTRAINT slot_holds_money_in_its_states CHECK (
        (held_minor + recalled_minor > 0) = (state IN (
            'funded', 'submitted', 'changes_requested', 'refund_requested', 'dormant', 'disputed'
        ))
    ),
    DROP CONSTRAINT slot_frozen_while_disputed,
    ADD CONSTRAINT slot_frozen_while_disputed CHECK (
        (disputed_minor = 0 OR state = 'disputed')
        AND (state <> 'disputed' OR disputed_minor + recalled_minor > 0)
    );

ALTER TABLE funding
    ADD COLUMN charged_back_minor bigint NOT NULL DEFAULT 0
        CONSTRAINT funding_charged_back_not_negative CHECK (charged_back_minor >= 0),
    ADD COLUMN in_dispute boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT funding_returned_once
        CHECK (refunded_minor + charged_back_minor <= captured_minor);

ALTER TABLE claim
    ADD COLUMN relieved_minor bigint NOT NULL DEFAULT 0
        CONSTRAINT claim_relieved_within_amount
            CHECK (relieved_minor BETWEEN 0 AND amount_minor);

ALTER TABLE dispute
    DROP CONSTRAINT dispute_resolved_in_its_states,
    ADD CONSTRAINT dispute_resolved_in_its_states CHECK (state = 'withdrawn'
        OR (resolution IS NOT NULL)
            = (state IN ('conceded', 'defaulted', 'settled', 'decided', 'executed')));

ALTER TABLE notice ADD COLUMN facts jsonb NOT NULL DEFAULT '{}';

ALTER TABLE rail_operation
    DROP CONSTRAINT rail_operation_kind_is_known,
    ADD CONSTRAINT rail_operation_kind_is_known CHECK (
        kind IN ('fund', 'refund', 'payout', 'bank_transfer', 'top_up', 'evidence'));
"""

CHARGEBACK = """
CREATE TABLE chargeback (
    id uuid PRIMARY KEY,
    funding_id uuid NOT NULL CONSTRAINT chargeback_funding_is_known REFERENCES funding (id),
    contract_id uuid NOT NULL,
    currency char(3) NOT NULL,
    rail text NOT NULL CONSTRAINT chargeback_rail_is_named CHECK (rail <> ''),
    rail_ref text NOT NULL CONSTRAINT chargeback_is_named CHECK (rail_ref <> ''),
    reason text NOT NULL CONSTRAINT chargeback_reason_is_short CHECK (length(reason) <= 500),
    amount_minor bigint NOT NULL
        CONSTRAINT chargeback_amount_is_positive CHECK (amount_minor > 0),
    opened_at timestamptz NOT NULL,
    state text NOT NULL CONSTRAINT chargeback_state_is_known CHECK (state IN (
        'warning', 'closed', 'needs_response', 'under_review', 'won', 'lost', 'prevented',
        'appeal_open', 'appeal_under_review', 'appeal_won', 'appeal_lost'
    )),
    state_at timestamptz NOT NULL,
    version integer NOT NULL CONSTRAINT chargeback_version_counts CHECK (version >= 1),
    decision text CONSTRAINT chargeback_decision_is_known CHECK (decision IN (
        'closed', 'won', 'lost', 'prevented', 'appeal_won', 'appeal_lost'
    )),
    decided_at timestamptz,
    ahead_minor bigint NOT NULL
        CONSTRAINT chargeback_ahead_not_negative CHECK (ahead_minor >= 0),
    due_by timestamptz,
    told_at timestamptz,
    heard_by timestamptz,
    answered_at timestamptz,
    submitted_at timestamptz,
    is_settled boolean NOT NULL,
    CONSTRAINT chargeback_heard_once UNIQUE (rail, rail_ref),
    CONSTRAINT chargeback_currency_is_its_contracts
        FOREIGN KEY (contract_id, currency) REFERENCES contract (id, currency),
    CONSTRAINT chargeback_decided_at_a_time CHECK ((decision IS NULL) = (decided_at IS NULL)),
    CONSTRAINT chargeback_told_with_a_window CHECK ((told_at IS NULL) = (heard_by IS NULL)),
    CONSTRAINT chargeback_settled_once_decided CHECK (NOT is_settled OR decision IS NOT NULL)
);
CREATE INDEX chargeback_by_funding ON chargeback (funding_id);
CREATE INDEX chargeback_by_contract ON chargeback (contract_id);

CREATE TABLE chargeback_movement (
    rail text NOT NULL,
    rail_ref text NOT NULL CONSTRAINT chargeback_movement_is_named CHECK (rail_ref <> ''),
    chargeback_id uuid NOT NULL
        CONSTRAINT chargeback_movement_chargeback_is_known REFERENCES chargeback (id),
    direction text NOT NULL CONSTRAINT chargeback_movement_direction_is_known
        CHECK (direction IN ('withdrawn', 'reinstated')),
    amount_minor bigint NOT NULL
        CONSTRAINT chargeback_movement_is_positive CHECK (amount_minor > 0),
    disputed_minor bigint NOT NULL
        CONSTRAINT chargeback_movement_stands_for_something CHECK (disputed_minor > 0),
    fee_minor bigint NOT NULL
        CONSTRAINT chargeback_movement_fee_not_negative CHECK (fee_minor >= 0),
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT chargeback_movement_booked_once PRIMARY KEY (rail, rail_ref)
);
CREATE INDEX chargeback_movement_by_chargeback ON chargeback_movement (chargeback_id);

CREATE TABLE chargeback_piece (
    chargeback_id uuid NOT NULL
        CONSTRAINT chargeback_piece_chargeback_is_known REFERENCES chargeback (id),
    piece_no integer NOT NULL CONSTRAINT chargeback_piece_counts CHECK (piece_no >= 1),
    movement_ref text NOT NULL,
    source text NOT NULL CONSTRAINT chargeback_piece_source_is_known
        CHECK (source IN ('held', 'released', 'tip', 'beyond')),
    slot_id uuid CONSTRAINT chargeback_piece_slot_is_known REFERENCES slot (id),
    release_id uuid CONSTRAINT chargeback_piece_release_is_known REFERENCES release (id),
    lot_seq integer,
    money_minor bigint NOT NULL
        CONSTRAINT chargeback_piece_money_not_negative CHECK (money_minor >= 0),
    fee_minor bigint NOT NULL
        CONSTRAINT chargeback_piece_fee_not_negative CHECK (fee_minor >= 0),
    frozen_minor bigint NOT NULL CONSTRAINT chargeback_piece_frozen_is_money
        CHECK (frozen_minor BETWEEN 0 AND money_minor),
    back_money_minor bigint NOT NULL CONSTRAINT chargeback_piece_back_within_money
        CHECK (back_money_minor BETWEEN 0 AND money_minor),
    back_fee_minor bigint NOT NULL CONSTRAINT chargeback_piece_back_within_fee
        CHECK (back_fee_minor BETWEEN 0 AND fee_minor),
    is_lost boolean NOT NULL,
    recovered_minor bigint NOT NULL CONSTRAINT chargeback_piece_recovered_within_money
        CHECK (recovered_minor BETWEEN 0 AND money_minor),
    paid_back_minor bigint NOT NULL
        CONSTRAINT chargeback_piece_paid_back_not_negative CHECK (paid_back_minor >= 0),
    claim_id uuid CONSTRAINT chargeback_piece_claim_is_known REFERENCES claim (id),
    PRIMARY KEY (chargeback_id, piece_no),
    CONSTRAINT chargeback_piece_is_something CHECK (money_minor + fee_minor > 0),
    CONSTRAINT chargeback_piece_has_its_place CHECK (
        (slot_id IS NOT NULL) = (source IN ('held', 'released'))
        AND (lot_seq IS NOT NULL) = (source IN ('held', 'released'))
        AND (release_id IS NOT NULL) = (source = 'tip')),
    CONSTRAINT chargeback_piece_lot_is_known
        FOREIGN KEY (slot_id, lot_seq) REFERENCES lot (slot_id, seq)
);
CREATE INDEX chargeback_piece_by_slot ON chargeback_piece (slot_id) WHERE slot_id IS NOT NULL;
CREATE INDEX chargeback_piece_by_release ON chargeback_piece (release_id)
    WHERE release_id IS NOT NULL;

CREATE TABLE chargeback_reserve (
    chargeback_id uuid NOT NULL,
    reserve_no integer NOT NULL CONSTRAINT chargeback_reserve_counts CHECK (reserve_no >= 1),
    piece_no integer NOT NULL,
    release_id uuid CONSTRAINT chargeback_reserve_release_is_known REFERENCES release (id),
    amount_minor bigint NOT NULL
        CONSTRAINT chargeback_reserve_is_positive CHECK (amount_minor > 0),
    gross_minor bigint NOT NULL
        CONSTRAINT chargeback_reserve_gross_not_negative CHECK (gross_minor >= 0),
    lifted_minor bigint NOT NULL
        CONSTRAINT chargeback_reserve_lifted_not_negative CHECK (lifted_minor >= 0),
    taken_minor bigint NOT NULL
        CONSTRAINT chargeback_reserve_taken_not_negative CHECK (taken_minor >= 0),
    PRIMARY KEY (chargeback_id, reserve_no),
    CONSTRAINT chargeback_reserve_piece_is_known
        FOREIGN KEY (chargeback_id, piece_no) REFERENCES chargeback_piece (chargeback_id, piece_no),
    CONSTRAINT chargeback_reserve_ends_once CHECK (lifted_minor + taken_minor <= amount_minor)
);

CREATE TABLE chargeback_hold (
    chargeback_id uuid NOT NULL
        CONSTRAINT chargeback_hold_chargeback_is_known REFERENCES chargeback (id),
    slot_id uuid NOT NULL CONSTRAINT chargeback_hold_slot_is_known REFERENCES slot (id),
    hold_id uuid PRIMARY KEY CONSTRAINT chargeback_hold_is_known REFERENCES hold (id),
    is_lifted boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX chargeback_holds_a_slot_once ON chargeback_hold (chargeback_id, slot_id)
    WHERE NOT is_lifted;

CREATE TABLE chargeback_notice (
    chargeback_id uuid NOT NULL
        CONSTRAINT chargeback_notice_chargeback_is_known REFERENCES chargeback (id),
    notice_no integer NOT NULL CONSTRAINT chargeback_notice_counts CHECK (notice_no >= 1),
    channel text NOT NULL
        CONSTRAINT chargeback_notice_channel_is_named CHECK (length(channel) BETWEEN 1 AND 100),
    proof text NOT NULL
        CONSTRAINT chargeback_notice_has_proof CHECK (length(proof) BETWEEN 1 AND 500),
    told_by uuid NOT NULL,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (chargeback_id, notice_no)
);

CREATE TABLE chargeback_statement (
    chargeback_id uuid NOT NULL
        CONSTRAINT chargeback_statement_chargeback_is_known REFERENCES chargeback (id),
    statement_no integer NOT NULL
        CONSTRAINT chargeback_statement_counts CHECK (statement_no >= 1),
    filed_by text NOT NULL CONSTRAINT chargeback_statement_filed_by_one_who_may
        CHECK (filed_by IN ('payee', 'operator')),
    principal_id uuid NOT NULL,
    reference text NOT NULL
        CONSTRAINT chargeback_statement_is_named CHECK (length(reference) BETWEEN 1 AND 500),
    sha256 text NOT NULL
        CONSTRAINT chargeback_statement_hash_is_one CHECK (sha256 ~ '^([0-9a-f]{64})?$'),
    filed_at timestamptz NOT NULL,
    PRIMARY KEY (chargeback_id, statement_no)
);
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT UPDATE (recalled_minor, charged_back_minor) ON slot TO %I',
                   tenant_role);
    EXECUTE format('GRANT UPDATE (charged_back_minor, in_dispute) ON funding TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (relieved_minor) ON claim TO %I', tenant_role);
    EXECUTE format('GRANT SELECT, INSERT ON chargeback, chargeback_movement, chargeback_piece,'
                   ' chargeback_reserve, chargeback_hold, chargeback_notice,'
                   ' chargeback_statement TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (reason, state, state_at, version, decision, decided_at,'
                   ' ahead_minor, due_by, told_at, heard_by, answered_at, submitted_at,'
                   ' is_settled) ON chargeback TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (back_money_minor, back_fee_minor, is_lost, recovered_minor,'
                   ' paid_back_minor, claim_id) ON chargeback_piece TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (lifted_minor, taken_minor) ON chargeback_reserve TO %I',
                   tenant_role);
    EXECUTE format('GRANT UPDATE (is_lifted) ON chargeback_hold TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Keep chargebacks and what they take, and let them move by their machine alone."""
    guards = (SQL / "chargebacks_guards.sql").read_text(encoding="utf-8")
    for statements in (MONEY, CHARGEBACK, guards, RIGHTS):
        run(statements)
    append_only("chargeback_movement", "chargeback_notice", "chargeback_statement")
    not_deleted("chargeback", "chargeback_piece", "chargeback_reserve", "chargeback_hold")
    moves_by_its_machine("chargeback")
    learn_steps(
        {
            "slot": SLOTS,
            "funding": FUNDINGS,
            "claim": CLAIMS,
            "dispute": DISPUTES,
            "chargeback": CHARGEBACKS,
        }
    )
