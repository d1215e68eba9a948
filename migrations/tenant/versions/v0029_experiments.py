"""Experiments on fees: arms that nobody changes, units that keep their arm, contracts pinned to it.

An experiment is prepared by one person and started by another; its arms are written whole with it
and make up the whole of all units, `holdout` among them. A unit's arm is what the hash of
experiment and unit says, and the database reckons it anew. Nobody joins one that does not run;
whoever joined keeps his arm until it is decided.

Revision ID: 0029
"""

from migrations.guards import append_only, not_deleted
from migrations.statements import run

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

TABLES = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE experiment (
    id uuid PRIMARY KEY,
    name text NOT NULL CONSTRAINT experiment_name_is_one UNIQUE
        CONSTRAINT experiment_name_is_plain CHECK (name ~ '^[A-Za-z0-9_.:-]{1,80}$'),
    unit text NOT NULL CONSTRAINT experiment_unit_kind_is_known CHECK (unit IN ('pair', 'client')),
    stop_after_units integer NOT NULL
        CONSTRAINT experiment_stops_after_units CHECK (stop_after_units BETWEEN 1 AND 100000000),
    harm_bps integer NOT NULL
        CONSTRAINT experiment_harm_in_range CHECK (harm_bps BETWEEN 0 AND 10000),
    quiet_days integer NOT NULL
        CONSTRAINT experiment_quiet_days_in_range CHECK (quiet_days BETWEEN 1 AND 3650),
    arm_count integer NOT NULL
        CONSTRAINT experiment_has_arms CHECK (arm_count BETWEEN 2 AND 21),
    reason text NOT NULL CONSTRAINT experiment_reason_is_short CHECK (length(reason) <= 2000),
    state text NOT NULL DEFAULT 'prepared' CONSTRAINT experiment_state_is_known
        CHECK (state IN ('prepared', 'withdrawn', 'running', 'stopped', 'decided')),
    prepared_by uuid NOT NULL,
    prepared_at timestamptz NOT NULL,
    withdrawn_by uuid,
    withdrawn_at timestamptz,
    started_by uuid,
    started_at timestamptz,
    stopped_by uuid,
    stopped_at timestamptz,
    stop_why text CONSTRAINT experiment_stop_why_is_short CHECK (length(stop_why) <= 2000),
    decided_by uuid,
    decided_at timestamptz,
    decided_arm text,
    decision text CONSTRAINT experiment_decision_is_short CHECK (length(decision) <= 2000),
    CONSTRAINT experiment_takes_two CHECK (started_by <> prepared_by),
    CONSTRAINT experiment_decision_takes_two CHECK (decided_by <> prepared_by),
    CONSTRAINT experiment_withdrawn_whole CHECK (
        (state = 'withdrawn') = (withdrawn_by IS NOT NULL)
        AND (state = 'withdrawn') = (withdrawn_at IS NOT NULL)),
    CONSTRAINT experiment_started_whole CHECK (
        (state IN ('running', 'stopped', 'decided')) = (started_by IS NOT NULL)
        AND (state IN ('running', 'stopped', 'decided')) = (started_at IS NOT NULL)),
    CONSTRAINT experiment_stopped_whole CHECK (
        (state IN ('stopped', 'decided')) = (stopped_by IS NOT NULL)
        AND (state IN ('stopped', 'decided')) = (stopped_at IS NOT NULL)
        AND (state IN ('stopped', 'decided')) = (stop_why IS NOT NULL)),
    CONSTRAINT experiment_decided_whole CHECK (
        (state = 'decided') = (decided_by IS NOT NULL)
        AND (state = 'decided') = (decided_at IS NOT NULL)
        AND (state = 'decided') = (decision IS NOT NULL)
        AND (decided_arm IS NULL OR state = 'decided'))
);
CREATE INDEX experiment_alive ON experiment (id) WHERE state IN ('running', 'stopped');

CREATE TABLE experiment_arm (
    experiment_id uuid NOT NULL
        CONSTRAINT experiment_arm_experiment_is_known REFERENCES experiment (id),
    name text NOT NULL
        CONSTRAINT experiment_arm_name_is_plain CHECK (name ~ '^[A-Za-z0-9_.:-]{1,80}$'),
    place integer NOT NULL CONSTRAINT experiment_arm_place_counts CHECK (place BETWEEN 1 AND 21),
    start_bps integer NOT NULL
        CONSTRAINT experiment_arm_start_in_range CHECK (start_bps BETWEEN 0 AND 9999),
    share_bps integer NOT NULL
        CONSTRAINT experiment_arm_share_in_range CHECK (share_bps BETWEEN 1 AND 10000),
    PRIMARY KEY (experiment_id, name),
    CONSTRAINT experiment_arm_place_is_one UNIQUE (experiment_id, place)
);
COMMENT ON COLUMN experiment_arm.start_bps IS 'The shares of the arms before it.';
ALTER TABLE experiment ADD CONSTRAINT experiment_decided_arm_is_its_own
    FOREIGN KEY (id, decided_arm) REFERENCES experiment_arm (experiment_id, name);

CREATE TABLE experiment_unit (
    experiment_id uuid NOT NULL,
    unit_key text NOT NULL,
    client_id uuid NOT NULL
        CONSTRAINT experiment_unit_client_is_known REFERENCES party (id),
    payee_id uuid CONSTRAINT experiment_unit_payee_is_known REFERENCES party (id),
    arm text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    PRIMARY KEY (experiment_id, unit_key),
    CONSTRAINT experiment_unit_repeated UNIQUE (experiment_id, unit_key, arm),
    CONSTRAINT experiment_unit_key_names_it
        CHECK (unit_key = client_id::text || coalesce(':' || payee_id::text, '')),
    CONSTRAINT experiment_unit_arm_is_its_own
        FOREIGN KEY (experiment_id, arm) REFERENCES experiment_arm (experiment_id, name)
);

CREATE TABLE experiment_contract (
    experiment_id uuid NOT NULL,
    contract_id uuid NOT NULL
        CONSTRAINT experiment_contract_is_known REFERENCES contract (id),
    unit_key text NOT NULL,
    arm text NOT NULL,
    pinned_at timestamptz NOT NULL,
    PRIMARY KEY (experiment_id, contract_id),
    CONSTRAINT experiment_contract_has_its_units_arm
        FOREIGN KEY (experiment_id, unit_key, arm)
        REFERENCES experiment_unit (experiment_id, unit_key, arm)
);
CREATE INDEX experiment_contract_by_unit ON experiment_contract (experiment_id, unit_key);
CREATE INDEX experiment_contract_by_contract ON experiment_contract (contract_id);

ALTER TABLE fee_schedule ADD CONSTRAINT fee_schedule_spares_the_held_out
    CHECK (arm !~ '/holdout$');
"""

GUARDS = """
CREATE FUNCTION check_experiment_whole() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    whose uuid := CASE tg_table_name WHEN 'experiment' THEN to_jsonb(NEW) ->> 'id'
                  ELSE to_jsonb(NEW) ->> 'experiment_id' END;
    wrong text;
BEGIN
    SELECT CASE
        WHEN e.arm_count <> (SELECT count(*) FROM experiment_arm a WHERE a.experiment_id = e.id)
            THEN 'arms'
        WHEN NOT EXISTS (
            SELECT FROM experiment_arm a WHERE a.experiment_id = e.id AND a.name = 'control'
        ) THEN 'no control'
        WHEN EXISTS (
            SELECT FROM (
                SELECT a.place, a.start_bps, a.name,
                       row_number() OVER ordered AS counted,
                       sum(a.share_bps) OVER ordered - a.share_bps AS before,
                       count(*) OVER () AS arms
                FROM experiment_arm a WHERE a.experiment_id = e.id
                WINDOW ordered AS (ORDER BY a.place)
            ) AS placed
            WHERE place <> counted OR start_bps <> before OR (name = 'holdout' AND place <> arms)
        ) THEN 'places'
        WHEN (SELECT sum(a.share_bps) FROM experiment_arm a WHERE a.experiment_id = e.id) <> 10000
            THEN 'shares'
    END INTO wrong
    FROM experiment e WHERE e.id = whose;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'experiment % is not whole: %', whose, wrong
            USING ERRCODE = 'check_violation', CONSTRAINT = 'experiment_is_whole';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER experiment_is_whole AFTER INSERT ON experiment
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_experiment_whole();
CREATE CONSTRAINT TRIGGER experiment_arm_is_whole AFTER INSERT ON experiment_arm
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_experiment_whole();

CREATE FUNCTION check_experiment_move() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    was jsonb := to_jsonb(OLD);
    changed text[];
    allowed text[];
BEGIN
    SELECT array_agg(key) INTO changed FROM jsonb_each(to_jsonb(NEW)) AS now (key, value)
    WHERE value IS DISTINCT FROM was -> key;
    allowed := CASE OLD.state || ' ' || NEW.state
        WHEN 'prepared withdrawn' THEN '{state,withdrawn_by,withdrawn_at}'
        WHEN 'prepared running' THEN '{state,started_by,started_at}'
        WHEN 'running stopped' THEN '{state,stopped_by,stopped_at,stop_why}'
        WHEN 'stopped decided' THEN '{state,decided_by,decided_at,decided_arm,decision}'
    END::text[];
    IF allowed IS NULL OR NOT changed <@ allowed THEN
        RAISE EXCEPTION 'experiment % may not move from % to % with %',
            OLD.id, OLD.state, NEW.state, changed
            USING ERRCODE = 'HF011';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER experiment_moves_forward BEFORE UPDATE ON experiment
    FOR EACH ROW EXECUTE FUNCTION check_experiment_move();
CREATE FUNCTION check_new_experiment() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'an experiment begins prepared'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'experiment_begins_prepared';
END $$;
CREATE TRIGGER experiment_begins_prepared BEFORE INSERT ON experiment
    FOR EACH ROW WHEN (NEW.state <> 'prepared') EXECUTE FUNCTION check_new_experiment();

CREATE FUNCTION check_experiment_unit() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    joined experiment;
    hash bytea;
    cut numeric := 0;
    wrong text;
BEGIN
    SELECT * INTO STRICT joined FROM experiment WHERE id = NEW.experiment_id FOR SHARE;
    hash := sha256(convert_to(joined.name, 'UTF8') || '\\x00'::bytea
                   || convert_to(NEW.unit_key, 'UTF8'));
    FOR n IN 0..7 LOOP
        cut := cut * 256 + get_byte(hash, n);
    END LOOP;
    SELECT CASE
        WHEN joined.state <> 'running' THEN 'it does not run'
        WHEN (joined.unit = 'pair') <> (NEW.payee_id IS NOT NULL) THEN 'its unit is another'
        WHEN NOT (cut * 10000 >= a.start_bps * 18446744073709551616::numeric
                  AND cut * 10000 < (a.start_bps + a.share_bps) * 18446744073709551616::numeric)
            THEN 'the arm is not by the hash'
    END INTO wrong
    FROM experiment_arm a WHERE a.experiment_id = NEW.experiment_id AND a.name = NEW.arm;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION '% does not join experiment %: %', NEW.unit_key, joined.name, wrong
            USING ERRCODE = 'check_violation', CONSTRAINT = 'experiment_unit_joins_rightly';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER experiment_unit_joins_rightly AFTER INSERT ON experiment_unit
    FOR EACH ROW EXECUTE FUNCTION check_experiment_unit();

CREATE FUNCTION check_experiment_contract() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    joined experiment;
BEGIN
    SELECT * INTO STRICT joined FROM experiment WHERE id = NEW.experiment_id FOR SHARE;
    IF joined.state NOT IN ('running', 'stopped') OR NOT EXISTS (
        SELECT FROM contract c WHERE c.id = NEW.contract_id AND NEW.unit_key = c.client_id::text
            || CASE joined.unit WHEN 'pair' THEN ':' || c.payee_id::text ELSE '' END
    ) THEN
        RAISE EXCEPTION 'contract % is not one of % in experiment %',
            NEW.contract_id, NEW.unit_key, joined.name
            USING ERRCODE = 'check_violation', CONSTRAINT = 'experiment_contract_is_the_units';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER experiment_contract_is_the_units AFTER INSERT ON experiment_contract
    FOR EACH ROW EXECUTE FUNCTION check_experiment_contract();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON experiment, experiment_arm, experiment_unit,'
                   ' experiment_contract TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, withdrawn_by, withdrawn_at, started_by, started_at,'
                   ' stopped_by, stopped_at, stop_why, decided_by, decided_at, decided_arm,'
                   ' decision) ON experiment TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Make the tables of experiments, with their guards."""
    run(TABLES + GUARDS)
    append_only("experiment_arm", "experiment_unit", "experiment_contract")
    not_deleted("experiment")
    run(RIGHTS)
