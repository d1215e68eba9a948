"""Hours, continued: lines that are disputed one by one, deposits before the week, time that runs.

A disputed line is decided by two, or in silence only after the payee was told; it comes once. Of
one payee one run is open at a time.

Revision ID: 0020
"""

from escrow.machine_hourly import ENTRIES, LINE_DISPUTES, RUNS, WEEKS
from escrow.machine_slot import SLOTS
from migrations.guards import learn_steps, moves_by_its_machine, not_deleted
from migrations.statements import run

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TERMS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

ALTER TABLE hourly_term
    ADD COLUMN collect text NOT NULL DEFAULT 'arrears'
        CONSTRAINT hourly_term_collect_is_known CHECK (collect IN ('arrears', 'prefund')),
    ADD COLUMN unused text NOT NULL DEFAULT 'roll'
        CONSTRAINT hourly_term_unused_is_known CHECK (unused IN ('roll', 'return')),
    ADD COLUMN paused_at timestamptz
        CONSTRAINT hourly_term_rests_while_unpaid CHECK (paused_at IS NULL OR method_failed),
    ADD COLUMN ended_at timestamptz,
    ADD CONSTRAINT hourly_term_ends_after_its_start CHECK (ended_at >= accepted_at);

ALTER TABLE work_week
    DROP CONSTRAINT work_week_state_is_known,
    ADD CONSTRAINT work_week_state_is_known CHECK (state IN (
        'open', 'payee_review', 'invoiced', 'charge_failed', 'in_review', 'lines_disputed',
        'released', 'refunded', 'advanced', 'unpaid', 'written_off', 'closed'
    )),
    DROP CONSTRAINT work_week_slot_once_invoiced,
    ADD CONSTRAINT work_week_slot_once_invoiced CHECK (slot_id IS NOT NULL
        OR state IN ('open', 'payee_review', 'closed')),
    ADD CONSTRAINT work_week_bills_once_invoiced CHECK (amount_minor = 0
        OR state NOT IN ('open', 'payee_review', 'closed'));
"""

LINES = """
CREATE TABLE line_dispute (
    id uuid PRIMARY KEY,
    week_id uuid NOT NULL,
    line_no integer NOT NULL,
    slot_id uuid NOT NULL,
    contract_id uuid NOT NULL,
    currency char(3) NOT NULL,
    amount_minor bigint NOT NULL
        CONSTRAINT line_dispute_amount_is_positive CHECK (amount_minor > 0),
    protected_minor bigint NOT NULL CONSTRAINT line_dispute_protected_within_amount
        CHECK (protected_minor BETWEEN 0 AND amount_minor),
    opened_by uuid NOT NULL,
    reason text NOT NULL
        CONSTRAINT line_dispute_has_a_reason CHECK (length(reason) BETWEEN 1 AND 2000),
    opened_at timestamptz NOT NULL,
    state text NOT NULL CONSTRAINT line_dispute_state_is_known
        CHECK (state IN ('opened', 'awaiting_reply', 'contested', 'upheld', 'refunded')),
    version integer NOT NULL CONSTRAINT line_dispute_version_counts CHECK (version >= 1),
    served_at timestamptz,
    served_by uuid,
    channel text NOT NULL
        CONSTRAINT line_dispute_channel_is_short CHECK (length(channel) <= 100),
    proof text NOT NULL CONSTRAINT line_dispute_proof_is_short CHECK (length(proof) <= 500),
    due_at timestamptz,
    reply text NOT NULL CONSTRAINT line_dispute_reply_is_short CHECK (length(reply) <= 2000),
    proposed_refund_minor bigint CONSTRAINT line_dispute_proposes_within_amount
        CHECK (proposed_refund_minor BETWEEN 0 AND amount_minor),
    proposed_by uuid,
    approved_by uuid,
    refunded_minor bigint NOT NULL CONSTRAINT line_dispute_refund_within_amount
        CHECK (refunded_minor BETWEEN 0 AND amount_minor),
    ended_at timestamptz,
    CONSTRAINT line_dispute_line_is_known
        FOREIGN KEY (week_id, line_no) REFERENCES week_line (week_id, line_no),
    CONSTRAINT line_dispute_slot_is_of_its_contract
        FOREIGN KEY (slot_id, contract_id) REFERENCES slot (id, contract_id),
    CONSTRAINT line_dispute_currency_is_its_contracts
        FOREIGN KEY (contract_id, currency) REFERENCES contract (id, currency),
    CONSTRAINT line_dispute_comes_once UNIQUE (week_id, line_no),
    CONSTRAINT line_dispute_served_with_proof CHECK (
        (served_at IS NULL) = (served_by IS NULL)
        AND (served_at IS NULL) = (channel = '') AND (served_at IS NULL) = (proof = '')),
    CONSTRAINT line_dispute_waits_only_served
        CHECK (state <> 'awaiting_reply' OR (served_at IS NOT NULL AND due_at IS NOT NULL)),
    CONSTRAINT line_dispute_proposal_is_whole
        CHECK ((proposed_by IS NULL) = (proposed_refund_minor IS NULL)),
    CONSTRAINT line_dispute_takes_two CHECK (approved_by <> proposed_by),
    CONSTRAINT line_dispute_approves_what_was_proposed CHECK (approved_by IS NULL
        OR (proposed_refund_minor IS NOT NULL AND refunded_minor = proposed_refund_minor)),
    CONSTRAINT line_dispute_refunds_in_its_state
        CHECK ((state = 'refunded') = (refunded_minor > 0)),
    CONSTRAINT line_dispute_refunds_a_part_by_right CHECK (state <> 'refunded'
        OR refunded_minor = amount_minor OR approved_by IS NOT NULL
        OR (served_at IS NOT NULL AND refunded_minor = amount_minor - protected_minor)),
    CONSTRAINT line_dispute_ends_once
        CHECK ((ended_at IS NOT NULL) = (state IN ('upheld', 'refunded')))
);
CREATE INDEX line_dispute_open_by_slot ON line_dispute (slot_id) WHERE ended_at IS NULL;

CREATE TABLE time_run (
    id uuid PRIMARY KEY,
    term_id uuid NOT NULL,
    contract_id uuid NOT NULL,
    payee_id uuid NOT NULL,
    started_at timestamptz NOT NULL CONSTRAINT time_run_in_whole_minutes
        CHECK (date_trunc('minute', started_at, 'UTC') = started_at),
    memo text NOT NULL CONSTRAINT time_run_memo_is_short CHECK (length(memo) <= 500),
    activity integer NOT NULL CONSTRAINT time_run_activity_in_range
        CHECK (activity BETWEEN 0 AND 100),
    state text NOT NULL CONSTRAINT time_run_state_is_known
        CHECK (state IN ('running', 'stopped', 'discarded')),
    version integer NOT NULL CONSTRAINT time_run_version_counts CHECK (version >= 1),
    ended_at timestamptz,
    CONSTRAINT time_run_term_is_its_payees FOREIGN KEY (term_id, contract_id, payee_id)
        REFERENCES hourly_term (term_id, contract_id, payee_id),
    CONSTRAINT time_run_ends_when_stopped CHECK ((ended_at IS NULL) = (state = 'running'))
);
CREATE UNIQUE INDEX time_run_one_at_a_time ON time_run (payee_id) WHERE state = 'running';
CREATE INDEX time_run_open_by_term ON time_run (term_id) WHERE state = 'running';
"""

GUARDS = """
CREATE TRIGGER line_dispute_version_rises BEFORE UPDATE ON line_dispute
    FOR EACH ROW WHEN (NEW.version <> OLD.version + 1 OR OLD.ended_at IS NOT NULL)
    EXECUTE FUNCTION refuse_hourly_jump();
CREATE TRIGGER time_run_version_rises BEFORE UPDATE ON time_run
    FOR EACH ROW WHEN (NEW.version <> OLD.version + 1 OR OLD.ended_at IS NOT NULL)
    EXECUTE FUNCTION refuse_hourly_jump();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT UPDATE (paused_at, ended_at) ON hourly_term TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (ends_at, invoice_at, review_ends_at) ON work_week TO %I',
                   tenant_role);
    EXECUTE format('GRANT SELECT, INSERT ON line_dispute, time_run TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, version, served_at, served_by, channel, proof, due_at,'
                   ' reply, proposed_refund_minor, proposed_by, approved_by, refunded_minor,'
                   ' ended_at) ON line_dispute TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (started_at, memo, activity, state, version, ended_at)'
                   ' ON time_run TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Keep disputed lines and what runs, and let both move by their machines alone."""
    for statements in (TERMS, LINES, GUARDS, RIGHTS):
        run(statements)
    not_deleted("line_dispute", "time_run")
    moves_by_its_machine("line_dispute", "time_run")
    learn_steps(
        {
            "slot": SLOTS,
            "work_week": WEEKS,
            "time_entry": ENTRIES,
            "line_dispute": LINE_DISPUTES,
            "time_run": RUNS,
        }
    )
