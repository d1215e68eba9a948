"""Retainers: their pinned terms, their periods, what was drawn, and what is carried over.

A period's id is its slot's, which holds the money. What acceptance pins is never changed, a
drawdown is paid by one release, and states move by their machines alone.

Revision ID: 0016
"""

from escrow.machine import CONTRACTS
from escrow.machine_retainer import DRAWDOWNS, PERIODS, RETAINERS
from escrow.machine_slot import SLOTS
from migrations.guards import append_only, learn_steps, moves_by_its_machine, not_deleted
from migrations.statements import run

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TABLES = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE retainer (
    id uuid PRIMARY KEY,
    contract_id uuid NOT NULL,
    proposed_by text NOT NULL
        CONSTRAINT retainer_proposed_by_a_party CHECK (proposed_by IN ('client', 'payee')),
    state text NOT NULL CONSTRAINT retainer_state_is_known
        CHECK (state IN ('offered', 'running', 'ending', 'ended')),
    version integer NOT NULL CONSTRAINT retainer_version_counts CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    accepted_at timestamptz,
    cancel_asked_by text CONSTRAINT retainer_cancelled_by_a_party
        CHECK (cancel_asked_by IN ('client', 'payee')),
    ends_at timestamptz,
    kind text NOT NULL CONSTRAINT retainer_kind_is_known
        CHECK (kind IN ('access_fee', 'hours_drawdown', 'deliverable_quota')),
    amount_minor bigint NOT NULL CONSTRAINT retainer_amount_in_range
        CHECK (amount_minor BETWEEN 1 AND 1000000000000000),
    every text NOT NULL CONSTRAINT retainer_every_is_known
        CHECK (every IN ('week', 'two_weeks', 'month', 'quarter')),
    anchor_on date NOT NULL,
    zone text NOT NULL,
    unused text NOT NULL CONSTRAINT retainer_unused_is_a_partys
        CHECK (unused IN ('roll', 'to_payee', 'to_client')),
    rest text NOT NULL CONSTRAINT retainer_rest_is_a_partys
        CHECK (rest IN ('to_payee', 'to_client')),
    roll_cap_minor bigint NOT NULL,
    roll_periods integer NOT NULL
        CONSTRAINT retainer_roll_periods_in_range CHECK (roll_periods BETWEEN 1 AND 120),
    hourly_minor bigint NOT NULL,
    quota integer NOT NULL,
    overage text NOT NULL CONSTRAINT retainer_overage_is_known CHECK (overage IN ('block')),
    notice_days integer NOT NULL
        CONSTRAINT retainer_notice_in_range CHECK (notice_days BETWEEN 0 AND 365),
    method text NOT NULL CONSTRAINT retainer_method_is_known
        CHECK (method IN ('card', 'bank_debit', 'bank_transfer', 'wallet')),
    method_token text NOT NULL,
    rail_account text NOT NULL,
    CONSTRAINT retainer_is_a_term
        FOREIGN KEY (id, contract_id) REFERENCES term (id, contract_id),
    CONSTRAINT retainer_runs_only_accepted
        CHECK (state IN ('offered', 'ended') OR accepted_at IS NOT NULL),
    CONSTRAINT retainer_rolls_with_a_cap CHECK ((unused = 'roll') = (roll_cap_minor > 0)),
    CONSTRAINT retainer_hours_have_a_price
        CHECK ((kind = 'hours_drawdown') = (hourly_minor > 0)),
    CONSTRAINT retainer_quota_counts CHECK ((kind = 'deliverable_quota') = (quota > 0))
);
CREATE INDEX retainer_by_contract ON retainer (contract_id);

CREATE TABLE retainer_period (
    id uuid PRIMARY KEY,
    retainer_id uuid NOT NULL CONSTRAINT period_retainer_is_known REFERENCES retainer (id),
    contract_id uuid NOT NULL,
    number integer NOT NULL CONSTRAINT period_number_counts CHECK (number >= 1),
    first_on date NOT NULL,
    next_on date NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    state text NOT NULL CONSTRAINT period_state_is_known CHECK (state IN (
        'scheduled', 'funding', 'funded', 'active', 'closing', 'settled', 'lapsed', 'cancelled'
    )),
    version integer NOT NULL CONSTRAINT period_version_counts CHECK (version >= 1),
    attempts integer NOT NULL CONSTRAINT period_attempts_count CHECK (attempts >= 0),
    opened_at timestamptz,
    CONSTRAINT period_slot_is_of_its_contract
        FOREIGN KEY (id, contract_id) REFERENCES slot (id, contract_id),
    CONSTRAINT period_number_unique UNIQUE (retainer_id, number),
    CONSTRAINT period_has_days CHECK (first_on < next_on AND starts_at < ends_at)
);

CREATE TABLE drawdown (
    id uuid PRIMARY KEY,
    period_id uuid NOT NULL CONSTRAINT drawdown_period_is_known REFERENCES retainer_period (id),
    seq integer NOT NULL CONSTRAINT drawdown_seq_counts CHECK (seq >= 1),
    units integer NOT NULL CONSTRAINT drawdown_units_are_positive CHECK (units > 0),
    amount_minor bigint NOT NULL
        CONSTRAINT drawdown_amount_is_positive CHECK (amount_minor > 0),
    message_ref text NOT NULL CONSTRAINT drawdown_shows_something
        CHECK (length(message_ref) BETWEEN 1 AND 500),
    state text NOT NULL CONSTRAINT drawdown_state_is_known
        CHECK (state IN ('submitted', 'approved', 'rejected', 'withdrawn')),
    version integer NOT NULL CONSTRAINT drawdown_version_counts CHECK (version >= 1),
    submitted_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    release_id uuid CONSTRAINT drawdown_release_is_known REFERENCES release (id),
    CONSTRAINT drawdown_seq_unique UNIQUE (period_id, seq),
    CONSTRAINT drawdown_paid_once UNIQUE (release_id),
    CONSTRAINT drawdown_paid_when_approved
        CHECK ((state = 'approved') = (release_id IS NOT NULL))
);

CREATE TABLE carried_lot (
    slot_id uuid NOT NULL,
    seq integer NOT NULL,
    expires_no integer NOT NULL CONSTRAINT carried_expiry_counts CHECK (expires_no >= 1),
    PRIMARY KEY (slot_id, seq),
    CONSTRAINT carried_is_a_lot FOREIGN KEY (slot_id, seq) REFERENCES lot (slot_id, seq),
    CONSTRAINT carried_into_a_period
        FOREIGN KEY (slot_id) REFERENCES retainer_period (id)
);
"""

GUARDS = """
CREATE FUNCTION row_version_rises() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION '% % goes from version % to %', tg_table_name, OLD.id, OLD.version,
        NEW.version USING ERRCODE = 'check_violation', CONSTRAINT = tg_table_name || '_rises';
END $$;
"""

VERSION_RISES = """
CREATE TRIGGER {table}_version_rises BEFORE UPDATE ON {table}
    FOR EACH ROW WHEN (NEW.version <> OLD.version + 1) EXECUTE FUNCTION row_version_rises();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON retainer, retainer_period, drawdown, carried_lot'
                   ' TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, version, accepted_at, cancel_asked_by, ends_at)'
                   ' ON retainer TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, version, attempts, opened_at) ON retainer_period TO %I',
                   tenant_role);
    EXECUTE format('GRANT UPDATE (state, version, release_id) ON drawdown TO %I', tenant_role);
END $$;
"""

OWN = ("retainer", "retainer_period", "drawdown")

MACHINES = {
    "contract": CONTRACTS,
    "slot": SLOTS,
    "retainer": RETAINERS,
    "retainer_period": PERIODS,
    "drawdown": DRAWDOWNS,
}


def upgrade() -> None:
    """Keep retainers and let them move by their machines alone."""
    run(TABLES + GUARDS)
    for table in OWN:
        run(VERSION_RISES.format(table=table))
    not_deleted(*OWN)
    moves_by_its_machine(*OWN)
    append_only("carried_lot")
    run(RIGHTS)
    learn_steps(MACHINES)
