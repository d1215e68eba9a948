"""Hourly terms: rates, weeks, time entries, invoice lines, and claims on clients.

No hour of one payee is billed twice, whatever the contract: overlapping intervals are excluded
here, over all terms. An entry that was locked keeps its times, a billed one its line.

Revision ID: 0015
"""

from escrow.machine_hourly import ENTRIES, WEEKS
from migrations.guards import append_only, learn_steps, moves_by_its_machine, not_deleted
from migrations.statements import run

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TERMS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

CREATE TYPE uuid_range AS RANGE (subtype = uuid);
COMMENT ON TYPE uuid_range IS
    'One id as a range of itself, so that GiST compares it without an extension.';

CREATE TABLE hourly_term (
    term_id uuid PRIMARY KEY,
    contract_id uuid NOT NULL,
    payee_id uuid NOT NULL,
    currency char(3) NOT NULL,
    state text NOT NULL CONSTRAINT hourly_term_state_is_known
        CHECK (state IN ('proposed', 'active')),
    version integer NOT NULL CONSTRAINT hourly_term_version_counts CHECK (version >= 1),
    proposed_by text NOT NULL CONSTRAINT hourly_term_proposed_by_a_party
        CHECK (proposed_by IN ('client', 'payee')),
    week_zone text NOT NULL CONSTRAINT hourly_term_zone_is_named
        CHECK (length(week_zone) BETWEEN 1 AND 64),
    activity_floor integer NOT NULL CONSTRAINT hourly_term_activity_floor_in_range
        CHECK (activity_floor BETWEEN 0 AND 100),
    method text NOT NULL CONSTRAINT hourly_term_method_is_known
        CHECK (method IN ('card', 'bank_debit', 'bank_transfer', 'wallet')),
    method_token text NOT NULL CONSTRAINT hourly_term_method_token_is_short
        CHECK (length(method_token) <= 255),
    rail_account text NOT NULL,
    limit_minutes integer NOT NULL CONSTRAINT hourly_term_limit_in_range
        CHECK (limit_minutes BETWEEN 0 AND 10140),
    method_failed boolean NOT NULL,
    created_at timestamptz NOT NULL,
    accepted_at timestamptz,
    CONSTRAINT hourly_term_is_of_its_contract
        FOREIGN KEY (term_id, contract_id) REFERENCES term (id, contract_id),
    CONSTRAINT hourly_term_currency_is_its_contracts
        FOREIGN KEY (contract_id, currency) REFERENCES contract (id, currency),
    CONSTRAINT hourly_term_active_once_accepted
        CHECK ((state = 'active') = (accepted_at IS NOT NULL)),
    CONSTRAINT hourly_term_payee_unique UNIQUE (term_id, contract_id, payee_id)
);
CREATE INDEX hourly_term_by_contract ON hourly_term (contract_id);

CREATE FUNCTION hourly_term_is_what_its_contract_says() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM contract JOIN term ON term.contract_id = contract.id
        WHERE contract.id = NEW.contract_id AND contract.payee_id = NEW.payee_id
            AND term.id = NEW.term_id AND term.kind = 'hourly'
    ) THEN
        RAISE EXCEPTION 'hourly term % is not its contract''s', NEW.term_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'hourly_term_fits_its_contract';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER hourly_term_fits_its_contract BEFORE INSERT ON hourly_term
    FOR EACH ROW EXECUTE FUNCTION hourly_term_is_what_its_contract_says();

CREATE TABLE hourly_rate (
    term_id uuid NOT NULL CONSTRAINT hourly_rate_term_is_known REFERENCES hourly_term (term_id),
    seq integer NOT NULL CONSTRAINT hourly_rate_seq_counts CHECK (seq >= 1),
    rate_minor bigint NOT NULL CONSTRAINT hourly_rate_in_range
        CHECK (rate_minor BETWEEN 1 AND 1000000000000),
    from_at timestamptz NOT NULL,
    PRIMARY KEY (term_id, seq),
    CONSTRAINT hourly_rate_one_at_a_time UNIQUE (term_id, from_at)
);
"""

WEEKS_AND_ENTRIES = """
CREATE TABLE work_week (
    id uuid PRIMARY KEY,
    term_id uuid NOT NULL,
    contract_id uuid NOT NULL,
    slot_id uuid CONSTRAINT work_week_owns_its_slot UNIQUE,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    invoice_at timestamptz NOT NULL,
    review_ends_at timestamptz NOT NULL,
    state text NOT NULL CONSTRAINT work_week_state_is_known CHECK (state IN (
        'open', 'payee_review', 'invoiced', 'charge_failed', 'in_review', 'released', 'refunded',
        'advanced', 'unpaid', 'written_off', 'closed'
    )),
    version integer NOT NULL CONSTRAINT work_week_version_counts CHECK (version >= 1),
    limit_minutes integer NOT NULL CONSTRAINT work_week_limit_in_range
        CHECK (limit_minutes BETWEEN 0 AND 10140),
    amount_minor bigint NOT NULL CONSTRAINT work_week_amount_in_range
        CHECK (amount_minor BETWEEN 0 AND 1000000000000000),
    protected_minor bigint NOT NULL CONSTRAINT work_week_protected_within_amount
        CHECK (protected_minor BETWEEN 0 AND amount_minor),
    advanced_minor bigint NOT NULL CONSTRAINT work_week_advance_is_protected
        CHECK (advanced_minor IN (0, protected_minor)),
    charge_attempts integer NOT NULL CONSTRAINT work_week_attempts_count
        CHECK (charge_attempts >= 0),
    code text NOT NULL,
    CONSTRAINT work_week_term_is_hourly
        FOREIGN KEY (term_id) REFERENCES hourly_term (term_id),
    CONSTRAINT work_week_term_is_of_its_contract
        FOREIGN KEY (term_id, contract_id) REFERENCES term (id, contract_id),
    CONSTRAINT work_week_slot_is_of_its_contract
        FOREIGN KEY (slot_id, contract_id) REFERENCES slot (id, contract_id),
    CONSTRAINT work_week_runs_forward
        CHECK (starts_at < ends_at AND ends_at <= invoice_at AND invoice_at <= review_ends_at),
    CONSTRAINT work_week_comes_once UNIQUE (term_id, starts_at),
    CONSTRAINT work_week_of_term_unique UNIQUE (id, term_id),
    CONSTRAINT work_week_slot_once_invoiced CHECK ((slot_id IS NULL)
        = (state IN ('open', 'payee_review', 'closed'))),
    CONSTRAINT work_week_advanced_in_its_states CHECK (advanced_minor > 0
        OR state NOT IN ('advanced', 'written_off'))
);

CREATE TABLE week_line (
    week_id uuid NOT NULL CONSTRAINT week_line_week_is_known REFERENCES work_week (id),
    line_no integer NOT NULL CONSTRAINT week_line_counts CHECK (line_no >= 1),
    rate_minor bigint NOT NULL CONSTRAINT week_line_rate_is_positive CHECK (rate_minor > 0),
    is_late boolean NOT NULL,
    minutes integer NOT NULL CONSTRAINT week_line_bills_minutes CHECK (minutes > 0),
    amount_minor bigint NOT NULL,
    protected_minutes integer NOT NULL CONSTRAINT week_line_protects_its_minutes
        CHECK (protected_minutes BETWEEN 0 AND minutes),
    protected_minor bigint NOT NULL CONSTRAINT week_line_protects_its_amount
        CHECK (protected_minor BETWEEN 0 AND amount_minor),
    PRIMARY KEY (week_id, line_no),
    CONSTRAINT week_line_one_per_rate UNIQUE (week_id, rate_minor, is_late),
    CONSTRAINT week_line_rounded_once
        CHECK (amount_minor = (2 * minutes * rate_minor + 60) / 120),
    CONSTRAINT week_line_late_is_unprotected CHECK (NOT is_late OR protected_minutes = 0)
);

CREATE TABLE time_entry (
    id uuid PRIMARY KEY,
    term_id uuid NOT NULL,
    contract_id uuid NOT NULL,
    payee_id uuid NOT NULL,
    week_starts_at timestamptz NOT NULL,
    week_id uuid,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    source text NOT NULL CONSTRAINT time_entry_source_is_known
        CHECK (source IN ('tracked', 'manual')),
    memo text NOT NULL CONSTRAINT time_entry_memo_is_short CHECK (length(memo) <= 500),
    activity integer NOT NULL CONSTRAINT time_entry_activity_in_range
        CHECK (activity BETWEEN 0 AND 100),
    rate_minor bigint NOT NULL CONSTRAINT time_entry_rate_is_positive CHECK (rate_minor > 0),
    state text NOT NULL CONSTRAINT time_entry_state_is_known CHECK (state IN
        ('logged', 'locked', 'late', 'late_approved', 'billed', 'deleted')),
    version integer NOT NULL CONSTRAINT time_entry_version_counts CHECK (version >= 1),
    method_verified boolean NOT NULL,
    identity_verified boolean NOT NULL,
    payee_clear boolean NOT NULL,
    logged_at timestamptz NOT NULL,
    billed_minutes integer NOT NULL,
    over_limit boolean NOT NULL,
    is_protected boolean NOT NULL,
    reason text NOT NULL,
    line_no integer,
    CONSTRAINT time_entry_runs_forward CHECK (started_at < ended_at),
    CONSTRAINT time_entry_in_whole_minutes CHECK (
        date_trunc('minute', started_at, 'UTC') = started_at
        AND date_trunc('minute', ended_at, 'UTC') = ended_at),
    CONSTRAINT time_entry_bills_what_it_lasted CHECK (billed_minutes
        BETWEEN 0 AND extract(epoch FROM ended_at - started_at) / 60),
    CONSTRAINT time_entry_billed_on_a_line
        CHECK ((billed_minutes > 0) = (line_no IS NOT NULL)),
    CONSTRAINT time_entry_billed_in_its_state
        CHECK (state = 'billed' OR line_no IS NULL),
    CONSTRAINT time_entry_unprotected_has_a_reason
        CHECK (state <> 'billed' OR is_protected = (reason = '')),
    CONSTRAINT time_entry_waits_only_late
        CHECK (week_id IS NOT NULL OR state IN ('late', 'late_approved', 'deleted')),
    CONSTRAINT time_entry_term_is_its_payees FOREIGN KEY (term_id, contract_id, payee_id)
        REFERENCES hourly_term (term_id, contract_id, payee_id),
    CONSTRAINT time_entry_week_is_of_its_term
        FOREIGN KEY (week_id, term_id) REFERENCES work_week (id, term_id),
    CONSTRAINT time_entry_line_is_of_its_week
        FOREIGN KEY (week_id, line_no) REFERENCES week_line (week_id, line_no),
    CONSTRAINT time_entry_no_hour_twice EXCLUDE USING gist (
        uuid_range(payee_id, payee_id, '[]') WITH &&,
        tstzrange(started_at, ended_at, '[)') WITH &&
    ) WHERE (state <> 'deleted')
);
CREATE INDEX time_entry_by_week ON time_entry (week_id, started_at);
CREATE INDEX time_entry_late_by_term ON time_entry (term_id, started_at)
    WHERE state IN ('late', 'late_approved');
CREATE INDEX time_entry_by_worked_week ON time_entry (term_id, week_starts_at);

CREATE TABLE client_claim (
    week_id uuid PRIMARY KEY
        CONSTRAINT client_claim_week_is_known REFERENCES work_week (id),
    client_id uuid NOT NULL CONSTRAINT client_claim_client_is_known REFERENCES party (id),
    currency char(3) NOT NULL
        CONSTRAINT client_claim_currency_is_known REFERENCES currency (code),
    gross_minor bigint NOT NULL CONSTRAINT client_claim_is_positive CHECK (gross_minor > 0),
    commission_minor bigint NOT NULL CONSTRAINT client_claim_commission_within_gross
        CHECK (commission_minor BETWEEN 0 AND gross_minor),
    fee_minor bigint NOT NULL CONSTRAINT client_claim_fee_not_negative CHECK (fee_minor >= 0),
    state text NOT NULL CONSTRAINT client_claim_state_is_known
        CHECK (state IN ('open', 'paid', 'written_off')),
    version integer NOT NULL CONSTRAINT client_claim_version_counts CHECK (version >= 1),
    made_at timestamptz NOT NULL,
    proposed_by uuid,
    approved_by uuid,
    CONSTRAINT client_claim_written_off_by_two CHECK (approved_by <> proposed_by),
    CONSTRAINT client_claim_approved_was_proposed
        CHECK (approved_by IS NULL OR proposed_by IS NOT NULL),
    CONSTRAINT client_claim_written_off_was_approved
        CHECK ((state = 'written_off') = (approved_by IS NOT NULL))
);
CREATE INDEX client_claim_by_client ON client_claim (client_id, made_at);
"""

GUARDS = """
CREATE FUNCTION refuse_hourly_jump() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'a row of % takes another version than the next, or is ended', tg_table_name
        USING ERRCODE = 'check_violation', CONSTRAINT = tg_table_name || '_version_rises';
END $$;
CREATE TRIGGER hourly_term_version_rises BEFORE UPDATE ON hourly_term
    FOR EACH ROW WHEN (NEW.version <> OLD.version + 1 OR (OLD.state = 'active'
        AND NEW.state <> 'active')) EXECUTE FUNCTION refuse_hourly_jump();
CREATE TRIGGER work_week_version_rises BEFORE UPDATE ON work_week
    FOR EACH ROW WHEN (NEW.version <> OLD.version + 1) EXECUTE FUNCTION refuse_hourly_jump();
CREATE TRIGGER time_entry_version_rises BEFORE UPDATE ON time_entry
    FOR EACH ROW WHEN (NEW.version <> OLD.version + 1) EXECUTE FUNCTION refuse_hourly_jump();
CREATE TRIGGER client_claim_version_rises BEFORE UPDATE ON client_claim
    FOR EACH ROW WHEN (NEW.version <> OLD.version + 1 OR OLD.state <> 'open')
    EXECUTE FUNCTION refuse_hourly_jump();

CREATE FUNCTION refuse_locked_entry() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'time entry % is % and keeps what it says', OLD.id, OLD.state
        USING ERRCODE = 'check_violation', CONSTRAINT = 'time_entry_locked_stays';
END $$;
CREATE TRIGGER time_entry_locked_stays BEFORE UPDATE ON time_entry
    FOR EACH ROW WHEN (
        OLD.state IN ('billed', 'deleted')
        OR (OLD.state <> 'logged'
            AND (OLD.started_at, OLD.ended_at, OLD.memo, OLD.source, OLD.rate_minor)
                IS DISTINCT FROM (NEW.started_at, NEW.ended_at, NEW.memo, NEW.source,
                    NEW.rate_minor))
    ) EXECUTE FUNCTION refuse_locked_entry();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON hourly_term, hourly_rate, work_week, week_line,'
                   ' time_entry, client_claim TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, version, limit_minutes, method_failed, accepted_at)'
                   ' ON hourly_term TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (slot_id, state, version, limit_minutes, amount_minor,'
                   ' protected_minor, advanced_minor, charge_attempts, code)'
                   ' ON work_week TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (week_id, started_at, ended_at, source, memo, rate_minor, state,'
                   ' version, billed_minutes, over_limit, is_protected, reason, line_no)'
                   ' ON time_entry TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, version, proposed_by, approved_by)'
                   ' ON client_claim TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Keep hours, weeks and their invoices, and let them move by their machines alone."""
    for statements in (TERMS, WEEKS_AND_ENTRIES, GUARDS, RIGHTS):
        run(statements)
    append_only("hourly_rate", "week_line")
    not_deleted("time_entry", "work_week", "client_claim")
    moves_by_its_machine("work_week", "time_entry")
    learn_steps({"work_week": WEEKS, "time_entry": ENTRIES})
