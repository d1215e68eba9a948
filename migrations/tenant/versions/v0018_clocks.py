"""Clocks: reminders in the timer's own row, outages, proof of notice, limits of rails, reserves.

A timer's reminders move, stop and go with it, because they are columns of it. The rules are a
list that only grows: a contract goes by those that stood when it was accepted.

Revision ID: 0018
"""

from migrations.guards import append_only, not_deleted
from migrations.statements import run

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TIMER = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

ALTER TABLE timer
    ADD COLUMN remind_length interval
        CONSTRAINT timer_remind_length_is_positive CHECK (remind_length > interval '0'),
    ADD COLUMN reminded smallint NOT NULL DEFAULT 0
        CONSTRAINT timer_reminded_at_three_marks CHECK (reminded BETWEEN 0 AND 3),
    ADD COLUMN remind_at timestamptz,
    ADD COLUMN was_delayed boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT timer_reminds_of_a_length
        CHECK (remind_at IS NULL OR remind_length IS NOT NULL AND reminded < 3);
CREATE INDEX timer_remind ON timer (remind_at, subject, kind)
    WHERE paused_remaining IS NULL AND remind_at IS NOT NULL;
COMMENT ON COLUMN timer.remind_length IS
    'Of what length 50, 75 and 90 % are told; none: nobody is reminded of this clock.';
COMMENT ON COLUMN timer.was_delayed IS
    'Whether an outage has moved this clock already: that happens once.';
"""

RULES = """
CREATE TABLE clock_rule (
    rule_no integer PRIMARY KEY CONSTRAINT clock_rule_counts CHECK (rule_no >= 1),
    outage_after interval NOT NULL CONSTRAINT clock_rule_outage_in_range
        CHECK (outage_after BETWEEN interval '1 minute' AND interval '30 days'),
    courtesy interval NOT NULL CONSTRAINT clock_rule_courtesy_in_range
        CHECK (courtesy BETWEEN interval '0' AND interval '7 days'),
    drain_per_s integer NOT NULL CONSTRAINT clock_rule_drain_in_range
        CHECK (drain_per_s BETWEEN 1 AND 100000),
    notice text NOT NULL CONSTRAINT clock_rule_notice_is_known
        CHECK (notice IN ('assumed', 'required')),
    set_by uuid NOT NULL,
    set_at timestamptz NOT NULL
);
COMMENT ON TABLE clock_rule IS
    'How clocks run from a moment on; a contract keeps what stood when it was accepted.';
"""

OUTAGES = """
CREATE TABLE timer_scan (
    is_only boolean CONSTRAINT timer_scan_pk PRIMARY KEY DEFAULT true
        CONSTRAINT timer_scan_has_one_row CHECK (is_only),
    scanned_at timestamptz
);
INSERT INTO timer_scan DEFAULT VALUES;
COMMENT ON COLUMN timer_scan.scanned_at IS
    'When the scanner last looked, by the database''s own clock; never looked: no outage yet.';

CREATE TABLE timer_outage (
    outage_no integer PRIMARY KEY CONSTRAINT timer_outage_counts CHECK (outage_no >= 1),
    from_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL,
    courtesy interval NOT NULL,
    delayed_count integer NOT NULL
        CONSTRAINT timer_outage_delays_count CHECK (delayed_count >= 0),
    CONSTRAINT timer_outage_runs_forward CHECK (from_at < until_at)
);
"""

NOTICE = """
CREATE TABLE clock_notice (
    id uuid PRIMARY KEY,
    subject text NOT NULL CONSTRAINT clock_notice_subject_is_named
        CHECK (subject ~ '^[a-z_]+:[0-9a-f-]{36}$'),
    kind text NOT NULL
        CONSTRAINT clock_notice_kind_is_a_clock CHECK (length(kind) BETWEEN 1 AND 60),
    party_id uuid NOT NULL CONSTRAINT clock_notice_party_is_known REFERENCES party (id),
    channel text NOT NULL
        CONSTRAINT clock_notice_channel_is_named CHECK (length(channel) BETWEEN 1 AND 100),
    proof text NOT NULL
        CONSTRAINT clock_notice_has_proof CHECK (length(proof) BETWEEN 1 AND 500),
    told_at timestamptz NOT NULL,
    recorded_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT clock_notice_told_before_recorded CHECK (told_at <= recorded_at)
);
CREATE INDEX clock_notice_by_subject ON clock_notice (subject, kind, told_at);
COMMENT ON TABLE clock_notice IS
    'Proof that a party was told of a clock: without one no default, where rules require it.';
"""

LIMITS = """
CREATE TABLE hold_limit (
    rail_account text PRIMARY KEY CONSTRAINT hold_limit_account_is_named
        CHECK (rail_account ~ '^[a-z0-9][a-z0-9_:.-]{0,63}$'),
    most_days integer NOT NULL
        CONSTRAINT hold_limit_days_in_range CHECK (most_days BETWEEN 1 AND 730),
    version integer NOT NULL CONSTRAINT hold_limit_version_counts CHECK (version >= 1)
);
COMMENT ON TABLE hold_limit IS
    'How long a rail may keep client money; an account without a row has no limit of its own.';

CREATE TABLE reserve_rule (
    payee_id uuid PRIMARY KEY CONSTRAINT reserve_rule_payee_is_known REFERENCES party (id),
    reserve_bps integer NOT NULL
        CONSTRAINT reserve_rule_share_in_range CHECK (reserve_bps BETWEEN 0 AND 10000),
    reserve_days integer NOT NULL
        CONSTRAINT reserve_rule_days_in_range CHECK (reserve_days BETWEEN 1 AND 365),
    reason text NOT NULL
        CONSTRAINT reserve_rule_has_a_reason CHECK (length(reason) BETWEEN 1 AND 2000),
    version integer NOT NULL CONSTRAINT reserve_rule_version_counts CHECK (version >= 1)
);
COMMENT ON TABLE reserve_rule IS
    'What part of a payee''s releases is kept back, and for how long; none: nothing is.';

CREATE TABLE reserve (
    id uuid PRIMARY KEY,
    release_id uuid NOT NULL CONSTRAINT reserve_once_a_release UNIQUE
        CONSTRAINT reserve_release_is_known REFERENCES release (id),
    contract_id uuid NOT NULL
        CONSTRAINT reserve_contract_is_known REFERENCES contract (id),
    payee_id uuid NOT NULL CONSTRAINT reserve_payee_is_known REFERENCES party (id),
    currency char(3) NOT NULL CONSTRAINT reserve_currency_is_known REFERENCES currency (code),
    amount_minor bigint NOT NULL
        CONSTRAINT reserve_amount_is_positive CHECK (amount_minor > 0),
    state text NOT NULL CONSTRAINT reserve_state_is_known CHECK (state IN ('kept', 'given')),
    kept_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL CONSTRAINT reserve_is_kept_a_while CHECK (due_at > kept_at)
);
CREATE INDEX reserve_by_payee ON reserve (payee_id, id) WHERE state = 'kept';
"""

GUARDS = """
CREATE FUNCTION reserve_is_given_once() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF OLD.state <> 'kept' OR NEW.state <> 'given' OR (OLD.id, OLD.release_id, OLD.contract_id,
        OLD.payee_id, OLD.currency, OLD.amount_minor, OLD.kept_at, OLD.due_at)
        IS DISTINCT FROM (NEW.id, NEW.release_id, NEW.contract_id, NEW.payee_id, NEW.currency,
        NEW.amount_minor, NEW.kept_at, NEW.due_at) THEN
        RAISE EXCEPTION 'reserve % is kept, then given, and nothing else', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'reserve_is_given_once';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER reserve_is_given_once BEFORE UPDATE ON reserve
    FOR EACH ROW EXECUTE FUNCTION reserve_is_given_once();

CREATE FUNCTION clock_rule_comes_next() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT FROM clock_rule r WHERE r.set_at > NEW.set_at OR r.rule_no >= NEW.rule_no)
    THEN
        RAISE EXCEPTION 'rule % does not follow the rules there are', NEW.rule_no
            USING ERRCODE = 'check_violation', CONSTRAINT = 'clock_rule_comes_next';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER clock_rule_comes_next BEFORE INSERT ON clock_rule
    FOR EACH ROW EXECUTE FUNCTION clock_rule_comes_next();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON clock_rule, timer_outage, clock_notice, hold_limit,'
                   ' reserve_rule, reserve TO %I', tenant_role);
    EXECUTE format('GRANT SELECT, UPDATE (scanned_at) ON timer_scan TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (most_days, version) ON hold_limit TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (reserve_bps, reserve_days, reason, version) ON reserve_rule'
                   ' TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state) ON reserve TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Let timers remind, and keep rules, outages, notices, limits and reserves."""
    for statements in (TIMER, RULES, OUTAGES, NOTICE, LIMITS, GUARDS, RIGHTS):
        run(statements)
    append_only("clock_rule", "timer_outage", "clock_notice")
    not_deleted("timer_scan", "hold_limit", "reserve_rule", "reserve")
