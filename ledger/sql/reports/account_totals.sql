-- What do the lines of these accounts, each up to a line of its chain, and counting before T, add
-- up to? As kind_totals.sql does it for the journal: whole chunks from cells, the day of T by chunk,
-- what T cuts in two and the rest behind the last whole chunk line by line. OFFSET 0 keeps the
-- levels apart, each a range of the primary key; joined with them the planner read the whole table.
SELECT w.nth, coalesce(sum(p.line_count), 0)::bigint AS line_count,
       coalesce(sum(p.debit_minor), 0) AS debit_minor,
       coalesce(sum(p.credit_minor), 0) AS credit_minor
FROM (
    SELECT w.nth, w.account_id, w.lines, w.before,
           (w.before AT TIME ZONE 'UTC')::date AS edge_day,
           least(w.lines >> 10, coalesce(n.newest + 1, 0)) AS chunks
    FROM unnest(%(accounts)s::bigint[], %(lines)s::bigint[], %(befores)s::timestamptz[])
        WITH ORDINALITY AS w (account_id, lines, before, nth)
    LEFT JOIN LATERAL (
        SELECT c.chunk AS newest
        FROM account_cell c
        WHERE w.lines >= 1024 AND c.account_id = w.account_id AND c.level = 0
        ORDER BY c.chunk DESC
        LIMIT 1
    ) n ON true
    OFFSET 0
) w
CROSS JOIN LATERAL (
    SELECT sum(c.line_count) AS line_count, sum(c.debit_minor) AS debit_minor,
           sum(c.credit_minor) AS credit_minor
    FROM generate_series(0, 3) AS at (level)
    CROSS JOIN LATERAL (
        SELECT c.line_count, c.debit_minor, c.credit_minor
        FROM account_cell c
        WHERE c.account_id = w.account_id AND c.level = at.level
          AND c.chunk >= CASE WHEN at.level = 3 THEN 0
                              ELSE (w.chunks >> 4 * (at.level + 1)) << 4 END
          AND c.chunk < w.chunks >> 4 * at.level
          AND c.effective_day < w.edge_day
        OFFSET 0
    ) c
    WHERE w.chunks > 0
    UNION ALL
    SELECT sum(c.line_count), sum(c.debit_minor), sum(c.credit_minor)
    FROM account_cell c
    WHERE w.chunks > 0 AND c.account_id = w.account_id AND c.level = 0
      AND c.effective_day = w.edge_day AND c.chunk < w.chunks AND c.latest < w.before
    UNION ALL
    SELECT count(*), sum(greatest(l.amount_minor, 0)), sum(greatest(-l.amount_minor, 0))
    FROM account_cell c
    CROSS JOIN LATERAL unnest(c.offsets) AS o (nth)
    JOIN line l ON l.account_id = w.account_id AND l.account_seq = (c.chunk << 10) + o.nth + 1
    WHERE w.chunks > 0 AND c.account_id = w.account_id AND c.level = 0
      AND c.effective_day = w.edge_day AND c.chunk < w.chunks
      AND c.earliest < w.before AND c.latest >= w.before AND l.effective_at < w.before
    UNION ALL
    SELECT count(*), sum(greatest(l.amount_minor, 0)), sum(greatest(-l.amount_minor, 0))
    FROM line l
    WHERE l.account_id = w.account_id AND l.account_seq > w.chunks << 10
      AND l.account_seq <= w.lines AND l.effective_at < w.before
) p
GROUP BY w.nth
ORDER BY w.nth
