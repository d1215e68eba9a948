"""What comes back after its release: the returned part of a slot, and claims on payees.

A claim remains what it was, less what was recovered and written off; who approves a write-off is
not who proposed it. Both are held here, whatever the program says.

Revision ID: 0017
"""

from escrow.machine_claim import CLAIMS
from escrow.machine_slot import SLOTS
from migrations.guards import append_only, learn_steps, moves_by_its_machine, not_deleted
from migrations.statements import run

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

SLOT = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

ALTER TABLE slot
    ADD COLUMN returned_minor bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT slot_returned_was_released
        CHECK (returned_minor BETWEEN 0 AND released_minor);
"""

CLAIM = """
CREATE TABLE claim_rule (
    currency char(3) PRIMARY KEY
        CONSTRAINT claim_rule_currency_is_known REFERENCES currency (code),
    fronts_refunds boolean NOT NULL,
    recovery_bps integer NOT NULL
        CONSTRAINT claim_rule_recovery_in_range CHECK (recovery_bps BETWEEN 0 AND 10000),
    version integer NOT NULL CONSTRAINT claim_rule_version_counts CHECK (version >= 1)
);
COMMENT ON TABLE claim_rule IS
    'Whether refunds after release are fronted, and what a release gives to claims at most.';

CREATE TABLE claim (
    id uuid PRIMARY KEY,
    payee_id uuid NOT NULL CONSTRAINT claim_payee_is_known REFERENCES party (id),
    currency char(3) NOT NULL CONSTRAINT claim_currency_is_known REFERENCES currency (code),
    cause text NOT NULL CONSTRAINT claim_cause_is_known
        CHECK (cause IN ('refund', 'chargeback')),
    subject text NOT NULL CONSTRAINT claim_subject_is_named CHECK (subject <> ''),
    amount_minor bigint NOT NULL CONSTRAINT claim_amount_is_positive CHECK (amount_minor > 0),
    remaining_minor bigint NOT NULL CONSTRAINT claim_remaining_within_amount
        CHECK (remaining_minor BETWEEN 0 AND amount_minor),
    state text NOT NULL CONSTRAINT claim_state_is_known
        CHECK (state IN ('open', 'recovered', 'written_off')),
    version integer NOT NULL CONSTRAINT claim_version_counts CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    CONSTRAINT claim_open_while_it_remains CHECK ((remaining_minor > 0) = (state = 'open'))
);
CREATE INDEX claim_open_by_payee ON claim (payee_id, id) WHERE state = 'open';

CREATE TABLE claim_recovery (
    claim_id uuid NOT NULL CONSTRAINT claim_recovery_claim_is_known REFERENCES claim (id),
    release_id uuid NOT NULL CONSTRAINT claim_recovery_release_is_known REFERENCES release (id),
    amount_minor bigint NOT NULL
        CONSTRAINT claim_recovery_is_positive CHECK (amount_minor > 0),
    recovered_at timestamptz NOT NULL,
    PRIMARY KEY (claim_id, release_id)
);

CREATE TABLE claim_write_off (
    id uuid PRIMARY KEY,
    claim_id uuid NOT NULL CONSTRAINT claim_write_off_claim_is_known REFERENCES claim (id),
    reason text NOT NULL
        CONSTRAINT claim_write_off_has_a_reason CHECK (length(reason) BETWEEN 1 AND 2000),
    proposer_id uuid NOT NULL,
    proposed_at timestamptz NOT NULL,
    approver_id uuid,
    approved_at timestamptz,
    amount_minor bigint CONSTRAINT claim_write_off_is_positive CHECK (amount_minor > 0),
    CONSTRAINT claim_write_off_takes_two CHECK (approver_id <> proposer_id),
    CONSTRAINT claim_write_off_approved_whole CHECK (
        (approver_id IS NULL) = (approved_at IS NULL)
        AND (approver_id IS NULL) = (amount_minor IS NULL))
);
CREATE UNIQUE INDEX claim_write_off_one_waits ON claim_write_off (claim_id)
    WHERE approver_id IS NULL;
CREATE UNIQUE INDEX claim_written_off_once ON claim_write_off (claim_id)
    WHERE approver_id IS NOT NULL;
"""

GUARDS = """
CREATE FUNCTION claim_moves_in_order() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'claim % goes from version % to %', OLD.id, OLD.version, NEW.version
            USING ERRCODE = 'check_violation', CONSTRAINT = 'claim_version_rises';
    END IF;
    IF NEW.remaining_minor > OLD.remaining_minor THEN
        RAISE EXCEPTION 'claim % grows from % to %', OLD.id, OLD.remaining_minor,
            NEW.remaining_minor
            USING ERRCODE = 'check_violation', CONSTRAINT = 'claim_never_grows';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER claim_moves_in_order BEFORE UPDATE ON claim
    FOR EACH ROW EXECUTE FUNCTION claim_moves_in_order();

CREATE FUNCTION claim_adds_up() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.amount_minor <> (SELECT remaining_minor FROM claim WHERE id = NEW.id)
        + (SELECT coalesce(sum(amount_minor), 0) FROM claim_recovery WHERE claim_id = NEW.id)
        + (SELECT coalesce(sum(amount_minor), 0) FROM claim_write_off WHERE claim_id = NEW.id)
    THEN
        RAISE EXCEPTION 'claim % is not what remains, was recovered and was written off', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'claim_adds_up';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER claim_adds_up AFTER INSERT OR UPDATE ON claim
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION claim_adds_up();

CREATE FUNCTION claim_write_off_stands() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF OLD.approver_id IS NOT NULL
        OR (OLD.id, OLD.claim_id, OLD.reason, OLD.proposer_id, OLD.proposed_at)
        IS DISTINCT FROM (NEW.id, NEW.claim_id, NEW.reason, NEW.proposer_id, NEW.proposed_at)
    THEN
        RAISE EXCEPTION 'write-off % stands', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'claim_write_off_stands';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER claim_write_off_stands BEFORE UPDATE ON claim_write_off
    FOR EACH ROW EXECUTE FUNCTION claim_write_off_stands();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT UPDATE (returned_minor) ON slot TO %I', tenant_role);
    EXECUTE format('GRANT SELECT, INSERT ON claim, claim_recovery, claim_write_off, claim_rule'
                   ' TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (remaining_minor, state, version) ON claim TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (approver_id, approved_at, amount_minor) ON claim_write_off'
                   ' TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (fronts_refunds, recovery_bps, version) ON claim_rule TO %I',
                   tenant_role);
END $$;
"""


def upgrade() -> None:
    """Keep what came back and what is owed, and let claims move by their machine alone."""
    for statements in (SLOT, CLAIM, GUARDS, RIGHTS):
        run(statements)
    append_only("claim_recovery")
    not_deleted("claim_write_off", "claim")
    moves_by_its_machine("claim")
    learn_steps({"slot": SLOTS, "claim": CLAIMS})
