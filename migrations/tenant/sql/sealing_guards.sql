-- The guards of the log. They refuse and never compute; each sees a whole statement at once.

CREATE TRIGGER unsealed_not_changed BEFORE UPDATE OR TRUNCATE ON unsealed
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER block_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON block
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER seal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON seal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER tree_node_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tree_node
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER checkpoint_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER anchored_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON anchored
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A batch waits for the sealer at its commit, or is sealed already (by its own transaction).
CREATE FUNCTION check_batch_awaits_seal() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM unsealed WHERE batch_id = new.id)
       AND (SELECT count(*) FROM seal
            WHERE event_id BETWEEN new.id << 14 AND (new.id << 14) + 16383) <> new.event_count
    THEN
        RAISE EXCEPTION 'batch % is not handed to the sealer', new.id USING ERRCODE = 'HF020';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER batch_awaits_seal AFTER INSERT ON batch
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_batch_awaits_seal();

CREATE FUNCTION check_sealed_before_forgotten() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    stray bigint;
BEGIN
    SELECT o.batch_id INTO stray
    FROM old_row o
    JOIN batch b ON b.id = o.batch_id
    WHERE b.event_count <> (SELECT count(*) FROM seal
                            WHERE event_id BETWEEN b.id << 14 AND (b.id << 14) + 16383)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'batch % has events without a seal', stray USING ERRCODE = 'HF021';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER unsealed_until_sealed AFTER DELETE ON unsealed
    REFERENCING OLD TABLE AS old_row
    FOR EACH STATEMENT EXECUTE FUNCTION check_sealed_before_forgotten();

-- A block follows the newest one: in number, in journal numbers and in time. It comes before its seals.
CREATE FUNCTION check_new_block() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    before block%ROWTYPE;
BEGIN
    SELECT * INTO before FROM block WHERE no <> new.no ORDER BY no DESC LIMIT 1;
    IF new.no <> coalesce(before.no, 0) + 1
       OR new.first_journal_no <> coalesce(before.last_journal_no, 0) + 1
       OR new.custody_entries < coalesce(before.custody_entries, 0)
       OR new.platform_entries < coalesce(before.platform_entries, 0)
       OR new.sealed_at <= before.sealed_at
       OR new.sealed_at > greatest(clock_timestamp() + interval '1 minute',
                                   before.sealed_at + interval '1 microsecond')
    THEN
        RAISE EXCEPTION 'block % does not follow block %', new.no, coalesce(before.no, 0)
            USING ERRCODE = 'HF022';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER block_follows AFTER INSERT ON block
    FOR EACH ROW EXECUTE FUNCTION check_new_block();

-- The seals of a block come in one statement: as many as it says, each event behind the one before in
-- time, and the counts of entries go on from the block before and end where the block says.
CREATE FUNCTION check_new_seals() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    newest block%ROWTYPE;
    before block%ROWTYPE;
    seals bigint;
    wrong bigint;
BEGIN
    SELECT * INTO newest FROM block ORDER BY no DESC LIMIT 1;
    SELECT * INTO before FROM block WHERE no = newest.no - 1;
    SELECT count(*),
           min(n.journal_no) FILTER (
               WHERE n.journal_no < newest.first_journal_no
                  OR n.journal_no > newest.last_journal_no
                  OR (n.recorded_at, n.event_id) < (n.recorded_before, n.event_before)
                  OR n.custody_entries - n.custody_before <> n.custody
                  OR n.platform_entries - n.platform_before <> n.platform
                  OR (n.journal_no = newest.last_journal_no
                      AND (n.custody_entries, n.platform_entries)
                          <> (newest.custody_entries, newest.platform_entries)))
    INTO seals, wrong
    FROM (
        SELECT s.journal_no, s.event_id, v.recorded_at, s.custody_entries, s.platform_entries,
               e.custody, e.platform,
               lag(v.recorded_at) OVER in_order AS recorded_before,
               lag(s.event_id) OVER in_order AS event_before,
               lag(s.custody_entries, 1, coalesce(before.custody_entries, 0)) OVER in_order
                   AS custody_before,
               lag(s.platform_entries, 1, coalesce(before.platform_entries, 0)) OVER in_order
                   AS platform_before
        FROM new_row s
        JOIN event v ON v.id = s.event_id
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE book = 'custody') AS custody,
                   count(*) FILTER (WHERE book = 'platform') AS platform
            FROM entry WHERE event_id = s.event_id
        ) e
        WINDOW in_order AS (ORDER BY s.journal_no)
    ) n;
    IF wrong IS NOT NULL OR newest.no IS NULL
       OR seals <> newest.last_journal_no - newest.first_journal_no + 1
    THEN
        RAISE EXCEPTION 'seals do not follow block %: % of them, wrong from %',
            coalesce(before.no, 0), seals, wrong USING ERRCODE = 'HF023';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER seal_follows AFTER INSERT ON seal REFERENCING NEW TABLE AS new_row
    FOR EACH STATEMENT EXECUTE FUNCTION check_new_seals();

-- At commit a block has all its seals, and every subtree that became whole with it.
CREATE FUNCTION check_block_complete() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT SET enable_seqscan = off AS $$
BEGIN
    IF (SELECT count(*) FROM seal
        WHERE journal_no BETWEEN new.first_journal_no AND new.last_journal_no)
       <> new.last_journal_no - new.first_journal_no + 1
    THEN
        RAISE EXCEPTION 'block % lacks seals', new.no USING ERRCODE = 'HF024';
    END IF;
    IF EXISTS (
        SELECT FROM (VALUES (8), (16), (24)) AS n (level)
        WHERE (SELECT count(*) FROM tree_node t
               WHERE t.level = n.level AND t.position >= (new.first_journal_no - 1) >> n.level
                 AND t.position < new.last_journal_no >> n.level)
              <> (new.last_journal_no >> n.level) - ((new.first_journal_no - 1) >> n.level)
    ) THEN
        RAISE EXCEPTION 'block % lacks nodes of the tree', new.no USING ERRCODE = 'HF024';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER block_complete AFTER INSERT ON block
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_block_complete();

-- A node is written with the block that makes it whole, never ahead of it.
CREATE FUNCTION check_new_nodes() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (
        SELECT FROM new_row n, (SELECT * FROM block ORDER BY no DESC LIMIT 1) b
        WHERE (n.position + 1) << n.level > b.last_journal_no
           OR (n.position + 1) << n.level < b.first_journal_no
    ) OR NOT EXISTS (SELECT FROM block) THEN
        RAISE EXCEPTION 'a node of the tree is not of the newest block' USING ERRCODE = 'HF024';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tree_node_of_newest_block AFTER INSERT ON tree_node
    REFERENCING NEW TABLE AS new_row
    FOR EACH STATEMENT EXECUTE FUNCTION check_new_nodes();
