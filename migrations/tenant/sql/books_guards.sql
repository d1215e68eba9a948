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

-- An event belongs to the batch whose number it carries, and that batch has room for it.
CREATE FUNCTION check_events() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    stray bigint;
BEGIN
    SELECT e.id INTO stray
    FROM (SELECT id >> 14 AS batch_id, max(id & 16383) AS newest, max(id) AS id
          FROM new_event GROUP BY 1) e
    LEFT JOIN batch b ON b.id = e.batch_id
    WHERE b.id IS NULL OR e.newest >= b.event_count
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'event % lies outside its batch', stray USING ERRCODE = 'HF002';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER event_in_its_batch AFTER INSERT ON event
    REFERENCING NEW TABLE AS new_event
    FOR EACH STATEMENT EXECUTE FUNCTION check_events();

-- The entries of an event come together, as many as its header says, into an open period.
CREATE FUNCTION check_entries() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    stray bigint;
    opened tstzrange[];
BEGIN
    SELECT n.event_id INTO stray
    FROM (SELECT event_id, count(*) AS entries, max(entry_no) AS newest
          FROM new_entry GROUP BY event_id) n
    LEFT JOIN event e ON e.id = n.event_id
    WHERE e.id IS NULL OR e.entry_count <> n.entries OR n.newest > e.entry_count
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'event % has other entries than its header says', stray
            USING ERRCODE = 'HF003';
    END IF;

    -- FOR SHARE makes a closing, which updates the row, wait for us, and us for it.
    SELECT array_agg(p.during) INTO opened
    FROM (SELECT during FROM period
          WHERE state = 'open' AND during && (
              SELECT tstzrange(min(e.effective_at), max(e.effective_at), '[]')
              FROM event e WHERE e.id IN (SELECT event_id FROM new_entry))
          ORDER BY id FOR SHARE) p;
    SELECT e.id INTO stray
    FROM event e
    WHERE e.id IN (SELECT event_id FROM new_entry)
      AND NOT EXISTS (SELECT FROM unnest(opened) AS o (during) WHERE o.during @> e.effective_at)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'event % counts in a period that is not open', stray
            USING ERRCODE = 'HF004';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER entry_as_announced AFTER INSERT ON entry
    REFERENCING NEW TABLE AS new_entry
    FOR EACH STATEMENT EXECUTE FUNCTION check_entries();

-- Lines: each entry complete and balanced, on open accounts of its book and currency; each account's
-- chain goes on from where the account stands, without a hole, in time, and within its bounds.
CREATE FUNCTION check_lines() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    stray bigint;
    whose bigint;
BEGIN
    SELECT n.event_id INTO stray
    FROM (SELECT event_id, entry_no, count(*) AS lines, max(line_no) AS newest,
                 sum(amount_minor) AS total
          FROM new_line GROUP BY event_id, entry_no) n
    LEFT JOIN entry e ON e.event_id = n.event_id AND e.entry_no = n.entry_no
    WHERE e.event_id IS NULL OR e.line_count <> n.lines OR n.newest > e.line_count OR n.total <> 0
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'an entry of event % is not complete and balanced', stray
            USING ERRCODE = 'HF005';
    END IF;

    SELECT l.event_id INTO stray
    FROM new_line l
    JOIN entry e ON e.event_id = l.event_id AND e.entry_no = l.entry_no
    JOIN event v ON v.id = l.event_id
    LEFT JOIN account a ON a.id = l.account_id
    WHERE a.id IS NULL OR a.state <> 'open' OR a.book <> e.book OR a.currency <> e.currency
       OR l.balance_after_minor NOT BETWEEN a.lowest_minor AND a.highest_minor
       OR v.effective_at <> l.effective_at OR v.recorded_at <> l.recorded_at
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'a line of event % does not fit its account or its event', stray
            USING ERRCODE = 'HF006';
    END IF;

    SELECT c.account_id INTO whose
    FROM (SELECT l.account_id, l.account_seq, l.recorded_at,
                 l.balance_after_minor - l.amount_minor AS balance_before,
                 lag(l.account_seq) OVER chain AS seq_before,
                 lag(l.balance_after_minor) OVER chain AS after_before,
                 lag(l.recorded_at) OVER chain AS recorded_before,
                 lag(l.event_id) OVER chain AS event_before,
                 l.event_id
          FROM new_line l
          WINDOW chain AS (PARTITION BY l.account_id ORDER BY l.account_seq)) c
    JOIN account a ON a.id = c.account_id
    WHERE c.account_seq <> coalesce(c.seq_before, a.line_count) + 1
       OR c.balance_before <> coalesce(c.after_before, a.balance_minor)
       OR (c.recorded_at <= coalesce(c.recorded_before, a.newest_recorded_at)
           AND c.event_before IS DISTINCT FROM c.event_id)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account % does not go on from its newest line', whose
            USING ERRCODE = 'HF007';
    END IF;

    SELECT l.event_id INTO stray
    FROM new_line l
    JOIN account a ON a.id = l.account_id
    WHERE a.mirror > 0
    GROUP BY l.event_id, a.mirror, a.currency
    HAVING sum(l.amount_minor) <> 0
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'event % moves a debt between the books in one book only', stray
            USING ERRCODE = 'HF008';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER line_fits AFTER INSERT ON line
    REFERENCING NEW TABLE AS new_line
    FOR EACH STATEMENT EXECUTE FUNCTION check_lines();

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

CREATE FUNCTION check_accounts() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    whose bigint;
BEGIN
    SELECT n.id INTO whose
    FROM new_account n
    LEFT JOIN line l ON l.account_id = n.id AND l.account_seq = n.line_count
    WHERE n.line_count > 0 AND (
        l.account_id IS NULL
        OR l.balance_after_minor <> n.balance_minor OR l.recorded_at <> n.newest_recorded_at)
       OR n.line_count = 0 AND (n.balance_minor <> 0 OR n.newest_recorded_at <> '-infinity')
    LIMIT 1;
    IF NOT FOUND THEN
        SELECT coalesce(n.id, o.id) INTO whose
        FROM new_account n
        FULL JOIN old_account o ON o.id = n.id
        WHERE n.id IS NULL OR o.id IS NULL OR n.line_count < o.line_count
           OR (n.code, n.kind, n.subject, n.currency, n.book, n.mirror, n.lowest_minor,
               n.highest_minor, n.opened_at)
              IS DISTINCT FROM (o.code, o.kind, o.subject, o.currency, o.book, o.mirror,
               o.lowest_minor, o.highest_minor, o.opened_at)
        LIMIT 1;
    END IF;
    IF FOUND THEN
        RAISE EXCEPTION 'account % would not stand where its newest line says', whose
            USING ERRCODE = 'HF009';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER account_as_its_lines AFTER UPDATE ON account
    REFERENCING OLD TABLE AS old_account NEW TABLE AS new_account
    FOR EACH STATEMENT EXECUTE FUNCTION check_accounts();

-- At commit a batch is complete: as many events, entries and lines as its control totals say, and
-- every account that it touched stands at its newest line. What is complete cannot be added to.
CREATE FUNCTION check_batch() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    first_event bigint := new.id << 14;
    last_event bigint := (new.id << 14) + 16383;
    events bigint;
    announced bigint;
    entries bigint;
    announced_lines bigint;
    lines bigint;
    behind bigint;
BEGIN
    SELECT count(*), coalesce(sum(entry_count), 0) INTO events, announced
    FROM event WHERE id BETWEEN first_event AND last_event;
    SELECT count(*), coalesce(sum(line_count), 0) INTO entries, announced_lines
    FROM entry WHERE event_id BETWEEN first_event AND last_event;
    SELECT count(*), count(*) FILTER (WHERE a.id IS NULL OR a.line_count < l.account_seq)
    INTO lines, behind
    FROM line l LEFT JOIN account a ON a.id = l.account_id
    WHERE l.event_id BETWEEN first_event AND last_event;
    IF (events, entries, lines) <> (new.event_count, new.entry_count, new.line_count)
       OR announced <> entries OR announced_lines <> lines OR behind > 0 THEN
        RAISE EXCEPTION 'batch % is not complete: % events, % entries, % lines, % not on account',
            new.id, events, entries, lines, behind USING ERRCODE = 'HF010';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER batch_complete AFTER INSERT ON batch
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_batch();
