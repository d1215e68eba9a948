-- Which events does the journal hold between two numbers, each with its entries and lines? Asked for in
-- journal order; an event that is gone has no id. Every table is probed by its key, event by event,
-- so that the first rows come at once and nothing is sorted.
SELECT s.journal_no, e.id, e.kind, e.subject, e.actor_kind, e.actor_id, e.party_id, e.effective_at,
       e.recorded_at, e.reason, e.detail, e.entry_count, e.leaf_hash, s.custody_entries,
       s.platform_entries, (
           SELECT json_agg(row_to_json(n) ORDER BY n.entry_no)::text
           FROM (
               SELECT n.entry_no, n.book, n.currency, n.reverses_event_id, n.reverses_entry_no,
                      n.line_count, (
                          SELECT json_agg(
                              json_build_array(a.code, l.amount_minor::text, l.account_seq,
                                               l.balance_after_minor::text)
                              ORDER BY l.line_no
                          )
                          FROM line l LEFT JOIN account a ON a.id = l.account_id
                          WHERE l.event_id = n.event_id AND l.entry_no = n.entry_no
                      ) AS lines
               FROM entry n
               WHERE n.event_id = e.id
           ) n
       ) AS entries
FROM seal s LEFT JOIN event e ON e.id = s.event_id
WHERE s.journal_no > %(after)s AND s.journal_no <= %(size)s
ORDER BY s.journal_no
