"""The tenant's clock, its timers and its jobs, with the dead ones kept apart.

Revision ID: 0002
"""

from migrations.statements import run

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIMEOUTS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""

# A sandbox stays a sandbox: its books carry times that no real day had.
CLOCK = """
CREATE TABLE clock (
    is_only boolean CONSTRAINT clock_pk PRIMARY KEY DEFAULT true
        CONSTRAINT clock_has_one_row CHECK (is_only),
    mode text NOT NULL CONSTRAINT clock_mode_known CHECK (mode IN ('live', 'sandbox')),
    sandbox_at timestamptz CONSTRAINT clock_sandbox_at_sane CHECK (
        sandbox_at >= '1970-01-01 00:00:00+00' AND sandbox_at < '2200-01-01 00:00:00+00'
    ),
    CONSTRAINT clock_sandbox_has_an_instant CHECK ((mode = 'sandbox') = (sandbox_at IS NOT NULL))
);
INSERT INTO clock (mode) VALUES ('live');
"""

CLOCK_NOW = """
CREATE FUNCTION clock_now() RETURNS timestamptz LANGUAGE sql VOLATILE
SET search_path FROM CURRENT AS $$
    SELECT CASE mode WHEN 'live' THEN clock_timestamp() ELSE sandbox_at END FROM clock
$$;
COMMENT ON FUNCTION clock_now() IS 'What time it is for this tenant.';
"""

CLOCK_GUARD = """
CREATE FUNCTION clock_only_moves_forward() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'UPDATE' THEN
        RAISE EXCEPTION 'a tenant has one clock, for ever'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'clock_has_one_row';
    ELSIF NEW.mode = 'live' AND OLD.mode = 'sandbox' THEN
        RAISE EXCEPTION 'a sandbox never becomes live'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'clock_sandbox_stays';
    ELSIF NEW.sandbox_at < OLD.sandbox_at THEN
        RAISE EXCEPTION 'a sandbox clock only moves forward'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'clock_only_moves_forward';
    ELSIF NEW.mode = 'sandbox' AND OLD.mode = 'live' AND EXISTS (SELECT FROM event) THEN
        RAISE EXCEPTION 'a tenant with events keeps the live clock'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'clock_sandbox_from_the_start';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER clock_only_moves_forward BEFORE INSERT OR UPDATE OR DELETE ON clock
    FOR EACH ROW EXECUTE FUNCTION clock_only_moves_forward();
CREATE TRIGGER clock_is_never_emptied BEFORE TRUNCATE ON clock
    FOR EACH STATEMENT EXECUTE FUNCTION clock_only_moves_forward();
"""

# The index carries the whole reading order, so that a page can be continued where many timers
# fall due in one instant (every week closes on Monday 00:00).
TIMER = """
CREATE TABLE timer (
    subject text NOT NULL,
    kind text NOT NULL,
    due_at timestamptz NOT NULL,
    subject_version integer NOT NULL,
    paused_remaining interval
        CONSTRAINT timer_remaining_not_negative CHECK (paused_remaining >= interval '0'),
    armed_at timestamptz NOT NULL,
    failed_times integer NOT NULL DEFAULT 0
        CONSTRAINT timer_failed_times_not_negative CHECK (failed_times >= 0),
    retry_at timestamptz,
    CONSTRAINT timer_pk PRIMARY KEY (subject, kind)
) WITH (
    fillfactor = 85,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.1
);
CREATE INDEX timer_due ON timer (due_at, subject, kind) WHERE paused_remaining IS NULL;
COMMENT ON COLUMN timer.retry_at IS
    'Real time, not the tenant''s: a timer whose handler failed is left alone until then.';
"""

JOB = """
CREATE TABLE job (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT job_pk PRIMARY KEY,
    run_at timestamptz NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now(),
    worker uuid,
    priority smallint NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    queue text NOT NULL,
    actor text NOT NULL,
    body text NOT NULL
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 5000
);
CREATE INDEX job_next ON job (queue, priority, run_at);
COMMENT ON COLUMN job.run_at IS 'Not before; while a worker has the job, when its lease ends.';
COMMENT ON COLUMN job.attempts IS 'Starts after a worker was lost while it had this job.';
"""

JOB_DEAD = """
CREATE TABLE job_dead (
    id bigint CONSTRAINT job_dead_pk PRIMARY KEY,
    added_at timestamptz NOT NULL,
    died_at timestamptz NOT NULL DEFAULT now(),
    priority smallint NOT NULL,
    attempts smallint NOT NULL,
    queue text NOT NULL,
    actor text NOT NULL,
    body text NOT NULL,
    why text NOT NULL
);
CREATE INDEX job_dead_by_time ON job_dead (died_at);
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, UPDATE (mode, sandbox_at) ON clock TO %I', tenant_role);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON timer, job TO %I', tenant_role);
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON job_dead TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Create clock, timers and jobs, and give the tenant's role its rights on them."""
    for statement in (TIMEOUTS, CLOCK, CLOCK_NOW, CLOCK_GUARD, TIMER, JOB, JOB_DEAD, RIGHTS):
        run(statement)
