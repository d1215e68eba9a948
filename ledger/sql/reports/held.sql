-- Of what these accounts owe, what came when? The newest money is what is still there: credits are
-- taken from the newest one on until they make up what is owed (first in, first out). And what was
-- the newest known event about the subject, of the kinds that say what is awaited? (The index of
-- subjects leaves out the empty one, which the planner must be told.)
SELECT w.nth, p.effective_at, least(p.credit_minor, w.owed_minor - p.newer_minor) AS held_minor,
       v.kind AS last_event
FROM unnest(%(accounts)s::bigint[], %(lines)s::bigint[], %(owed)s::numeric[], %(subjects)s::text[])
    WITH ORDINALITY AS w (account_id, lines, owed_minor, subject, nth)
CROSS JOIN LATERAL (
    SELECT l.account_seq, l.effective_at, -l.amount_minor::numeric AS credit_minor,
           coalesce(sum(-l.amount_minor) OVER (
               ORDER BY l.effective_at DESC, l.account_seq DESC
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
           ), 0) AS newer_minor
    FROM line l
    WHERE l.account_id = w.account_id AND l.account_seq <= w.lines
      AND l.effective_at < %(before)s AND l.amount_minor < 0
) p
LEFT JOIN LATERAL (
    SELECT e.kind
    FROM event e
    LEFT JOIN seal s ON s.event_id = e.id
    WHERE e.subject = w.subject AND e.subject <> '' AND e.kind = ANY(%(kinds)s::text[])
      AND e.effective_at < %(before)s
      AND (%(provisional)s OR s.journal_no <= %(journal_no)s)
    ORDER BY e.recorded_at DESC, e.id DESC
    LIMIT 1
) v ON true
WHERE p.newer_minor < w.owed_minor
ORDER BY w.nth, p.effective_at, p.account_seq
