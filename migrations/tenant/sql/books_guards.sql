-- The guards of the books. They refuse and never compute. Every one of them sees a whole
-- statement at once (transition tables), so that a batch of thousands pays one call.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'the books are append-only: % of % refused', tg_op, tg_table_name
        USING ERRCODE = 'HF001', HINT = 'Reverse a mistake by a new entry.';
END $$;

CREATE TRIGGER batch_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON batch
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER line_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON line
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER account_not_deleted BEFORE DELETE OR TRUNCATE ON account
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER chart_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON account_kind
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER period_not_deleted BEFORE DELETE OR TRUNCATE ON period
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER period_keeps_its_span BEFORE UPDATE OF id, during ON period
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER currency_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON currency
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Events, entries and lines are only added to a batch that this very transaction opened, so that the
-- check at its commit sees them all. (A restored batch may carry our transaction's number, but it
-- was opened before our transaction began.)
CREATE FUNCTION batch_is_open(wanted bigint) RETURNS boolean
LANGUAGE sql SET search_path FROM CURRENT AS $$
    SELECT EXISTS (
        SELECT FROM batch
        WHERE id = wanted AND opened_in = pg_current_xact_id() AND opened_at >= now()
    )
$$;

CREATE FUNCTION check_new_batch() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT batch_is_open(new.id) OR new.opened_at > clock_timestamp() THEN
        RAISE EXCEPTION 'batch % was not opened here and now', new.id USING ERRCODE = 'HF002';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER batch_opened_now AFTER INSERT ON batch
    FOR EACH ROW EXECUTE FUNCTION check_new_batch();

-- The counts matter once SET CONSTRAINTS has made the check of the batch run before the commit: what
-- passed it is as many as announced, and any more is refused here.
CREATE FUNCTION check_batch_open() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    stray bigint;
BEGIN
    IF tg_table_name = 'event' THEN
        SELECT n.batch_id INTO stray
        FROM (SELECT DISTINCT id >> 14 AS batch_id FROM new_row) n
        WHERE NOT batch_is_open(n.batch_id)
           OR (SELECT count(*) FROM event
               WHERE id BETWEEN n.batch_id << 14 AND (n.batch_id << 14) + 16383)
              > (SELECT event_count FROM batch WHERE id = n.batch_id)
        LIMIT 1;
    ELSIF tg_table_name = 'entry' THEN
        SELECT n.batch_id INTO stray
        FROM (SELECT DISTINCT event_id >> 14 AS batch_id FROM new_row) n
        WHERE NOT batch_is_open(n.batch_id)
           OR (SELECT count(*) FROM entry
               WHERE event_id BETWEEN n.batch_id << 14 AND (n.batch_id << 14) + 16383)
              > (SELECT entry_count FROM batch WHERE id = n.batch_id)
        LIMIT 1;
    ELSE
        SELECT n.batch_id INTO stray
        FROM (SELECT DISTINCT event_id >> 14 AS batch_id FROM new_row) n
        WHERE NOT batch_is_open(n.batch_id)
           OR (SELECT count(*) FROM line
               WHERE event_id BETWEEN n.batch_id << 14 AND (n.batch_id << 14) + 16383)
              > (SELECT line_count FROM batch WHERE id = n.batch_id)
        LIMIT 1;
    END IF;
    IF FOUND THEN
        RAISE EXCEPTION 'batch % is not open: nothing is added to % later', stray, tg_table_name
            USING ERRCODE = 'HF002';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER event_in_open_batch AFTER INSERT ON event REFERENCING NEW TABLE AS new_row
    FOR EACH STATEMENT EXECUTE FUNCTION check_batch_open();
CREATE TRIGGER entry_in_open_batch AFTER INSERT ON entry REFERENCING NEW TABLE AS new_row
    FOR EACH STATEMENT EXECUTE FUNCTION check_batch_open();
CREATE TRIGGER line_in_open_batch AFTER INSERT ON line REFERENCING NEW TABLE AS new_row
    FOR EACH STATEMENT EXECUTE FUNCTION check_batch_open();

-- An account starts empty, keeps its name, and stands where its newest line says.
CREATE FUNCTION check_new_accounts() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (
        SELECT FROM new_account
        WHERE line_count <> 0 OR balance_minor <> 0 OR newest_recorded_at <> '-infinity'
    ) THEN
        RAISE EXCEPTION 'an account is opened empty' USING ERRCODE = 'HF009';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER account_opened_empty AFTER INSERT ON account
    REFERENCING NEW TABLE AS new_account
    FOR EACH STATEMENT EXECUTE FUNCTION check_new_accounts();

CREATE TRIGGER account_keeps_its_name
    BEFORE UPDATE OF id, code, kind, subject, currency, book, mirror, lowest_minor, highest_minor,
                     opened_at ON account
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- An account moves by lines of the newest batch of this very transaction: the first goes on from where it stood,
-- each from the one before without a hole, within its bounds, on an open account of the entry's book
-- and currency; and it stands at the last. (Where it stood was its newest line then, by induction.)
-- Lines and entries come before the account, therefore.
CREATE FUNCTION check_accounts() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT SET enable_nestloop = off AS $$
DECLARE
    first_event bigint;
    last_event bigint;
    expected bigint;
    arrived bigint;
    whose bigint;
BEGIN
    SELECT max(id) << 14, (max(id) << 14) + 16383 INTO first_event, last_event
    FROM batch
    WHERE opened_in = pg_current_xact_id() AND opened_at >= now();

    WITH moved AS MATERIALIZED (
        SELECT n.id, n.line_count, n.balance_minor, n.newest_recorded_at, n.book, n.currency,
               n.lowest_minor, n.highest_minor, n.state,
               o.line_count AS was_count, o.balance_minor AS was_minor,
               o.newest_recorded_at AS was_recorded_at
        FROM new_account n
        JOIN old_account o ON o.id = n.id
        WHERE n.line_count <> o.line_count OR n.balance_minor <> o.balance_minor
           OR n.newest_recorded_at <> o.newest_recorded_at
    ), chained AS (
        SELECT m.*, l.account_seq, l.balance_after_minor, l.recorded_at,
               l.balance_after_minor - l.amount_minor AS before_minor,
               e.book <> m.book OR e.currency <> m.currency AS is_foreign,
               lag(l.account_seq) OVER chain AS seq_before,
               lag(l.balance_after_minor) OVER chain AS after_before,
               lag(l.recorded_at) OVER chain AS recorded_before
        FROM line l
        JOIN entry e ON e.event_id = l.event_id AND e.entry_no = l.entry_no
        JOIN moved m ON m.id = l.account_id AND l.account_seq > m.was_count
        WHERE l.event_id BETWEEN first_event AND last_event
          AND e.event_id BETWEEN first_event AND last_event
        WINDOW chain AS (PARTITION BY l.account_id ORDER BY l.account_seq)
    )
    SELECT (SELECT count(*) FROM moved),
           count(*) FILTER (WHERE account_seq = line_count AND balance_after_minor = balance_minor
                              AND recorded_at = newest_recorded_at),
           min(id) FILTER (
               WHERE state <> 'open' OR is_foreign
                  OR balance_after_minor < lowest_minor OR balance_after_minor > highest_minor
                  OR account_seq <> coalesce(seq_before, was_count) + 1
                  OR before_minor <> coalesce(after_before, was_minor)
                  OR recorded_at < recorded_before
                  OR (seq_before IS NULL AND recorded_at <= was_recorded_at))
    INTO expected, arrived, whose
    FROM chained;
    IF whose IS NOT NULL THEN
        RAISE EXCEPTION 'account % takes no such line', whose USING ERRCODE = 'HF006';
    END IF;
    IF expected <> arrived THEN
        RAISE EXCEPTION '% of % accounts would not stand where their newest lines say',
            expected - arrived, expected USING ERRCODE = 'HF009';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER account_as_its_lines AFTER UPDATE ON account
    REFERENCING OLD TABLE AS old_account NEW TABLE AS new_account
    FOR EACH STATEMENT EXECUTE FUNCTION check_accounts();

-- At commit a batch is checked whole, by ranges of its event numbers and never row by row.

-- Every event is there, in order of time; has the entries and every entry the lines that its header
-- says; entries sum to zero; lines carry their event's times; the times lie in open periods.
CREATE FUNCTION check_batch_headers() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT SET enable_nestloop = off AS $$
DECLARE
    first_event bigint := new.id << 14;
    last_event bigint := (new.id << 14) + new.event_count - 1;
    end_event bigint := (new.id << 14) + 16383;
    events bigint;
    entries bigint;
    lines bigint;
    late bigint;
    stray bigint;
BEGIN
    SELECT count(*), count(*) FILTER (WHERE v.recorded_at <= v.before OR v.id > last_event)
    INTO events, late
    FROM (SELECT id, recorded_at, lag(recorded_at) OVER (ORDER BY id) AS before
          FROM event WHERE id BETWEEN first_event AND end_event) v;
    SELECT count(*) INTO entries FROM entry WHERE event_id BETWEEN first_event AND end_event;
    SELECT count(*) INTO lines FROM line WHERE event_id BETWEEN first_event AND end_event;
    IF (events, entries, lines) <> (new.event_count, new.entry_count, new.line_count) THEN
        RAISE EXCEPTION 'batch % is not complete: % events, % entries, % lines',
            new.id, events, entries, lines USING ERRCODE = 'HF003';
    END IF;
    IF late > 0 THEN
        RAISE EXCEPTION 'events of batch % are not numbered in the order of their times', new.id
            USING ERRCODE = 'HF003';
    END IF;

    SELECT coalesce(v.id, n.event_id) INTO stray
    FROM (SELECT id, entry_count FROM event
          WHERE id BETWEEN first_event AND last_event AND entry_count > 0) v
    FULL JOIN (SELECT event_id, count(*) AS entries, max(entry_no) AS newest
               FROM entry WHERE event_id BETWEEN first_event AND end_event GROUP BY event_id) n
        ON n.event_id = v.id
    WHERE v.entry_count IS DISTINCT FROM n.entries OR v.entry_count IS DISTINCT FROM n.newest
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'event % has other entries than its header says', stray
            USING ERRCODE = 'HF003';
    END IF;

    SELECT coalesce(e.event_id, n.event_id) INTO stray
    FROM (SELECT event_id, entry_no, line_count FROM entry
          WHERE event_id BETWEEN first_event AND last_event) e
    FULL JOIN (SELECT event_id, entry_no, count(*) AS lines, max(line_no) AS newest,
                      sum(amount_minor) AS total
               FROM line WHERE event_id BETWEEN first_event AND end_event
               GROUP BY event_id, entry_no) n
        ON n.event_id = e.event_id AND n.entry_no = e.entry_no
    WHERE e.line_count IS DISTINCT FROM n.lines OR e.line_count IS DISTINCT FROM n.newest
       OR n.total <> 0
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'an entry of event % is not complete and balanced', stray
            USING ERRCODE = 'HF005';
    END IF;

    SELECT l.event_id INTO stray
    FROM line l
    JOIN event v ON v.id = l.event_id
    WHERE l.event_id BETWEEN first_event AND last_event
      AND v.id BETWEEN first_event AND last_event
      AND (v.effective_at <> l.effective_at OR v.recorded_at <> l.recorded_at)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'a line of event % has other times than its event', stray
            USING ERRCODE = 'HF006';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER batch_complete AFTER INSERT ON batch
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_batch_headers();

-- The times of a batch lie in open periods. FOR SHARE makes a closing, which updates the row, wait
-- for us, and us for it.
CREATE FUNCTION check_batch_periods() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    first_event bigint := new.id << 14;
    last_event bigint := (new.id << 14) + 16383;
    earliest timestamptz;
    latest timestamptz;
    opened tstzmultirange;
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
          ORDER BY id FOR SHARE) p;
    IF opened @> tstzrange(earliest, latest, '[]') THEN
        RETURN NULL;
    END IF;
    SELECT id INTO stray
    FROM event
    WHERE id BETWEEN first_event AND last_event AND entry_count > 0
      AND NOT coalesce(opened, '{}') @> effective_at
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'event % counts in a period that is not open', stray
            USING ERRCODE = 'HF004';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER batch_in_open_periods AFTER INSERT ON batch
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_batch_periods();

-- Every line of the batch is on its account, and no event moves a debt in one book only.
CREATE FUNCTION check_batch_accounts() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    first_event bigint := new.id << 14;
    last_event bigint := (new.id << 14) + 16383;
    whose bigint;
BEGIN
    SELECT n.account_id INTO whose
    FROM (SELECT account_id, max(account_seq) AS newest
          FROM line WHERE event_id BETWEEN first_event AND last_event GROUP BY account_id) n
    LEFT JOIN account a ON a.id = n.account_id
    WHERE a.id IS NULL OR a.line_count < n.newest
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account % was not moved to its newest line', whose
            USING ERRCODE = 'HF007';
    END IF;

    SELECT l.event_id INTO whose
    FROM line l
    JOIN (SELECT id, mirror, currency FROM account WHERE mirror > 0) a ON a.id = l.account_id
    WHERE l.event_id BETWEEN first_event AND last_event
    GROUP BY l.event_id, a.mirror, a.currency
    HAVING sum(l.amount_minor) <> 0
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'event % moves a debt between the books in one book only', whose
            USING ERRCODE = 'HF008';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER batch_on_its_accounts AFTER INSERT ON batch
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_batch_accounts();
