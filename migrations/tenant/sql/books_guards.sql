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

CREATE FUNCTION check_batch_open() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    stray bigint;
BEGIN
    IF tg_table_name = 'event' THEN
        SELECT n.batch_id INTO stray
        FROM (SELECT DISTINCT id >> 14 AS batch_id FROM new_row) n
        WHERE NOT batch_is_open(n.batch_id) LIMIT 1;
    ELSE
        SELECT n.batch_id INTO stray
        FROM (SELECT DISTINCT event_id >> 14 AS batch_id FROM new_row) n
        WHERE NOT batch_is_open(n.batch_id) LIMIT 1;
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
    IF EXISTS (SELECT FROM new_account WHERE line_count <> 0 OR balance_minor <> 0) THEN
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

CREATE FUNCTION check_accounts() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    whose bigint;
BEGIN
    SELECT n.id INTO whose
    FROM new_account n
    LEFT JOIN LATERAL (
        SELECT account_seq, balance_after_minor, recorded_at
        FROM line WHERE account_id = n.id ORDER BY account_seq DESC LIMIT 1
    ) l ON true
    WHERE n.line_count <> coalesce(l.account_seq, 0)
       OR n.balance_minor <> coalesce(l.balance_after_minor, 0)
       OR n.newest_recorded_at <> coalesce(l.recorded_at, '-infinity')
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account % would not stand where its newest line says', whose
            USING ERRCODE = 'HF009';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER account_as_its_lines AFTER UPDATE ON account
    REFERENCING NEW TABLE AS new_account
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
    SELECT count(*), count(*) FILTER (WHERE v.recorded_at <= v.before) INTO events, late
    FROM (SELECT recorded_at, lag(recorded_at) OVER (ORDER BY id) AS before
          FROM event WHERE id BETWEEN first_event AND end_event) v;
    SELECT count(*) INTO entries FROM entry WHERE event_id BETWEEN first_event AND end_event;
    SELECT count(*) INTO lines FROM line WHERE event_id BETWEEN first_event AND end_event;
    IF (events, entries, lines) <> (new.event_count, new.entry_count, new.line_count) THEN
        RAISE EXCEPTION 'batch % is not complete: % events, % entries, % lines',
            new.id, events, entries, lines USING ERRCODE = 'HF003';
    END IF;
    IF late > 0 THEN
        RAISE EXCEPTION 'events of batch % are not in the order of their times', new.id
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

-- Each account that the batch touches is open, of the entry's book and currency, and within its
-- bounds after every line; its chain goes on from the line before the batch without a hole, in
-- time; and the account stands at its newest line.
CREATE FUNCTION check_batch_accounts() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT SET enable_mergejoin = off AS $$
DECLARE
    first_event bigint := new.id << 14;
    last_event bigint := (new.id << 14) + 16383;
    whose bigint;
    what text;
BEGIN
    WITH touched AS MATERIALIZED (
        SELECT l.account_id, l.account_seq, l.event_id, l.recorded_at, l.balance_after_minor,
               l.balance_after_minor - l.amount_minor AS before_minor, e.book, e.currency
        FROM line l
        JOIN entry e ON e.event_id = l.event_id AND e.entry_no = l.entry_no
        WHERE l.event_id BETWEEN first_event AND last_event
          AND e.event_id BETWEEN first_event AND last_event
    ), chained AS (
        SELECT *,
               lag(account_seq) OVER chain AS seq_before,
               lag(balance_after_minor) OVER chain AS after_before,
               lag(event_id) OVER chain AS event_before
        FROM touched
        WINDOW chain AS (PARTITION BY account_id ORDER BY account_seq)
    ), each AS MATERIALIZED (
        SELECT account_id, min(account_seq) AS first_seq, max(account_seq) AS newest_seq,
               min(recorded_at) AS first_recorded_at,
               min(before_minor) FILTER (WHERE seq_before IS NULL) AS before_minor,
               min(balance_after_minor) AS lowest_minor, max(balance_after_minor) AS highest_minor,
               min(book) AS book, max(book) AS other_book,
               min(currency) AS currency, max(currency) AS other_currency,
               bool_or(account_seq <> seq_before + 1 OR before_minor <> after_before
                       OR event_id < event_before) AS is_broken
        FROM chained
        GROUP BY account_id
    )
    SELECT n.account_id,
           CASE WHEN a.id IS NULL OR a.state <> 'open' THEN 'is not open'
                WHEN a.line_count < n.newest_seq THEN 'was not moved to its newest line'
                WHEN n.lowest_minor < a.lowest_minor OR n.highest_minor > a.highest_minor
                    THEN 'would leave its bounds'
                WHEN n.book <> a.book OR n.other_book <> a.book THEN 'is of another book'
                WHEN n.currency <> a.currency OR n.other_currency <> a.currency
                    THEN 'is of another currency'
                ELSE 'does not go on from its newest line' END
    INTO whose, what
    FROM each n
    LEFT JOIN account a ON a.id = n.account_id
    LEFT JOIN line p ON p.account_id = n.account_id AND p.account_seq = n.first_seq - 1
    WHERE a.id IS NULL OR a.state <> 'open' OR a.line_count < n.newest_seq
       OR n.lowest_minor < a.lowest_minor OR n.highest_minor > a.highest_minor
       OR n.book <> a.book OR n.other_book <> a.book
       OR n.currency <> a.currency OR n.other_currency <> a.currency
       OR n.is_broken
       OR CASE WHEN n.first_seq = 1 THEN n.before_minor <> 0
               ELSE p.account_id IS NULL OR p.balance_after_minor <> n.before_minor
                    OR p.recorded_at >= n.first_recorded_at END
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account % %', whose, what USING ERRCODE = 'HF006';
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
