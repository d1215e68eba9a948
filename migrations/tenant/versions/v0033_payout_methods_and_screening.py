"""Payout methods with their rail and cooling time, screening, second approval, payees' accounts.

Revision ID: 0033
"""

from migrations.guards import not_deleted
from migrations.statements import run

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

TIMEOUTS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""

# The engine itself (kernel.principals.SYSTEM) sets up a tenant without a second person.
POLICY = """
CREATE TABLE payout_policy (
    id uuid CONSTRAINT payout_policy_is_named_once PRIMARY KEY,
    currency char(3) CONSTRAINT payout_policy_currency_is_known REFERENCES currency (code),
    valid_from timestamptz NOT NULL,
    cooling_days integer CONSTRAINT payout_policy_cooling_is_possible
        CHECK (cooling_days BETWEEN 0 AND 365),
    needs_verifying boolean,
    approval_above_minor bigint CONSTRAINT payout_policy_limit_not_negative
        CHECK (approval_above_minor >= 0),
    minimum_minor bigint CONSTRAINT payout_policy_minimum_not_negative
        CHECK (minimum_minor >= 0),
    reason text NOT NULL,
    prepared_by uuid NOT NULL,
    prepared_at timestamptz NOT NULL,
    approved_by uuid,
    approved_at timestamptz,
    CONSTRAINT payout_policy_is_about_methods_or_a_currency CHECK (
        (currency IS NULL) = (cooling_days IS NOT NULL)
        AND (currency IS NULL) = (needs_verifying IS NOT NULL)
        AND (currency IS NULL) = (minimum_minor IS NULL)
        AND (currency IS NOT NULL OR approval_above_minor IS NULL)
    ),
    CONSTRAINT payout_policy_approved_whole
        CHECK ((approved_by IS NULL) = (approved_at IS NULL)),
    CONSTRAINT payout_policy_approver_is_another CHECK (
        approved_by <> prepared_by OR approved_by = '00000000-0000-0000-0000-000000000001'
    )
);
CREATE INDEX payout_policy_in_force ON payout_policy (currency, valid_from, approved_at);
COMMENT ON TABLE payout_policy IS
'For methods (no currency): cooling days, verification. For a currency: limit, minimum.';

CREATE FUNCTION refuse_change_of_policy() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'payout policy % was approved and stands', OLD.id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'payout_policy_stands';
END $$;
CREATE TRIGGER payout_policy_stands BEFORE UPDATE ON payout_policy
FOR EACH ROW WHEN (OLD.approved_by IS NOT NULL) EXECUTE FUNCTION refuse_change_of_policy();
"""

# Methods that are there were usable from the moment on which they were added, and stay so.
METHODS = """
ALTER TABLE payout_method
    ADD COLUMN rail text NOT NULL DEFAULT 'simulated'
        CONSTRAINT payout_method_rail_is_named CHECK (rail ~ '^[a-z][a-z0-9_]{0,31}$'),
    ADD COLUMN verified_at timestamptz,
    ADD COLUMN usable_from timestamptz,
    ALTER COLUMN state SET DEFAULT 'unverified',
    DROP CONSTRAINT payout_method_state_is_known,
    ADD CONSTRAINT payout_method_state_is_known
        CHECK (state IN ('unverified', 'active', 'disabled'));
UPDATE payout_method SET usable_from = added_at;
ALTER TABLE payout_method
    ALTER COLUMN usable_from SET NOT NULL,
    ADD CONSTRAINT payout_method_cools_after_it_is_added CHECK (usable_from >= added_at),
    ADD CONSTRAINT payout_method_unverified_has_no_time
        CHECK (state <> 'unverified' OR verified_at IS NULL);
DROP INDEX payout_method_active_once;
CREATE UNIQUE INDEX payout_method_active_once ON payout_method (party_id, rail, token)
    WHERE state <> 'disabled';
"""

PAYOUT = """
ALTER TABLE payout
    ADD COLUMN rail text NOT NULL DEFAULT 'simulated'
        CONSTRAINT payout_rail_is_named CHECK (rail ~ '^[a-z][a-z0-9_]{0,31}$'),
    ADD COLUMN paid_from text NOT NULL DEFAULT '' CONSTRAINT payout_paid_from_is_of_its_rail
        CHECK (paid_from IN ('', rail) OR starts_with(paid_from, rail || ':')),
    ADD COLUMN requested_by uuid,
    ADD COLUMN screened_at timestamptz,
    ADD COLUMN approved_by uuid,
    ADD COLUMN transferred_at timestamptz,
    ADD COLUMN left_at timestamptz,
    ADD COLUMN back_at timestamptz,
    ADD COLUMN back_tries integer NOT NULL DEFAULT 0
        CONSTRAINT payout_back_tries_are_counted CHECK (back_tries >= 0),
    DROP CONSTRAINT payout_state_is_known,
    DROP CONSTRAINT payout_submitted_has_a_time,
    DROP CONSTRAINT payout_paid_has_a_time,
    DROP CONSTRAINT payout_ended_has_a_time;
UPDATE payout SET screened_at = submitted_at, left_at = paid_at, version = version + 1;
ALTER TABLE payout
    ADD CONSTRAINT payout_state_is_known CHECK (state IN (
        'requested', 'screening', 'approved', 'blocked', 'submitted', 'in_transit', 'paid',
        'failed', 'returned', 'unclaimed', 'cancelled'
    )),
    ADD CONSTRAINT payout_submitted_has_a_time CHECK (
        (state IN ('requested', 'screening', 'approved', 'blocked', 'cancelled'))
        = (submitted_at IS NULL)
    ),
    ADD CONSTRAINT payout_screened_before_it_is_submitted
        CHECK (submitted_at IS NULL OR screened_at IS NOT NULL),
    ADD CONSTRAINT payout_left_has_a_time CHECK (
        (state IN ('in_transit', 'unclaimed', 'paid', 'returned')) = (left_at IS NOT NULL)
    ),
    ADD CONSTRAINT payout_paid_has_a_time CHECK (
        (state <> 'paid' OR paid_at IS NOT NULL)
        AND (state IN ('paid', 'returned') OR paid_at IS NULL)
    ),
    ADD CONSTRAINT payout_ended_has_a_time CHECK (
        (state IN ('failed', 'returned', 'cancelled', 'blocked')) = (ended_at IS NOT NULL)
    ),
    ADD CONSTRAINT payout_approved_has_an_approver
        CHECK (state <> 'approved' OR approved_by IS NOT NULL),
    ADD CONSTRAINT payout_approver_is_another
        CHECK (approved_by IS NULL OR (requested_by IS NOT NULL AND approved_by <> requested_by)),
    ADD CONSTRAINT payout_only_a_payees_account_is_transferred_to CHECK (
        (transferred_at IS NULL OR strpos(paid_from, ':') > 0)
        AND (back_at IS NULL OR (transferred_at IS NOT NULL AND state IN ('failed', 'returned')))
    );
DROP INDEX payout_open;
CREATE INDEX payout_open ON payout (requested_at, id)
    WHERE state IN ('requested', 'screening', 'approved', 'submitted');
CREATE INDEX payout_to_call_home ON payout (id)
    WHERE transferred_at IS NOT NULL AND back_at IS NULL AND state IN ('failed', 'returned');
"""

# The condition stands in WHEN, so that a good move costs no call.
MOVES_FORWARD = """
DROP TRIGGER payout_moves_forward ON payout;
CREATE TRIGGER payout_moves_forward BEFORE UPDATE ON payout
FOR EACH ROW WHEN (
    NEW.version <> OLD.version + 1
    OR (NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('requested', 'screening'), ('requested', 'submitted'), ('requested', 'blocked'),
        ('requested', 'cancelled'), ('screening', 'approved'), ('screening', 'blocked'),
        ('screening', 'cancelled'), ('approved', 'submitted'), ('approved', 'blocked'),
        ('approved', 'cancelled'), ('submitted', 'in_transit'), ('submitted', 'unclaimed'),
        ('submitted', 'paid'), ('submitted', 'failed'), ('submitted', 'returned'),
        ('in_transit', 'unclaimed'), ('in_transit', 'paid'), ('in_transit', 'returned'),
        ('unclaimed', 'paid'), ('unclaimed', 'returned'), ('paid', 'returned')
    ))
    OR (OLD.submitted_at IS NOT NULL AND NEW.paid_from <> OLD.paid_from)
    OR (OLD.approved_by IS NOT NULL AND NEW.approved_by IS DISTINCT FROM OLD.approved_by)
    OR (OLD.transferred_at IS NOT NULL
        AND NEW.transferred_at IS DISTINCT FROM OLD.transferred_at)
    OR (OLD.back_at IS NOT NULL AND NEW.back_at IS DISTINCT FROM OLD.back_at)
) EXECUTE FUNCTION refuse_backward_payout();
"""

PAYEES = """
CREATE TABLE payee_account (
    id uuid CONSTRAINT payee_account_is_opened_once PRIMARY KEY,
    party_id uuid NOT NULL CONSTRAINT payee_account_party_is_known REFERENCES party (id),
    rail text NOT NULL
        CONSTRAINT payee_account_rail_is_named CHECK (rail ~ '^[a-z][a-z0-9_]{0,31}$'),
    account_ref text
        CONSTRAINT payee_account_ref_is_plain CHECK (account_ref ~ '^[A-Za-z0-9_.-]{1,100}$'),
    state text NOT NULL CONSTRAINT payee_account_state_is_known
        CHECK (state IN ('opening', 'open', 'replaced', 'refused')),
    may_receive boolean NOT NULL DEFAULT false,
    may_be_paid_out boolean NOT NULL DEFAULT false,
    requirements jsonb NOT NULL DEFAULT '[]'
        CONSTRAINT payee_account_requirements_are_a_list
        CHECK (jsonb_typeof(requirements) = 'array'),
    deadline timestamptz,
    disabled_reason text NOT NULL DEFAULT '',
    as_of timestamptz,
    is_live boolean NOT NULL DEFAULT true,
    hold_id uuid CONSTRAINT payee_account_hold_is_known REFERENCES hold (id),
    code text NOT NULL DEFAULT '',
    opened_at timestamptz NOT NULL,
    linked_at timestamptz,
    CONSTRAINT payee_account_of_one_payee UNIQUE (rail, account_ref),
    CONSTRAINT payee_account_linked_whole CHECK (
        (state IN ('open', 'replaced')) = (account_ref IS NOT NULL)
        AND (account_ref IS NULL) = (linked_at IS NULL)
    ),
    CONSTRAINT payee_account_only_an_open_one_holds CHECK (hold_id IS NULL OR state = 'open')
);
CREATE UNIQUE INDEX payee_account_open_once ON payee_account (party_id, rail)
    WHERE state = 'open';
CREATE UNIQUE INDEX payee_account_opening_once ON payee_account (party_id, rail)
    WHERE state = 'opening';
CREATE INDEX payee_account_to_read ON payee_account (rail, id)
    WHERE state = 'open' AND as_of IS NULL;

CREATE FUNCTION refuse_older_word_on_payee() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'payee account % may not go back', OLD.id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'payee_account_moves_forward';
END $$;
CREATE TRIGGER payee_account_moves_forward BEFORE UPDATE ON payee_account
FOR EACH ROW WHEN (
    (OLD.as_of IS NOT NULL AND (NEW.as_of IS NULL OR NEW.as_of < OLD.as_of))
    OR (OLD.account_ref IS NOT NULL AND NEW.account_ref IS DISTINCT FROM OLD.account_ref)
    OR (NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('opening', 'open'), ('opening', 'refused'), ('open', 'replaced')
    ))
) EXECUTE FUNCTION refuse_older_word_on_payee();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON payout_policy, payee_account TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (approved_by, approved_at) ON payout_policy TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (verified_at) ON payout_method TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (paid_from, screened_at, approved_by, transferred_at, left_at,'
                   ' back_at, back_tries) ON payout TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (account_ref, state, may_receive, may_be_paid_out, requirements,'
                   ' deadline, disabled_reason, as_of, is_live, hold_id, code, linked_at)'
                   ' ON payee_account TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Add the policy, the payees' accounts, and what payouts and their methods remember."""
    for statement in (TIMEOUTS, POLICY, METHODS, PAYOUT, MOVES_FORWARD, PAYEES, RIGHTS):
        run(statement)
    not_deleted("payout_policy", "payee_account", "payout_method", "payout")
