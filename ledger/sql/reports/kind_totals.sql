-- What do all lines known at a prefix of the journal, and counting before T, add up to, per kind,
-- currency and kind of event? Whole chunks come from cells: days before that of T from the highest
-- level that fits; the day of T by chunk, and line by line only where T cuts a chunk's day in two.
-- The rest of the journal behind the last whole chunk is read line by line, and so is, where the
-- answer is provisional, what is not sealed yet.
WITH edge AS MATERIALIZED (
    SELECT least(
               %(journal_no)s >> 12,
               (SELECT coalesce(max(chunk) + 1, 0) FROM journal_chunk WHERE level = 0)
           ) AS chunks,
           (%(before)s::timestamptz AT TIME ZONE 'UTC')::date AS edge_day
), edge_chunk AS MATERIALIZED (
    SELECT d.chunk, d.latest < %(before)s AS is_whole, d.offsets
    FROM journal_day d
    WHERE d.effective_day = (SELECT edge_day FROM edge)
      AND d.chunk < (SELECT chunks FROM edge)
      AND d.earliest < %(before)s
), loose AS (
    SELECT s.event_id
    FROM edge_chunk c
    CROSS JOIN LATERAL unnest(c.offsets) AS o (nth)
    JOIN seal s ON s.journal_no = (c.chunk << 12) + o.nth + 1
    WHERE NOT c.is_whole
    UNION ALL
    SELECT s.event_id
    FROM seal s
    WHERE s.journal_no > (SELECT chunks FROM edge) << 12 AND s.journal_no <= %(journal_no)s
    UNION ALL
    SELECT e.id
    FROM unsealed u
    JOIN event e ON e.id BETWEEN u.batch_id << 14 AND (u.batch_id << 14) + 16383
    WHERE %(provisional)s AND NOT EXISTS (SELECT FROM seal s WHERE s.event_id = e.id)
), part AS (
    SELECT c.kind, c.currency, c.event_kind, c.line_count, c.debit_minor, c.credit_minor
    FROM generate_series(0, 3) AS at (level)
    CROSS JOIN edge x
    CROSS JOIN LATERAL (
        SELECT c.*
        FROM kind_cell c
        WHERE c.level = at.level
          AND c.chunk >= CASE WHEN at.level = 3 THEN 0
                              ELSE (x.chunks >> 4 * (at.level + 1)) << 4 END
          AND c.chunk < x.chunks >> 4 * at.level
          AND c.effective_day < x.edge_day
        OFFSET 0
    ) c
    UNION ALL
    SELECT c.kind, c.currency, c.event_kind, c.line_count, c.debit_minor, c.credit_minor
    FROM edge_chunk e
    JOIN kind_cell c ON c.level = 0 AND c.chunk = e.chunk
        AND c.effective_day = (SELECT edge_day FROM edge)
    WHERE e.is_whole
    UNION ALL
    SELECT a.kind, a.currency, m.event_kind, m.line_count, m.debit_minor, m.credit_minor
    FROM (
        SELECT l.account_id, v.kind AS event_kind, count(*) AS line_count,
               sum(greatest(l.amount_minor, 0)) AS debit_minor,
               sum(greatest(-l.amount_minor, 0)) AS credit_minor
        FROM loose
        JOIN event v ON v.id = loose.event_id
        JOIN line l ON l.event_id = v.id
        WHERE v.effective_at < %(before)s
        GROUP BY l.account_id, v.kind
    ) m
    JOIN account a ON a.id = m.account_id
)
SELECT p.kind, p.currency, p.event_kind, sum(p.line_count)::bigint AS line_count,
       sum(p.debit_minor) AS debit_minor, sum(p.credit_minor) AS credit_minor
FROM part p
GROUP BY p.kind, p.currency, p.event_kind
ORDER BY p.kind, p.currency, p.event_kind
