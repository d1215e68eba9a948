-- What do these filled chunks of 1,024 lines add to their accounts, per effective day?
INSERT INTO account_cell (
    account_id, level, chunk, effective_day, line_count, debit_minor, credit_minor, earliest,
    latest, offsets
)
SELECT f.account_id, 0, f.chunk, l.effective_day, count(*), sum(greatest(l.amount_minor, 0)),
       sum(greatest(-l.amount_minor, 0)), min(l.effective_at), max(l.effective_at),
       array_agg((l.account_seq - (f.chunk << 10) - 1)::smallint ORDER BY l.account_seq)
FROM unnest(%(accounts)s::bigint[], %(chunks)s::bigint[]) AS f (account_id, chunk)
CROSS JOIN LATERAL (
    SELECT account_seq, amount_minor, effective_at,
           (effective_at AT TIME ZONE 'UTC')::date AS effective_day
    FROM line
    WHERE account_id = f.account_id
      AND account_seq BETWEEN (f.chunk << 10) + 1 AND (f.chunk + 1) << 10
    OFFSET 0
) l
GROUP BY f.account_id, f.chunk, l.effective_day
ORDER BY f.account_id, f.chunk, l.effective_day
