-- What do the 4,096 events of one chunk of the journal add, per kind, currency, kind of event and
-- effective day, and which chunks of 1,024 lines did they fill on their accounts? All of it is
-- written at once, and the filled chunks are given back: account and number of the chunk.
WITH sealed AS MATERIALIZED (
    SELECT s.journal_no - %(before)s - 1 AS nth, e.id, e.kind, e.effective_at,
           (e.effective_at AT TIME ZONE 'UTC')::date AS effective_day
    FROM seal s
    JOIN event e ON e.id = s.event_id
    WHERE s.journal_no > %(before)s AND s.journal_no <= %(before)s + 4096 AND e.entry_count > 0
), moved AS MATERIALIZED (
    SELECT v.effective_day, v.kind AS event_kind, l.account_id, l.account_seq, l.amount_minor
    FROM sealed v
    JOIN line l ON l.event_id = v.id
), filled AS MATERIALIZED (
    SELECT account_id, (account_seq >> 10) - 1 AS chunk FROM moved WHERE account_seq & 1023 = 0
), chunk_row AS (
    INSERT INTO journal_chunk (level, chunk, line_count)
    SELECT 0, %(before)s >> 12, count(*) FROM moved
), days AS (
    INSERT INTO journal_day (effective_day, chunk, earliest, latest, offsets)
    SELECT effective_day, %(before)s >> 12, min(effective_at), max(effective_at),
           array_agg(nth::smallint ORDER BY nth)
    FROM sealed
    GROUP BY effective_day
    ORDER BY effective_day
), kinds AS (
    INSERT INTO kind_cell (
        level, chunk, effective_day, kind, currency, event_kind, line_count, debit_minor,
        credit_minor
    )
    SELECT 0, %(before)s >> 12, m.effective_day, a.kind, a.currency, m.event_kind,
           sum(m.line_count), sum(m.debit_minor), sum(m.credit_minor)
    FROM (
        SELECT effective_day, event_kind, account_id, count(*) AS line_count,
               sum(greatest(amount_minor, 0)) AS debit_minor,
               sum(greatest(-amount_minor, 0)) AS credit_minor
        FROM moved
        GROUP BY effective_day, event_kind, account_id
    ) m
    JOIN account a ON a.id = m.account_id
    GROUP BY m.effective_day, a.kind, a.currency, m.event_kind
    ORDER BY m.effective_day, a.kind, a.currency, m.event_kind
)
SELECT account_id, chunk FROM filled ORDER BY account_id, chunk
