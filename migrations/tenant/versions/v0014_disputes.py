"""Disputes: what is frozen of a slot, and the dispute with its offers, evidence and decisions.

Four eyes, one open dispute per slot, shares that sum to what is frozen, and a default only after
notice are held here, whatever the program says.

Revision ID: 0014
"""

from escrow.machine_dispute import AT_ONCE, DISPUTES
from escrow.machine_slot import SLOTS
from migrations.guards import append_only, learn_steps, moves_by_its_machine, not_deleted
from migrations.statements import run

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SLOT = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

ALTER TABLE slot
    ADD COLUMN disputed_minor bigint NOT NULL DEFAULT 0,
    DROP CONSTRAINT slot_state_is_known,
    ADD CONSTRAINT slot_state_is_known CHECK (state IN (
        'proposed', 'awaiting_funding', 'funding', 'funded', 'submitted', 'changes_requested',
        'refund_requested', 'dormant', 'disputed', 'released', 'refunded', 'cancelled'
    )),
    DROP CONSTRAINT slot_holds_money_in_its_states,
    ADD CONSTRAINT slot_holds_money_in_its_states CHECK ((held_minor > 0) = (state IN (
        'funded', 'submitted', 'changes_requested', 'refund_requested', 'dormant', 'disputed'
    ))),
    ADD CONSTRAINT slot_disputed_is_held CHECK (disputed_minor BETWEEN 0 AND held_minor),
    ADD CONSTRAINT slot_frozen_while_disputed
        CHECK ((disputed_minor > 0) = (state = 'disputed'));
"""

DISPUTE = """
CREATE TABLE dispute_rule (
    currency char(3) PRIMARY KEY
        CONSTRAINT dispute_rule_currency_is_known REFERENCES currency (code),
    small_claim_minor bigint NOT NULL
        CONSTRAINT dispute_rule_small_claim_not_negative CHECK (small_claim_minor >= 0),
    fee_bps integer NOT NULL
        CONSTRAINT dispute_rule_fee_in_range CHECK (fee_bps BETWEEN 0 AND 10000),
    version integer NOT NULL CONSTRAINT dispute_rule_version_counts CHECK (version >= 1)
);
COMMENT ON TABLE dispute_rule IS
    'Up to what a claim is small, and what each side pays for arbitration; none: the standard.';

CREATE TABLE dispute (
    id uuid PRIMARY KEY,
    slot_id uuid NOT NULL,
    contract_id uuid NOT NULL,
    currency char(3) NOT NULL,
    opened_by text NOT NULL CONSTRAINT dispute_opened_by_a_person
        CHECK (opened_by IN ('client', 'payee', 'operator')),
    opener_id uuid NOT NULL,
    claimant text NOT NULL CONSTRAINT dispute_claimant_is_a_party
        CHECK (claimant IN ('client', 'payee')),
    claim_minor bigint NOT NULL CONSTRAINT dispute_claim_is_positive CHECK (claim_minor > 0),
    state_before text NOT NULL CONSTRAINT dispute_state_before_holds_money CHECK (state_before IN
        ('funded', 'submitted', 'changes_requested', 'refund_requested', 'dormant')),
    hold_id uuid NOT NULL CONSTRAINT dispute_hold_is_known REFERENCES hold (id),
    is_small boolean NOT NULL,
    fee_minor bigint NOT NULL CONSTRAINT dispute_fee_not_negative CHECK (fee_minor >= 0),
    opened_at timestamptz NOT NULL,
    state text NOT NULL CONSTRAINT dispute_state_is_known CHECK (state IN (
        'opened', 'awaiting_reply', 'negotiation', 'mediation', 'recommendation',
        'arbitration_elect', 'arbitration', 'conceded', 'defaulted', 'settled', 'decided',
        'executed', 'withdrawn'
    )),
    version integer NOT NULL CONSTRAINT dispute_version_counts CHECK (version >= 1),
    served_at timestamptz,
    due_at timestamptz,
    heard_by timestamptz,
    extended_in text,
    mediator_id uuid,
    recommended_minor bigint CONSTRAINT dispute_recommends_within_claim
        CHECK (recommended_minor BETWEEN 0 AND claim_minor),
    client_elected boolean NOT NULL,
    payee_elected boolean NOT NULL,
    resolution text,
    payee_minor bigint CONSTRAINT dispute_payee_share_not_negative CHECK (payee_minor >= 0),
    client_minor bigint CONSTRAINT dispute_client_share_not_negative CHECK (client_minor >= 0),
    ended_at timestamptz,
    CONSTRAINT dispute_slot_is_of_its_contract
        FOREIGN KEY (slot_id, contract_id) REFERENCES slot (id, contract_id),
    CONSTRAINT dispute_currency_is_its_contracts
        FOREIGN KEY (contract_id, currency) REFERENCES contract (id, currency),
    CONSTRAINT dispute_resolution_is_known
        CHECK (resolution IN ('conceded', 'defaulted', 'settled', 'decided')),
    CONSTRAINT dispute_resolved_in_its_states CHECK ((resolution IS NOT NULL)
        = (state IN ('conceded', 'defaulted', 'settled', 'decided', 'executed'))),
    CONSTRAINT dispute_shares_add_up CHECK (
        (payee_minor IS NULL) = (client_minor IS NULL)
        AND (payee_minor IS NULL OR payee_minor + client_minor = claim_minor)),
    CONSTRAINT dispute_goes_on_only_settled CHECK (resolution IS NULL
        OR resolution = 'settled' OR payee_minor IS NOT NULL),
    CONSTRAINT dispute_shares_only_resolved
        CHECK (resolution IS NOT NULL OR payee_minor IS NULL),
    CONSTRAINT dispute_default_was_served
        CHECK (resolution IS DISTINCT FROM 'defaulted' OR served_at IS NOT NULL),
    CONSTRAINT dispute_ends_once
        CHECK ((ended_at IS NOT NULL) = (state IN ('executed', 'withdrawn')))
);
CREATE UNIQUE INDEX dispute_one_open_per_slot ON dispute (slot_id)
    WHERE state NOT IN ('executed', 'withdrawn');
CREATE INDEX dispute_by_slot ON dispute (slot_id, opened_at);

CREATE TABLE dispute_notice (
    dispute_id uuid NOT NULL CONSTRAINT dispute_notice_dispute_is_known REFERENCES dispute (id),
    notice_no integer NOT NULL CONSTRAINT dispute_notice_counts CHECK (notice_no >= 1),
    channel text NOT NULL
        CONSTRAINT dispute_notice_channel_is_named CHECK (length(channel) BETWEEN 1 AND 100),
    proof text NOT NULL
        CONSTRAINT dispute_notice_has_proof CHECK (length(proof) BETWEEN 1 AND 500),
    served_by uuid NOT NULL,
    served_at timestamptz NOT NULL,
    PRIMARY KEY (dispute_id, notice_no)
);

CREATE TABLE dispute_offer (
    dispute_id uuid NOT NULL CONSTRAINT dispute_offer_dispute_is_known REFERENCES dispute (id),
    offer_no integer NOT NULL CONSTRAINT dispute_offer_counts CHECK (offer_no >= 1),
    made_by text NOT NULL CONSTRAINT dispute_offer_made_by_a_party
        CHECK (made_by IN ('client', 'payee')),
    payee_minor bigint CONSTRAINT dispute_offer_not_negative CHECK (payee_minor >= 0),
    made_at timestamptz NOT NULL,
    PRIMARY KEY (dispute_id, offer_no)
);

CREATE TABLE dispute_evidence (
    dispute_id uuid NOT NULL
        CONSTRAINT dispute_evidence_dispute_is_known REFERENCES dispute (id),
    evidence_no integer NOT NULL CONSTRAINT dispute_evidence_counts CHECK (evidence_no >= 1),
    filed_by text NOT NULL CONSTRAINT dispute_evidence_filed_by_a_party
        CHECK (filed_by IN ('client', 'payee')),
    principal_id uuid NOT NULL,
    sha256 text NOT NULL
        CONSTRAINT dispute_evidence_has_a_hash CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    reference text NOT NULL
        CONSTRAINT dispute_evidence_is_named CHECK (length(reference) BETWEEN 1 AND 500),
    filed_at timestamptz NOT NULL,
    PRIMARY KEY (dispute_id, evidence_no)
);

CREATE TABLE dispute_decision (
    dispute_id uuid NOT NULL
        CONSTRAINT dispute_decision_dispute_is_known REFERENCES dispute (id),
    decision_no integer NOT NULL CONSTRAINT dispute_decision_counts CHECK (decision_no >= 1),
    payee_minor bigint NOT NULL
        CONSTRAINT dispute_decision_payee_not_negative CHECK (payee_minor >= 0),
    client_minor bigint NOT NULL
        CONSTRAINT dispute_decision_client_not_negative CHECK (client_minor >= 0),
    award_ref text NOT NULL CONSTRAINT dispute_decision_names_the_award
        CHECK (length(award_ref) BETWEEN 1 AND 500),
    proposer_id uuid NOT NULL,
    proposed_at timestamptz NOT NULL,
    approver_id uuid,
    approved_at timestamptz,
    PRIMARY KEY (dispute_id, decision_no),
    CONSTRAINT dispute_decision_takes_two CHECK (approver_id <> proposer_id),
    CONSTRAINT dispute_decision_approved_whole
        CHECK ((approver_id IS NULL) = (approved_at IS NULL))
);
CREATE UNIQUE INDEX dispute_decided_once ON dispute_decision (dispute_id)
    WHERE approver_id IS NOT NULL;
"""

GUARDS = """
CREATE FUNCTION dispute_moves_in_order() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'dispute % goes from version % to %', OLD.id, OLD.version, NEW.version
            USING ERRCODE = 'check_violation', CONSTRAINT = 'dispute_version_rises';
    END IF;
    IF OLD.resolution IS NOT NULL AND (NEW.resolution, NEW.payee_minor, NEW.client_minor)
        IS DISTINCT FROM (OLD.resolution, OLD.payee_minor, OLD.client_minor) THEN
        RAISE EXCEPTION 'dispute % is resolved already', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'dispute_resolved_once';
    END IF;
    IF NEW.resolution = 'defaulted' AND NOT EXISTS (
        SELECT FROM dispute_notice n WHERE n.dispute_id = NEW.id
    ) THEN
        RAISE EXCEPTION 'dispute % defaults without proof of notice', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'dispute_default_has_proof';
    END IF;
    IF NEW.resolution = 'decided' AND NOT EXISTS (
        SELECT FROM dispute_decision d
        WHERE d.dispute_id = NEW.id AND d.approver_id IS NOT NULL
            AND d.payee_minor = NEW.payee_minor AND d.client_minor = NEW.client_minor
    ) THEN
        RAISE EXCEPTION 'dispute % has no approved decision of these shares', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'dispute_decided_by_two';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER dispute_moves_in_order BEFORE UPDATE ON dispute
    FOR EACH ROW EXECUTE FUNCTION dispute_moves_in_order();

CREATE FUNCTION dispute_decision_stands() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF OLD.approver_id IS NOT NULL
        OR (OLD.payee_minor, OLD.client_minor, OLD.award_ref, OLD.proposer_id, OLD.proposed_at)
        IS DISTINCT FROM
        (NEW.payee_minor, NEW.client_minor, NEW.award_ref, NEW.proposer_id, NEW.proposed_at)
    THEN
        RAISE EXCEPTION 'decision % of dispute % stands', OLD.decision_no, OLD.dispute_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'dispute_decision_stands';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER dispute_decision_stands BEFORE UPDATE ON dispute_decision
    FOR EACH ROW EXECUTE FUNCTION dispute_decision_stands();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT UPDATE (disputed_minor) ON slot TO %I', tenant_role);
    EXECUTE format('GRANT SELECT, INSERT ON dispute, dispute_notice, dispute_offer,'
                   ' dispute_evidence, dispute_decision, dispute_rule TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, version, served_at, due_at, heard_by, extended_in,'
                   ' mediator_id, recommended_minor, client_elected, payee_elected,'
                   ' resolution, payee_minor, client_minor, ended_at) ON dispute TO %I',
                   tenant_role);
    EXECUTE format('GRANT UPDATE (approver_id, approved_at) ON dispute_decision TO %I',
                   tenant_role);
    EXECUTE format('GRANT UPDATE (small_claim_minor, fee_bps, version) ON dispute_rule TO %I',
                   tenant_role);
END $$;
"""


def upgrade() -> None:
    """Freeze parts of slots, keep disputes, and let them move by their machine alone."""
    for statements in (SLOT, DISPUTE, GUARDS, RIGHTS):
        run(statements)
    append_only("dispute_notice", "dispute_offer", "dispute_evidence")
    not_deleted("dispute_decision", "dispute")
    moves_by_its_machine("dispute")
    at_once = {("dispute", str(start), str(end)) for start, end in AT_ONCE}
    learn_steps({"slot": SLOTS, "dispute": DISPUTES}, more=at_once)
