-- What the sealer reads in each round. The settings rule out every plan but looks into primary keys: a
-- plan made while the tables were small would read all of the log in each round later.

-- Whole batches in the order of their numbers, which were drawn under the locks of their accounts: what
-- is taken is a beginning of every account's chain. One batch is taken however large it is. A row whose
-- batch was sealed with its own transaction, or that has none, counts no events.
CREATE FUNCTION waiting_batches(events bigint)
RETURNS TABLE (batch_id bigint, event_count integer)
LANGUAGE sql STABLE SET search_path FROM CURRENT
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_bitmapscan = off AS $$
    SELECT w.batch_id, w.event_count
    FROM (
        SELECT u.batch_id, coalesce(b.event_count, 0) AS event_count,
               sum(coalesce(b.event_count, 0)) OVER (ORDER BY u.batch_id)
                   - coalesce(b.event_count, 0) AS before
        FROM (SELECT n.batch_id FROM unsealed n ORDER BY n.batch_id LIMIT events) u
        LEFT JOIN LATERAL (
            SELECT k.event_count FROM batch k
            WHERE k.id = u.batch_id
              AND NOT EXISTS (SELECT FROM seal s WHERE s.event_id = u.batch_id << 14)
            OFFSET 0
        ) b ON true
    ) w
    WHERE w.before < events
    ORDER BY w.batch_id
$$;

-- The events of these batches in the order of the journal, with their entries of custody << 32 and of
-- platform.
CREATE FUNCTION waiting_events(batches bigint[])
RETURNS TABLE (event_id bigint, leaf_hash bytea, entries bigint)
LANGUAGE sql STABLE SET search_path FROM CURRENT
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_bitmapscan = off AS $$
    SELECT v.id, v.leaf_hash, e.entries
    FROM unnest(batches) AS n (batch_id)
    CROSS JOIN LATERAL (
        SELECT id, leaf_hash, recorded_at FROM event
        WHERE id BETWEEN n.batch_id << 14 AND (n.batch_id << 14) + 16383
    ) v
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE book = 'custody') << 32
               | count(*) FILTER (WHERE book = 'platform') AS entries
        FROM entry WHERE entry.event_id = v.id
    ) e
    ORDER BY v.recorded_at, v.id
$$;
