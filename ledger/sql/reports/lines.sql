-- Which lines of these accounts, each behind a line of its chain and up to another, count within a
-- span, and what are the events they hang on? So many of each account at most; in chain order.
SELECT w.account_id, l.account_seq, s.journal_no, l.event_id, l.entry_no, l.line_no,
       l.amount_minor, l.effective_at, l.recorded_at, e.kind, e.subject, e.actor_kind, e.reason
FROM unnest(%(accounts)s::bigint[], %(afters)s::bigint[], %(lines)s::bigint[])
    WITH ORDINALITY AS w (account_id, after, lines, nth)
CROSS JOIN LATERAL (
    SELECT *
    FROM line
    WHERE account_id = w.account_id AND account_seq > w.after AND account_seq <= w.lines
      AND effective_at >= %(start)s AND effective_at < %(before)s
    ORDER BY account_seq
    LIMIT %(limit)s
) l
JOIN event e ON e.id = l.event_id
LEFT JOIN seal s ON s.event_id = l.event_id
ORDER BY w.nth, l.account_seq
