-- A period's life: its acts, its closings, and the guards that let it move by them alone.

ALTER TABLE period
    DROP CONSTRAINT period_state_known,
    ADD CONSTRAINT period_state_known
        CHECK (state IN ('open', 'soft_closed', 'closed', 'reopened')),
    ADD COLUMN version integer NOT NULL DEFAULT 0
        CONSTRAINT period_version_counts CHECK (version >= 0),
    ADD COLUMN act_no integer NOT NULL DEFAULT 0
        CONSTRAINT period_act_no_counts CHECK (act_no >= 0);
COMMENT ON COLUMN period.version IS 'How often it was closed; the newest closing has this version.';
COMMENT ON COLUMN period.act_no IS 'The newest of its acts; its state is what that act led to.';

CREATE TABLE period_step (
    from_state text NOT NULL,
    act text NOT NULL,
    to_state text NOT NULL,
    event_kind text NOT NULL,
    PRIMARY KEY (from_state, act)
);

CREATE TABLE period_act (
    period_id bigint NOT NULL CONSTRAINT period_act_period_is_known REFERENCES period (id),
    act_no integer NOT NULL CONSTRAINT period_act_no_from_one CHECK (act_no >= 1),
    act text NOT NULL,
    version integer NOT NULL,
    actor_id uuid NOT NULL,
    actor_kind text NOT NULL CONSTRAINT period_act_by_a_person CHECK (actor_kind = 'person'),
    asked_by uuid,
    asked_act_no integer,
    reason text NOT NULL,
    acted_at timestamptz NOT NULL,
    event_id bigint NOT NULL CONSTRAINT period_act_has_its_own_event UNIQUE,
    CONSTRAINT period_act_once PRIMARY KEY (period_id, act_no),
    CONSTRAINT period_act_whole UNIQUE (period_id, act_no, act, version),
    CONSTRAINT period_act_reopening_was_asked CHECK (
        (act = 'reopen') = (asked_by IS NOT NULL) AND (act = 'reopen') = (asked_act_no IS NOT NULL)
    ),
    CONSTRAINT period_reopened_by_two CHECK (asked_by <> actor_id),
    CONSTRAINT period_act_reopening_has_a_reason
        CHECK (act NOT IN ('ask_reopening', 'reopen') OR btrim(reason) <> '')
);
COMMENT ON COLUMN period_act.version IS
    'The closing that the act makes or undoes; of a soft close, how often it was closed before.';

CREATE TABLE period_closing (
    period_id bigint NOT NULL,
    version integer NOT NULL CONSTRAINT period_closing_version_from_one CHECK (version >= 1),
    act_no integer NOT NULL,
    act text NOT NULL DEFAULT 'close' CONSTRAINT period_closing_by_closing CHECK (act = 'close'),
    last_journal_no bigint NOT NULL
        CONSTRAINT period_closing_journal_no_not_negative CHECK (last_journal_no >= 0),
    trial_balance text NOT NULL,
    trial_balance_sha256 bytea NOT NULL CONSTRAINT period_closing_hash_is_of_its_trial_balance
        CHECK (trial_balance_sha256 = sha256(convert_to(trial_balance, 'UTF8'))),
    log_root bytea,
    checkpoint_size bigint,
    checkpoint_root bytea,
    checks text NOT NULL,
    warnings text NOT NULL,
    closed_by uuid NOT NULL,
    closed_at timestamptz NOT NULL,
    CONSTRAINT period_closing_once PRIMARY KEY (period_id, version),
    CONSTRAINT period_closing_is_of_an_act FOREIGN KEY (period_id, act_no, act, version)
        REFERENCES period_act (period_id, act_no, act, version),
    CONSTRAINT period_closing_checkpoint_whole
        CHECK ((checkpoint_size IS NULL) = (checkpoint_root IS NULL))
);

CREATE TRIGGER period_step_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON period_step
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER period_act_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON period_act
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER period_closing_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON period_closing
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Closed periods stand before all others. So a new month may not begin before a closed one: its
-- entries would change what that one was closed with. FOR KEY SHARE makes a closing wait for us, and us for it.
CREATE FUNCTION check_new_period() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF (new.state, new.version, new.act_no) <> ('open', 0, 0) THEN
        RAISE EXCEPTION 'a period begins open' USING ERRCODE = 'HF012';
    END IF;
    PERFORM FROM period WHERE lower(during) >= upper(new.during) ORDER BY id FOR KEY SHARE;
    IF EXISTS (SELECT FROM period WHERE lower(during) >= upper(new.during) AND state = 'closed')
    THEN
        RAISE EXCEPTION 'period % would begin before one that is closed', new.during
            USING ERRCODE = 'HF012';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER period_begins_open AFTER INSERT ON period
    FOR EACH ROW EXECUTE FUNCTION check_new_period();

-- Acts on periods take turns. Each statement must see what was committed while it waited, so a
-- transaction with one snapshot for all (REPEATABLE READ) cannot act: it would close what it cannot see.
CREATE FUNCTION check_period_act() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    was_state text;
    was_version integer;
    was_no integer;
    wanted_kind text;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a period is not closed from a snapshot that was taken before'
            USING ERRCODE = 'HF012';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.periods.' || current_schema(), 0));
    SELECT state, version, act_no INTO was_state, was_version, was_no
    FROM period WHERE id = new.period_id FOR NO KEY UPDATE;
    IF new.act = 'close' THEN
        PERFORM FROM period WHERE id = new.period_id FOR UPDATE;
    END IF;
    SELECT event_kind INTO wanted_kind
    FROM period_step WHERE from_state = was_state AND act = new.act;
    IF NOT FOUND OR new.act_no <> was_no + 1
       OR new.version <> was_version + (new.act = 'close')::integer THEN
        RAISE EXCEPTION 'period %, version % after act %, is %: no act % of version %',
            new.period_id, was_version, was_no, was_state, new.act, new.version
            USING ERRCODE = 'HF012';
    END IF;
    IF NOT EXISTS (
        SELECT FROM event
        WHERE id = new.event_id AND kind = wanted_kind AND subject = 'period:' || new.period_id
          AND actor_id = new.actor_id AND actor_kind = new.actor_kind AND reason = new.reason
          AND batch_is_open(id >> 14)
    ) THEN
        RAISE EXCEPTION 'act % on period % has no event of its own', new.act_no, new.period_id
            USING ERRCODE = 'HF012';
    END IF;
    IF new.act = 'reopen' AND NOT EXISTS (
        SELECT FROM period_act
        WHERE period_id = new.period_id AND act_no = new.asked_act_no AND act = 'ask_reopening'
          AND version = new.version AND actor_id = new.asked_by
    ) THEN
        RAISE EXCEPTION 'nobody asked to reopen period %', new.period_id USING ERRCODE = 'HF012';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER period_act_in_its_turn AFTER INSERT ON period_act
    FOR EACH ROW EXECUTE FUNCTION check_period_act();

CREATE FUNCTION check_period_act_taken() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM period WHERE id = new.period_id AND act_no >= new.act_no) THEN
        RAISE EXCEPTION 'act % on period % moved nothing', new.act_no, new.period_id
            USING ERRCODE = 'HF012';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER period_act_taken AFTER INSERT ON period_act
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_period_act_taken();

-- What is closed is known: every event that counts up to its end is sealed, at or before the last journal
-- number of the stored trial balance, and can be followed by none, since all before it is closed.
CREATE FUNCTION check_period_move() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    step_act text;
    step_state text;
    last_no bigint;
BEGIN
    SELECT a.act, s.to_state INTO step_act, step_state
    FROM period_act a
    JOIN period_step s ON s.from_state = old.state AND s.act = a.act
    WHERE a.period_id = new.id AND a.act_no = new.act_no;
    IF NOT FOUND OR new.act_no <> old.act_no + 1 OR new.state <> step_state
       OR new.version <> old.version + (step_act = 'close')::integer THEN
        RAISE EXCEPTION 'period % does not move from % to % without an act',
            old.id, old.state, new.state USING ERRCODE = 'HF012';
    END IF;
    IF step_act = 'reopen' AND EXISTS (
        SELECT FROM period WHERE lower(during) >= upper(new.during) AND state = 'closed'
    ) THEN
        RAISE EXCEPTION 'period % stands before one that is closed', old.id
            USING ERRCODE = 'HF012';
    END IF;
    IF step_act <> 'close' THEN
        RETURN new;
    END IF;
    SELECT last_journal_no INTO last_no
    FROM period_closing WHERE period_id = new.id AND version = new.version;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'period % is not closed without its trial balance', old.id
            USING ERRCODE = 'HF012';
    END IF;
    IF EXISTS (
        SELECT FROM period WHERE upper(during) <= lower(new.during) AND state <> 'closed'
    ) THEN
        RAISE EXCEPTION 'a period before period % is not closed', old.id USING ERRCODE = 'HF012';
    END IF;
    IF EXISTS (
        SELECT FROM unsealed u
        JOIN event v ON v.id BETWEEN u.batch_id << 14 AND (u.batch_id << 14) + 16383
        WHERE v.entry_count > 0 AND v.effective_at < upper(new.during)
    ) OR EXISTS (
        SELECT FROM seal s JOIN event v ON v.id = s.event_id
        WHERE s.journal_no > last_no AND v.entry_count > 0 AND v.effective_at < upper(new.during)
    ) THEN
        RAISE EXCEPTION 'not all of period % is sealed up to %', old.id, last_no
            USING ERRCODE = 'HF012';
    END IF;
    RETURN new;
END $$;
CREATE TRIGGER period_moves_by_its_acts BEFORE UPDATE ON period
FOR EACH ROW WHEN (
    old.state <> new.state OR old.version <> new.version OR old.act_no <> new.act_no
) EXECUTE FUNCTION check_period_move();
