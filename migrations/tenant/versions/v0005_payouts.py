"""Payouts, the methods they go to, what they cost, and whose payouts are paused.

Revision ID: 0005
"""

from migrations.statements import run

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TIMEOUTS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""

METHODS = """
CREATE TABLE payout_method (
    id uuid CONSTRAINT payout_method_is_named_once PRIMARY KEY,
    party_id uuid NOT NULL CONSTRAINT payout_method_party_is_known REFERENCES party (id),
    token text NOT NULL CONSTRAINT payout_method_token_is_visible_ascii
        CHECK (token ~ '^[!-~]{1,200}$'),
    state text NOT NULL DEFAULT 'active' CONSTRAINT payout_method_state_is_known
        CHECK (state IN ('active', 'disabled')),
    reason text NOT NULL DEFAULT '',
    added_at timestamptz NOT NULL,
    disabled_at timestamptz,
    CONSTRAINT payout_method_of_party UNIQUE (id, party_id),
    CONSTRAINT payout_method_disabled_whole CHECK (
        (state = 'disabled') = (disabled_at IS NOT NULL) AND (state = 'disabled') = (reason <> '')
    )
);
CREATE UNIQUE INDEX payout_method_active_once ON payout_method (party_id, token)
    WHERE state = 'active';

CREATE TABLE payout_pause (
    party_id uuid CONSTRAINT payout_pause_once PRIMARY KEY
        CONSTRAINT payout_pause_party_is_known REFERENCES party (id),
    reason text NOT NULL CONSTRAINT payout_pause_has_a_reason CHECK (reason <> ''),
    paused_at timestamptz NOT NULL
);

CREATE TABLE payout_fee (
    currency char(3) NOT NULL
        CONSTRAINT payout_fee_currency_is_known REFERENCES currency (code),
    valid_from timestamptz NOT NULL,
    fee_minor bigint NOT NULL CONSTRAINT payout_fee_not_negative CHECK (fee_minor >= 0),
    CONSTRAINT payout_fee_is_dated PRIMARY KEY (currency, valid_from)
);
COMMENT ON TABLE payout_fee IS 'What a payout costs from a time on; no row: nothing.';
"""

PAYOUT = """
CREATE TABLE payout (
    id uuid CONSTRAINT payout_is_requested_once PRIMARY KEY,
    payee_id uuid NOT NULL CONSTRAINT payout_payee_is_known REFERENCES party (id),
    method_id uuid NOT NULL,
    amount_minor bigint NOT NULL CONSTRAINT payout_amount_is_positive CHECK (amount_minor > 0),
    fee_minor bigint NOT NULL CONSTRAINT payout_fee_leaves_something
        CHECK (fee_minor >= 0 AND fee_minor < amount_minor),
    currency char(3) NOT NULL CONSTRAINT payout_currency_is_known REFERENCES currency (code),
    state text NOT NULL CONSTRAINT payout_state_is_known CHECK (
        state IN ('requested', 'submitted', 'paid', 'failed', 'returned', 'cancelled')
    ),
    version integer NOT NULL CONSTRAINT payout_version_counts CHECK (version >= 1),
    rail_ref text NOT NULL,
    code text NOT NULL,
    charge_minor bigint NOT NULL CONSTRAINT payout_charge_is_within_net
        CHECK (charge_minor BETWEEN 0 AND amount_minor - fee_minor),
    requested_at timestamptz NOT NULL,
    submitted_at timestamptz,
    paid_at timestamptz,
    ended_at timestamptz,
    CONSTRAINT payout_goes_to_the_payees_own_method
        FOREIGN KEY (method_id, payee_id) REFERENCES payout_method (id, party_id),
    CONSTRAINT payout_submitted_has_a_time
        CHECK (state IN ('requested', 'cancelled') = (submitted_at IS NULL)),
    CONSTRAINT payout_paid_has_a_time CHECK (
        (state <> 'paid' OR paid_at IS NOT NULL)
        AND (state NOT IN ('requested', 'submitted', 'cancelled', 'failed') OR paid_at IS NULL)
    ),
    CONSTRAINT payout_ended_has_a_time
        CHECK ((state IN ('failed', 'returned', 'cancelled')) = (ended_at IS NOT NULL)),
    CONSTRAINT payout_only_a_return_is_charged CHECK (charge_minor = 0 OR state = 'returned')
);
CREATE INDEX payout_by_payee ON payout (payee_id, requested_at);
CREATE INDEX payout_open ON payout (requested_at, id) WHERE state IN ('requested', 'submitted');
"""

# The condition stands in WHEN, so that a good move costs no call.
MOVES_FORWARD = """
CREATE FUNCTION refuse_backward_payout() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'payout % may not move from % to %', OLD.id, OLD.state, NEW.state
        USING ERRCODE = 'check_violation', CONSTRAINT = 'payout_moves_forward';
END $$;
CREATE TRIGGER payout_moves_forward BEFORE UPDATE ON payout
FOR EACH ROW WHEN (
    (OLD.state = 'requested' AND NEW.state NOT IN ('requested', 'submitted', 'cancelled'))
    OR (OLD.state = 'submitted' AND NEW.state NOT IN ('submitted', 'paid', 'failed', 'returned'))
    OR (OLD.state = 'paid' AND NEW.state NOT IN ('paid', 'returned'))
    OR (OLD.state IN ('failed', 'returned', 'cancelled') AND NEW.state <> OLD.state)
    OR NEW.version <> OLD.version + 1
) EXECUTE FUNCTION refuse_backward_payout();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON payout, payout_method, payout_fee TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, version, rail_ref, code, charge_minor, submitted_at,'
                   ' paid_at, ended_at) ON payout TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, reason, disabled_at) ON payout_method TO %I', tenant_role);
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON payout_pause TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Create payouts with their methods, fees and pauses, and give the tenant's role its rights."""
    for statement in (TIMEOUTS, METHODS, PAYOUT, MOVES_FORWARD, RIGHTS):
        run(statement)
