-- Manual journals: what one person prepared and another approved, and what they may post.

CREATE TABLE journal (
    id uuid CONSTRAINT journal_is_prepared_once PRIMARY KEY,
    state text NOT NULL DEFAULT 'prepared' CONSTRAINT journal_state_is_known
        CHECK (state IN ('prepared', 'posted', 'rejected', 'expired')),
    entries text NOT NULL,
    reason text NOT NULL CONSTRAINT journal_has_a_reason CHECK (btrim(reason) <> ''),
    attachment_sha256 bytea NOT NULL
        CONSTRAINT journal_attachment_is_sha256 CHECK (length(attachment_sha256) = 32),
    effective_at timestamptz NOT NULL,
    original_effective_on date,
    reverse_at timestamptz,
    expires_at timestamptz NOT NULL,
    prepared_by uuid NOT NULL,
    preparer_kind text NOT NULL
        CONSTRAINT journal_prepared_by_a_person CHECK (preparer_kind = 'person'),
    prepared_at timestamptz NOT NULL,
    prepared_event_id bigint NOT NULL CONSTRAINT journal_prepared_event_is_its_own UNIQUE,
    decided_by uuid,
    decider_kind text,
    decided_at timestamptz,
    decision_reason text NOT NULL DEFAULT '',
    event_id bigint CONSTRAINT journal_event_is_its_own UNIQUE,
    reversal_event_id bigint CONSTRAINT journal_reversal_is_its_own UNIQUE,
    CONSTRAINT journal_approver_is_not_preparer
        CHECK (state <> 'posted' OR decided_by <> prepared_by),
    CONSTRAINT journal_approved_by_a_person CHECK (state <> 'posted' OR decider_kind = 'person'),
    CONSTRAINT journal_decided_whole CHECK (
        (state = 'prepared') = (decided_by IS NULL)
        AND (state = 'prepared') = (decider_kind IS NULL)
        AND (state = 'prepared') = (decided_at IS NULL)
    ),
    CONSTRAINT journal_posted_has_its_event CHECK ((state = 'posted') = (event_id IS NOT NULL)),
    CONSTRAINT journal_reversed_as_agreed
        CHECK (reversal_event_id IS NULL OR (state = 'posted' AND reverse_at IS NOT NULL)),
    CONSTRAINT journal_reversed_later CHECK (reverse_at > effective_at),
    CONSTRAINT journal_expires_later CHECK (expires_at > prepared_at)
);
CREATE INDEX journal_waiting ON journal (effective_at, id) WHERE state = 'prepared';

CREATE TABLE journal_limit (
    role text NOT NULL
        CONSTRAINT journal_limit_role_is_known CHECK (role IN ('preparer', 'approver')),
    currency char(3) NOT NULL
        CONSTRAINT journal_limit_currency_is_known REFERENCES currency (code),
    valid_from timestamptz NOT NULL,
    highest_minor bigint NOT NULL
        CONSTRAINT journal_limit_not_negative CHECK (highest_minor >= 0),
    set_by uuid NOT NULL,
    CONSTRAINT journal_limit_is_dated PRIMARY KEY (role, currency, valid_from)
);
COMMENT ON TABLE journal_limit IS
    'The debits of one manual journal that a role may prepare or approve; no row: any.';

CREATE TRIGGER journal_not_deleted BEFORE DELETE OR TRUNCATE ON journal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER journal_keeps_what_was_prepared
    BEFORE UPDATE OF id, entries, reason, attachment_sha256, effective_at, original_effective_on,
                     reverse_at, expires_at, prepared_by, preparer_kind, prepared_at,
                     prepared_event_id ON journal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER journal_limit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_limit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION check_new_journal() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF new.state <> 'prepared' OR NOT EXISTS (
        SELECT FROM event
        WHERE id = new.prepared_event_id AND kind = 'journal.prepared'
          AND subject = 'journal:' || new.id AND actor_id = new.prepared_by
          AND actor_kind = new.preparer_kind AND batch_is_open(id >> 14)
    ) THEN
        RAISE EXCEPTION 'journal % begins prepared, with the event of its preparer', new.id
            USING ERRCODE = 'HF013';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER journal_begins_prepared AFTER INSERT ON journal
    FOR EACH ROW EXECUTE FUNCTION check_new_journal();

CREATE FUNCTION check_journal_move() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF old.state = 'prepared' AND new.state IN ('rejected', 'expired')
       AND new.reversal_event_id IS NULL THEN
        RETURN new;
    END IF;
    IF old.state = 'prepared' AND new.state = 'posted' AND new.reversal_event_id IS NULL
       AND EXISTS (
        SELECT FROM event
        WHERE id = new.event_id AND kind = 'journal.posted' AND subject = 'journal:' || new.id
          AND actor_id = new.decided_by AND actor_kind = new.decider_kind
          AND effective_at = new.effective_at AND batch_is_open(id >> 14)
    ) THEN
        RETURN new;
    END IF;
    IF old.state = 'posted' AND old.reversal_event_id IS NULL
       AND (new.state, new.event_id, new.decided_by, new.decided_at)
           = (old.state, old.event_id, old.decided_by, old.decided_at)
       AND EXISTS (
        SELECT FROM event
        WHERE id = new.reversal_event_id AND kind = 'journal.auto_reversed'
          AND subject = 'journal:' || new.id AND batch_is_open(id >> 14)
    ) THEN
        RETURN new;
    END IF;
    RAISE EXCEPTION 'journal % may not move from % to %', old.id, old.state, new.state
        USING ERRCODE = 'HF013';
END $$;
CREATE TRIGGER journal_moves_forward BEFORE UPDATE ON journal
    FOR EACH ROW EXECUTE FUNCTION check_journal_move();

-- As before while all of a batch counts in open periods; FOR KEY SHARE, so that no stream of posters
-- starves a soft close. A period that is closing, or open again, takes
-- manual journals alone: an event that an approved one names.
CREATE OR REPLACE FUNCTION check_batch_periods() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    first_event bigint := new.id << 14;
    last_event bigint := (new.id << 14) + 16383;
    earliest timestamptz;
    latest timestamptz;
    opened tstzmultirange;
    narrowed tstzmultirange;
    stray bigint;
BEGIN
    SELECT min(effective_at), max(effective_at) INTO earliest, latest
    FROM event WHERE id BETWEEN first_event AND last_event AND entry_count > 0;
    IF earliest IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT range_agg(p.during) INTO opened
    FROM (SELECT during FROM period
          WHERE state = 'open' AND during && tstzrange(earliest, latest, '[]')
          ORDER BY id FOR KEY SHARE) p;
    IF opened @> tstzrange(earliest, latest, '[]') THEN
        RETURN NULL;
    END IF;
    SELECT range_agg(p.during) INTO narrowed
    FROM (SELECT during FROM period
          WHERE state IN ('soft_closed', 'reopened')
            AND during && tstzrange(earliest, latest, '[]')
          ORDER BY id FOR KEY SHARE) p;
    SELECT v.id INTO stray
    FROM event v
    WHERE v.id BETWEEN first_event AND last_event AND v.entry_count > 0
      AND NOT coalesce(opened, '{}') @> v.effective_at
      AND NOT (coalesce(narrowed, '{}') @> v.effective_at
               AND EXISTS (SELECT FROM journal j WHERE j.event_id = v.id AND j.state = 'posted'))
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'event % counts in a period that is not open', stray
            USING ERRCODE = 'HF004';
    END IF;
    RETURN NULL;
END $$;

DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('REVOKE INSERT ON period FROM %I', tenant_role);
    EXECUTE format('GRANT INSERT (id, during) ON period TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, version, act_no) ON period TO %I', tenant_role);
    EXECUTE format('GRANT SELECT ON period_step TO %I', tenant_role);
    EXECUTE format('GRANT SELECT, INSERT ON period_act, period_closing TO %I', tenant_role);
    EXECUTE format('GRANT SELECT, INSERT ON journal, journal_limit TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, decided_by, decider_kind, decided_at, decision_reason,'
                   ' event_id, reversal_event_id) ON journal TO %I', tenant_role);
END $$;
