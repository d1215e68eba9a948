"""Disputes after release, one appeal, the loser's fee, and contracts closed while disputed.

What is set aside of a release never exceeds it, a slot's contested part never what its payee
kept, and a dispute is appealed once.

Revision ID: 0022
"""

from escrow.machine import CONTRACTS, RELEASES
from escrow.machine_dispute import AT_ONCE, DISPUTES
from escrow.machine_slot import SLOTS
from migrations.guards import learn_steps
from migrations.statements import run

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

TABLES = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

ALTER TABLE slot
    ADD COLUMN contested_minor bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT slot_contested_is_kept
        CHECK (contested_minor >= 0
            AND (contested_minor = 0 OR contested_minor + returned_minor <= released_minor));

ALTER TABLE release
    ADD COLUMN taken_gross_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN taken_net_minor bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT release_taken_within_gross
        CHECK (taken_gross_minor BETWEEN 0 AND gross_minor),
    ADD CONSTRAINT release_taken_within_net
        CHECK (taken_net_minor BETWEEN 0 AND gross_minor - commission_minor);

ALTER TABLE dispute_rule
    ADD COLUMN small_fee_bps integer NOT NULL DEFAULT 0
        CONSTRAINT dispute_rule_small_fee_in_range CHECK (small_fee_bps BETWEEN 0 AND 10000);

ALTER TABLE dispute
    ADD COLUMN release_id uuid CONSTRAINT dispute_release_is_known REFERENCES release (id),
    ADD COLUMN reserved_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN awarded_id uuid CONSTRAINT dispute_awarded_is_known REFERENCES release (id),
    ADD COLUMN appeal_of uuid CONSTRAINT dispute_appeal_is_of_a_dispute REFERENCES dispute (id),
    DROP CONSTRAINT dispute_state_before_holds_money,
    ADD CONSTRAINT dispute_state_before_holds_money CHECK (state_before IN
        ('funded', 'submitted', 'changes_requested', 'refund_requested', 'dormant')
        OR (release_id IS NOT NULL AND state_before IN ('released', 'refunded'))),
    ADD CONSTRAINT dispute_reserves_of_a_release
        CHECK (reserved_minor BETWEEN 0 AND claim_minor
            AND (release_id IS NOT NULL OR reserved_minor = 0)),
    ADD CONSTRAINT dispute_after_release_is_the_clients
        CHECK (release_id IS NULL OR claimant = 'client'),
    ADD CONSTRAINT dispute_awards_what_was_frozen
        CHECK (awarded_id IS NULL
            OR (release_id IS NULL AND payee_minor > 0 AND state = 'executed')),
    ADD CONSTRAINT dispute_appeal_is_over_a_release
        CHECK (appeal_of IS NULL OR release_id IS NOT NULL);
CREATE UNIQUE INDEX dispute_appealed_once ON dispute (appeal_of) WHERE appeal_of IS NOT NULL;
CREATE INDEX dispute_by_release ON dispute (release_id) WHERE release_id IS NOT NULL;
CREATE INDEX dispute_open_by_contract ON dispute (contract_id)
    WHERE state NOT IN ('executed', 'withdrawn');
"""

GUARDS = """
CREATE FUNCTION dispute_appeal_follows_a_default() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM dispute d
        WHERE d.id = NEW.appeal_of AND d.state = 'executed' AND d.resolution = 'defaulted'
            AND d.slot_id = NEW.slot_id AND d.awarded_id = NEW.release_id
            AND d.claimant <> NEW.claimant
    ) THEN
        RAISE EXCEPTION 'dispute % appeals what was not lost by silence', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'dispute_appeal_follows_a_default';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER dispute_appeal_follows_a_default BEFORE INSERT ON dispute
    FOR EACH ROW WHEN (NEW.appeal_of IS NOT NULL)
    EXECUTE FUNCTION dispute_appeal_follows_a_default();

CREATE FUNCTION dispute_is_over_its_slots_release() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM release r WHERE r.id = NEW.release_id AND r.slot_id = NEW.slot_id
    ) THEN
        RAISE EXCEPTION 'dispute % is over a release of another slot', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'dispute_is_over_its_slots_release';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER dispute_is_over_its_slots_release BEFORE INSERT ON dispute
    FOR EACH ROW WHEN (NEW.release_id IS NOT NULL)
    EXECUTE FUNCTION dispute_is_over_its_slots_release();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT UPDATE (contested_minor) ON slot TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (taken_gross_minor, taken_net_minor) ON release TO %I',
                   tenant_role);
    EXECUTE format('GRANT UPDATE (small_fee_bps) ON dispute_rule TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (awarded_id) ON dispute TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Set released money aside, let a default be appealed once, and learn the new steps."""
    for statements in (TABLES, GUARDS, RIGHTS):
        run(statements)
    at_once = {("dispute", str(start), str(end)) for start, end in AT_ONCE}
    machines = {"contract": CONTRACTS, "slot": SLOTS, "release": RELEASES, "dispute": DISPUTES}
    learn_steps(machines, more=at_once)
