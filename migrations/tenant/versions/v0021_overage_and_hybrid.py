"""Retainers that exceed, pause and change; contracts whose terms both sides end.

What exceeds a period has a slot of its own. The hours of a drawdown are kept, so that no hour of
one payee is billed by two terms, whatever their kind: logged and drawn hours exclude each other,
and where two terms of a contract bill hours, a drawdown must name its own.

Revision ID: 0021
"""

from escrow.machine_hybrid import TERM_AMENDMENTS
from escrow.machine_retainer import DRAWDOWNS, PERIODS, RETAINERS
from migrations.guards import learn_steps, moves_by_its_machine, not_deleted
from migrations.statements import run

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

RETAINER = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

ALTER TABLE retainer
    ADD COLUMN overage_minor bigint NOT NULL DEFAULT 0
        CONSTRAINT retainer_overage_price_in_range
            CHECK (overage_minor BETWEEN 0 AND 1000000000000000),
    ADD COLUMN on_pause text NOT NULL DEFAULT 'extend'
        CONSTRAINT retainer_on_pause_is_known CHECK (on_pause IN ('extend', 'prorate')),
    ADD COLUMN pause_asked_by text
        CONSTRAINT retainer_pause_asked_by_a_party CHECK (pause_asked_by IN ('client', 'payee')),
    ADD COLUMN shift_days integer NOT NULL DEFAULT 0
        CONSTRAINT retainer_shifts_forward CHECK (shift_days >= 0),
    DROP CONSTRAINT retainer_overage_is_known,
    ADD CONSTRAINT retainer_overage_is_known CHECK (overage IN ('block', 'approve', 'bill')),
    ADD CONSTRAINT retainer_overage_has_a_unit
        CHECK (overage = 'block' OR kind <> 'access_fee'),
    ADD CONSTRAINT retainer_overage_priced_if_there_is_one
        CHECK (overage <> 'block' OR overage_minor = 0);

ALTER TABLE retainer_period
    ADD COLUMN paused_at timestamptz,
    ADD COLUMN paused_days integer NOT NULL DEFAULT 0
        CONSTRAINT period_paused_days_count CHECK (paused_days >= 0),
    DROP CONSTRAINT period_state_is_known,
    ADD CONSTRAINT period_state_is_known CHECK (state IN (
        'scheduled', 'funding', 'funded', 'active', 'paused', 'closing', 'settled', 'lapsed',
        'cancelled'
    )),
    ADD CONSTRAINT period_paused_since CHECK ((state = 'paused') = (paused_at IS NOT NULL));
CREATE INDEX retainer_period_by_contract ON retainer_period (contract_id);

ALTER TABLE drawdown
    ADD COLUMN exceeds boolean NOT NULL DEFAULT false,
    ADD COLUMN slot_id uuid
        CONSTRAINT drawdown_slot_is_known REFERENCES slot (id)
        CONSTRAINT drawdown_owns_its_slot UNIQUE,
    ADD COLUMN attempts integer NOT NULL DEFAULT 0
        CONSTRAINT drawdown_attempts_count CHECK (attempts >= 0),
    ADD COLUMN opened_at timestamptz,
    DROP CONSTRAINT drawdown_state_is_known,
    ADD CONSTRAINT drawdown_state_is_known CHECK (state IN (
        'submitted', 'approved', 'rejected', 'withdrawn', 'charging', 'lapsed', 'unpaid',
        'settled'
    )),
    ADD CONSTRAINT drawdown_exceeding_is_charged_apart CHECK (
        (slot_id IS NOT NULL)
        = (exceeds AND state IN ('charging', 'approved', 'unpaid', 'settled'))
    ),
    ADD CONSTRAINT drawdown_charged_only_exceeding CHECK (
        exceeds OR state NOT IN ('charging', 'lapsed', 'unpaid', 'settled')
    );

CREATE TABLE drawdown_time (
    drawdown_id uuid NOT NULL
        CONSTRAINT drawdown_time_drawdown_is_known REFERENCES drawdown (id),
    seq integer NOT NULL CONSTRAINT drawdown_time_seq_counts CHECK (seq >= 1),
    payee_id uuid NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    is_void boolean NOT NULL,
    PRIMARY KEY (drawdown_id, seq),
    CONSTRAINT drawdown_time_runs_forward CHECK (started_at < ended_at),
    CONSTRAINT drawdown_time_in_whole_minutes CHECK (
        date_trunc('minute', started_at, 'UTC') = started_at
        AND date_trunc('minute', ended_at, 'UTC') = ended_at),
    CONSTRAINT drawdown_time_no_hour_twice EXCLUDE USING gist (
        uuid_range(payee_id, payee_id, '[]') WITH &&,
        tstzrange(started_at, ended_at, '[)') WITH &&
    ) WHERE (NOT is_void)
);
"""

AMENDMENTS = """
CREATE TABLE term_amendment (
    id uuid PRIMARY KEY,
    contract_id uuid NOT NULL,
    term_id uuid NOT NULL,
    action text NOT NULL
        CONSTRAINT term_amendment_action_is_known CHECK (action IN ('end', 'change')),
    proposed_by text NOT NULL CONSTRAINT term_amendment_proposed_by_a_party
        CHECK (proposed_by IN ('client', 'payee')),
    state text NOT NULL CONSTRAINT term_amendment_state_is_known
        CHECK (state IN ('proposed', 'signed', 'rejected', 'withdrawn')),
    version integer NOT NULL CONSTRAINT term_amendment_version_counts CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    amount_minor bigint CONSTRAINT term_amendment_amount_in_range
        CHECK (amount_minor BETWEEN 1 AND 1000000000000000),
    hourly_minor bigint CONSTRAINT term_amendment_hourly_in_range
        CHECK (hourly_minor BETWEEN 0 AND 1000000000000000),
    quota integer CONSTRAINT term_amendment_quota_in_range CHECK (quota BETWEEN 0 AND 10000),
    from_no integer CONSTRAINT term_amendment_period_counts CHECK (from_no >= 1),
    signed_at timestamptz,
    CONSTRAINT term_amendment_term_is_of_its_contract
        FOREIGN KEY (term_id, contract_id) REFERENCES term (id, contract_id),
    CONSTRAINT term_amendment_changes_a_whole_price CHECK (
        CASE action WHEN 'change' THEN num_nulls(amount_minor, hourly_minor, quota) = 0
        ELSE num_nonnulls(amount_minor, hourly_minor, quota, from_no) = 0 END
    ),
    CONSTRAINT term_amendment_signed_once CHECK ((state = 'signed') = (signed_at IS NOT NULL)),
    CONSTRAINT term_amendment_counts_once_signed CHECK (
        (from_no IS NOT NULL) = (action = 'change' AND state = 'signed')
    )
);
CREATE INDEX term_amendment_by_contract ON term_amendment (contract_id, id);
CREATE INDEX term_amendment_by_term ON term_amendment (term_id);
CREATE UNIQUE INDEX term_amendment_one_open_per_term ON term_amendment (term_id)
    WHERE state = 'proposed';

CREATE TRIGGER term_amendment_version_rises BEFORE UPDATE ON term_amendment
    FOR EACH ROW WHEN (NEW.version <> OLD.version + 1) EXECUTE FUNCTION row_version_rises();
"""

GUARDS = """
CREATE FUNCTION check_hours_are_free() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    is_taken boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('time_entry:' || NEW.payee_id, 0));
    IF tg_table_name = 'time_entry' THEN
        SELECT EXISTS (
            SELECT FROM drawdown_time d WHERE NOT d.is_void
                AND uuid_range(d.payee_id, d.payee_id, '[]')
                    && uuid_range(NEW.payee_id, NEW.payee_id, '[]')
                AND tstzrange(d.started_at, d.ended_at, '[)')
                    && tstzrange(NEW.started_at, NEW.ended_at, '[)')
        ) INTO is_taken;
    ELSE
        SELECT EXISTS (
            SELECT FROM time_entry e WHERE e.state <> 'deleted'
                AND uuid_range(e.payee_id, e.payee_id, '[]')
                    && uuid_range(NEW.payee_id, NEW.payee_id, '[]')
                AND tstzrange(e.started_at, e.ended_at, '[)')
                    && tstzrange(NEW.started_at, NEW.ended_at, '[)')
        ) INTO is_taken;
    END IF;
    IF is_taken THEN
        RAISE EXCEPTION 'hours from % of payee % are billed by another term', NEW.started_at,
            NEW.payee_id USING ERRCODE = 'exclusion_violation',
            CONSTRAINT = 'no_hour_by_two_terms';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER time_entry_no_hour_by_two_terms
    BEFORE INSERT OR UPDATE OF started_at, ended_at ON time_entry
    FOR EACH ROW WHEN (NEW.state <> 'deleted') EXECUTE FUNCTION check_hours_are_free();
CREATE TRIGGER drawdown_time_no_hour_by_two_terms BEFORE INSERT ON drawdown_time
    FOR EACH ROW WHEN (NOT NEW.is_void) EXECUTE FUNCTION check_hours_are_free();

CREATE FUNCTION check_drawdown_time() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM drawdown d
        JOIN retainer_period p ON p.id = d.period_id
        JOIN contract c ON c.id = p.contract_id
        WHERE d.id = NEW.drawdown_id AND c.payee_id = NEW.payee_id
    ) THEN
        RAISE EXCEPTION 'hours of drawdown % are not its payee''s', NEW.drawdown_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'drawdown_time_is_its_payees';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER drawdown_time_is_its_payees BEFORE INSERT ON drawdown_time
    FOR EACH ROW EXECUTE FUNCTION check_drawdown_time();

CREATE FUNCTION refuse_hours_back() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'hours of drawdown % only become free', OLD.drawdown_id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'drawdown_time_stays_void';
END $$;
CREATE TRIGGER drawdown_time_stays_void BEFORE UPDATE ON drawdown_time
    FOR EACH ROW WHEN (OLD.is_void AND NOT NEW.is_void) EXECUTE FUNCTION refuse_hours_back();

CREATE FUNCTION check_drawn_hours() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    drawn bigint;
    is_by_hours boolean;
    is_billed_beside boolean;
BEGIN
    SELECT coalesce(sum(extract(epoch FROM ended_at - started_at) / 60), 0) INTO drawn
    FROM drawdown_time WHERE drawdown_id = NEW.id;
    SELECT r.kind = 'hours_drawdown', EXISTS (
        SELECT FROM hourly_term h WHERE h.contract_id = r.contract_id
        UNION ALL
        SELECT FROM retainer other WHERE other.contract_id = r.contract_id AND other.id <> r.id
            AND other.kind = 'hours_drawdown' AND other.state <> 'offered'
    ) INTO is_by_hours, is_billed_beside
    FROM retainer_period p JOIN retainer r ON r.id = p.retainer_id WHERE p.id = NEW.period_id;
    IF drawn = 0 AND NOT (is_by_hours AND is_billed_beside) THEN
        RETURN NULL;
    END IF;
    IF NOT is_by_hours OR drawn <> NEW.units THEN
        RAISE EXCEPTION 'drawdown % bills % minutes and names %', NEW.id, NEW.units, drawn
            USING ERRCODE = 'check_violation', CONSTRAINT = 'drawdown_names_its_hours';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER drawdown_names_its_hours AFTER INSERT ON drawdown
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_drawn_hours();

CREATE FUNCTION check_drawdown_slot() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM retainer_period p JOIN slot s ON s.term_id = p.retainer_id
        WHERE p.id = NEW.period_id AND s.id = NEW.slot_id AND s.id <> p.id
    ) THEN
        RAISE EXCEPTION 'slot % is not of the retainer of drawdown %', NEW.slot_id, NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'drawdown_slot_is_its_retainers';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER drawdown_slot_is_its_retainers BEFORE INSERT OR UPDATE OF slot_id ON drawdown
    FOR EACH ROW WHEN (NEW.slot_id IS NOT NULL) EXECUTE FUNCTION check_drawdown_slot();

CREATE FUNCTION refuse_other_days() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'the days of period % are over and stay', OLD.id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'period_days_stay';
END $$;
CREATE TRIGGER period_days_stay BEFORE UPDATE ON retainer_period
    FOR EACH ROW WHEN (
        (OLD.first_on, OLD.next_on, OLD.starts_at, OLD.ends_at, OLD.paused_days)
            IS DISTINCT FROM
        (NEW.first_on, NEW.next_on, NEW.starts_at, NEW.ends_at, NEW.paused_days)
        AND OLD.state IN ('closing', 'settled', 'lapsed', 'cancelled')
    ) EXECUTE FUNCTION refuse_other_days();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON drawdown_time, term_amendment TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (is_void) ON drawdown_time TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, version, from_no, signed_at) ON term_amendment TO %I',
                   tenant_role);
    EXECUTE format('GRANT UPDATE (pause_asked_by, shift_days) ON retainer TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (first_on, next_on, starts_at, ends_at, paused_at, paused_days)'
                   ' ON retainer_period TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (slot_id, attempts, opened_at) ON drawdown TO %I', tenant_role);
END $$;
"""

MACHINES = {
    "retainer": RETAINERS,
    "retainer_period": PERIODS,
    "drawdown": DRAWDOWNS,
    "term_amendment": TERM_AMENDMENTS,
}


def upgrade() -> None:
    """Let retainers exceed, pause and change, and terms end by two signatures."""
    run(RETAINER + AMENDMENTS + GUARDS)
    not_deleted("drawdown_time", "term_amendment")
    moves_by_its_machine("term_amendment")
    run(RIGHTS)
    learn_steps(MACHINES)
