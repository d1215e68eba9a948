-- The promises of the books, each as a query that finds what breaks it. The first column is a
-- sentence for the reader. Limited, since one row is enough to be wrong.
--
-- `over: events` and `over: accounts` are asked range by range, so that no join ever holds more
-- than a piece of the books: $first and $last are the ends of a range of numbers, both inside it.
-- A range of events holds whole batches. `over: journal` is a range of journal numbers. `over: leaves` is a range of events, too, and is left out
-- of a quick proof. $field(x) is one field of docs/canonical-bytes.md.

-- name: every entry has as many lines as its header says, and they sum to zero
-- over: events
SELECT 'entry ' || coalesce(e.event_id, n.event_id) || '/' || coalesce(e.entry_no, n.entry_no)
       || ' has ' || coalesce(n.lines, 0) || ' of ' || coalesce(e.line_count, 0)
       || ' lines, which sum to ' || coalesce(n.total, 0)
FROM (SELECT event_id, entry_no, line_count FROM entry
      WHERE event_id BETWEEN $first AND $last) e
FULL JOIN (
    SELECT event_id, entry_no, count(*) AS lines, sum(amount_minor) AS total
    FROM line
    WHERE event_id BETWEEN $first AND $last
    GROUP BY event_id, entry_no
) n ON n.event_id = e.event_id AND n.entry_no = e.entry_no
WHERE e.line_count IS DISTINCT FROM n.lines OR n.total <> 0
LIMIT 1000;

-- name: every event has as many entries as its header says
-- over: events
SELECT 'event ' || coalesce(v.id, n.event_id) || ' has ' || coalesce(n.entries, 0) || ' of '
       || coalesce(v.entry_count, 0) || ' entries'
FROM (SELECT id, entry_count FROM event WHERE id BETWEEN $first AND $last) v
FULL JOIN (
    SELECT event_id, count(*) AS entries
    FROM entry
    WHERE event_id BETWEEN $first AND $last
    GROUP BY event_id
) n ON n.event_id = v.id
WHERE coalesce(v.entry_count, -1) <> coalesce(n.entries, 0)
LIMIT 1000;

-- name: every batch holds as many events, entries and lines as its control totals say
-- over: events
SELECT 'batch ' || coalesce(b.id, v.batch_id) || ' holds ' || coalesce(v.events, 0) || ' events, '
       || coalesce(e.entries, 0) || ' entries, ' || coalesce(l.lines, 0) || ' lines'
FROM (SELECT id, event_count, entry_count, line_count FROM batch
      WHERE id BETWEEN $first >> 14 AND $last >> 14) b
FULL JOIN (SELECT id >> 14 AS batch_id, count(*) AS events FROM event
           WHERE id BETWEEN $first AND $last GROUP BY 1) v
    ON v.batch_id = b.id
LEFT JOIN (SELECT event_id >> 14 AS batch_id, count(*) AS entries FROM entry
           WHERE event_id BETWEEN $first AND $last GROUP BY 1) e
    ON e.batch_id = coalesce(b.id, v.batch_id)
LEFT JOIN (SELECT event_id >> 14 AS batch_id, count(*) AS lines FROM line
           WHERE event_id BETWEEN $first AND $last GROUP BY 1) l
    ON l.batch_id = coalesce(b.id, v.batch_id)
WHERE coalesce(b.event_count, 0) <> coalesce(v.events, 0)
   OR coalesce(b.entry_count, 0) <> coalesce(e.entries, 0)
   OR coalesce(b.line_count, 0) <> coalesce(l.lines, 0)
LIMIT 1000;

-- name: every account's chain has no hole, carries its balance, and rises in time
-- over: accounts
SELECT 'account ' || c.account_id || ' line ' || c.account_seq
FROM (
    SELECT account_id, account_seq, event_id, recorded_at,
           balance_after_minor - amount_minor AS before_minor,
           lag(account_seq, 1, 0::bigint) OVER chain AS seq_before,
           lag(balance_after_minor, 1, 0::bigint) OVER chain AS after_before,
           lag(recorded_at) OVER chain AS recorded_before,
           lag(event_id) OVER chain AS event_before
    FROM line
    WHERE account_id BETWEEN $first AND $last
    WINDOW chain AS (PARTITION BY account_id ORDER BY account_seq)
) c
WHERE c.account_seq <> c.seq_before + 1 OR c.before_minor <> c.after_before
   OR (c.recorded_at <= c.recorded_before AND c.event_id <> c.event_before)
LIMIT 1000;

-- name: every account stands at the sum of its lines, within its bounds
-- over: accounts
SELECT coalesce(a.code, 'account ' || n.account_id || ', which is gone,') || ' stands at '
       || coalesce(a.balance_minor, 0) || ' after ' || coalesce(a.line_count, 0)
       || ' lines, its lines sum to ' || coalesce(n.total, 0) || ' in ' || coalesce(n.lines, 0)
       || ', between ' || coalesce(n.lowest_minor, 0) || ' and ' || coalesce(n.highest_minor, 0)
FROM (SELECT id, code, balance_minor, line_count, lowest_minor, highest_minor FROM account
      WHERE id BETWEEN $first AND $last) a
FULL JOIN (
    SELECT account_id, sum(amount_minor) AS total, count(*) AS lines,
           min(balance_after_minor) AS lowest_minor, max(balance_after_minor) AS highest_minor
    FROM line
    WHERE account_id BETWEEN $first AND $last
    GROUP BY account_id
) n ON n.account_id = a.id
WHERE a.id IS NULL
   OR a.balance_minor <> coalesce(n.total, 0) OR a.line_count <> coalesce(n.lines, 0)
   OR a.balance_minor NOT BETWEEN a.lowest_minor AND a.highest_minor
   OR n.lowest_minor < a.lowest_minor OR n.highest_minor > a.highest_minor
LIMIT 1000;

-- name: every line is of its entry's book and currency and carries its event's times
-- over: events
SELECT 'line ' || l.event_id || '/' || l.entry_no || '/' || l.line_no
FROM line l
JOIN account a ON a.id = l.account_id
LEFT JOIN entry e ON e.event_id = l.event_id AND e.entry_no = l.entry_no
    AND e.event_id BETWEEN $first AND $last
LEFT JOIN event v ON v.id = l.event_id AND v.id BETWEEN $first AND $last
WHERE l.event_id BETWEEN $first AND $last
  AND (e.event_id IS NULL OR v.id IS NULL OR a.book <> e.book OR a.currency <> e.currency
       OR l.effective_at <> v.effective_at OR l.recorded_at <> v.recorded_at)
LIMIT 1000;

-- name: both books balance in every currency
SELECT book || ' ' || currency || ' is off by ' || sum(balance_minor)
FROM account
GROUP BY book, currency
HAVING sum(balance_minor) <> 0;

-- name: debts between the books show the same in both, per event
-- over: events
SELECT 'event ' || l.event_id || ' is off by ' || sum(l.amount_minor) || ' ' || a.currency
FROM line l
JOIN account a ON a.id = l.account_id
WHERE a.mirror > 0 AND l.event_id BETWEEN $first AND $last
GROUP BY l.event_id, a.mirror, a.currency
HAVING sum(l.amount_minor) <> 0
LIMIT 1000;

-- name: conversion accounts hold what conversions wait for
-- The provider's fill of a conversion comes later; until then both halves stand on the bridge.
SELECT 'custody.fx ' || currency || ' stands at ' || coalesce(b.balance_minor, 0)
       || ', and open conversions say ' || coalesce(o.open_minor, 0)
FROM (
    SELECT currency, sum(balance_minor) AS balance_minor
    FROM account
    WHERE kind = 'custody.fx'
    GROUP BY currency
) b
FULL JOIN (
    SELECT side.currency, sum(side.amount_minor) AS open_minor
    FROM fx_conversion c,
        LATERAL (VALUES (c.sold, -c.sold_minor), (c.bought, c.bought_minor))
            AS side (currency, amount_minor)
    WHERE c.state = 'open'
    GROUP BY side.currency
) o USING (currency)
WHERE coalesce(b.balance_minor, 0) <> coalesce(o.open_minor, 0)
LIMIT 1000;

-- name: a reversal mirrors its original line by line, once
-- over: events
SELECT 'entry ' || r.event_id || '/' || r.entry_no || ' does not mirror '
       || r.reverses_event_id || '/' || r.reverses_entry_no
FROM entry r
WHERE r.reverses_event_id IS NOT NULL AND r.event_id BETWEEN $first AND $last
  AND EXISTS (
      SELECT
      FROM (SELECT line_no, account_id, amount_minor FROM line
            WHERE event_id = r.event_id AND entry_no = r.entry_no) n
      FULL JOIN (SELECT line_no, account_id, amount_minor FROM line
                 WHERE event_id = r.reverses_event_id AND entry_no = r.reverses_entry_no) o
          ON o.line_no = n.line_no
      WHERE n.account_id IS DISTINCT FROM o.account_id
         OR n.amount_minor IS DISTINCT FROM -o.amount_minor
  )
LIMIT 1000;

-- name: nothing counts in a time without a period
-- over: events
SELECT 'event ' || v.id || ' counts at ' || v.effective_at
FROM event v
WHERE v.entry_count > 0 AND v.id BETWEEN $first AND $last
  AND NOT EXISTS (SELECT FROM period p WHERE p.during @> v.effective_at)
LIMIT 1000;

-- name: every reserved account holds what remains of its open reservations
SELECT a.code || ' stands at ' || a.balance_minor || ', reservations hold ' || n.remaining
FROM (
    SELECT t.id, coalesce(sum(r.remaining_minor), 0) AS remaining
    FROM account t
    LEFT JOIN reservation r ON r.twin_id = t.id AND r.state = 'open'
    WHERE t.subject = 'reserved' OR t.subject LIKE '%:reserved'
    GROUP BY t.id
) n
JOIN account a ON a.id = n.id
WHERE abs(a.balance_minor) <> n.remaining
  AND NOT EXISTS (
      SELECT FROM imported i
      JOIN line l ON l.account_id = a.id AND l.account_seq = a.line_count
      JOIN seal s ON s.event_id = l.event_id AND s.journal_no <= i.size
  )
LIMIT 1000;

-- name: every reservation stands where its steps and their events say
SELECT 'reservation ' || r.id || ' stands at ' || r.remaining_minor || ' of ' || r.amount_minor
FROM reservation r
JOIN account t ON t.id = r.twin_id
LEFT JOIN (
    SELECT reservation_id, count(*) AS steps, sum(posted_minor) AS posted,
           sum(posted_minor + returned_minor) AS gone,
           sum((SELECT sum(l.amount_minor) FROM line l JOIN account a ON a.id = l.account_id
                JOIN reservation o ON o.id = s.reservation_id
                WHERE l.event_id = s.event_id AND a.id = o.twin_id)) AS moved
    FROM reservation_step s
    GROUP BY reservation_id
) n ON n.reservation_id = r.id
WHERE n.steps IS DISTINCT FROM r.version OR n.posted IS DISTINCT FROM r.posted_minor
   OR n.gone IS DISTINCT FROM r.amount_minor - r.remaining_minor
   OR abs(n.moved) IS DISTINCT FROM r.remaining_minor
LIMIT 1000;

-- name: every period stands where its newest act led, and every closing has the hash of its text
SELECT 'period ' || p.id || ' is ' || p.state || ' in version ' || p.version || ' after act '
       || p.act_no
FROM period p
LEFT JOIN period_act a ON a.period_id = p.id AND a.act_no = p.act_no
LEFT JOIN period_step s ON s.act = a.act AND s.to_state = p.state
LEFT JOIN period_closing c ON c.period_id = p.id AND c.version = p.version
WHERE (p.act_no = 0 AND (p.state, p.version) <> ('open', 0))
   OR (p.act_no > 0 AND (a.act IS NULL OR s.act IS NULL OR a.version <> p.version))
   OR (p.version > 0 AND c.version IS NULL)
   OR c.trial_balance_sha256 <> sha256(convert_to(c.trial_balance, 'UTF8'))
LIMIT 1000;

-- name: every manual journal was posted by another person than the one who prepared it
-- over: events
-- (Books that were imported hold the events alone: the detail names the preparer.)
SELECT 'event ' || v.id || ' of ' || v.subject || ' by ' || v.actor_id
FROM event v
LEFT JOIN journal j ON j.event_id = v.id
WHERE v.id BETWEEN $first AND $last AND v.kind = 'journal.posted'
  AND (v.actor_kind <> 'person'
       OR coalesce(nullif(v.detail, '')::jsonb ->> 'preparer', v.actor_id::text)
          = v.actor_id::text
       OR (j.state, j.decided_by, 'journal:' || j.id) <> ('posted', v.actor_id, v.subject)
       OR j.prepared_by = v.actor_id)
LIMIT 1000;

-- name: every event is sealed or waits for the sealer
-- over: events
SELECT 'event ' || v.id || ' is not sealed and waits for no sealer'
FROM event v
LEFT JOIN seal s ON s.event_id = v.id
LEFT JOIN unsealed u ON u.batch_id = v.id >> 14
WHERE v.id BETWEEN $first AND $last AND s.event_id IS NULL AND u.batch_id IS NULL
LIMIT 1000;

-- name: the journal has no gap, and counts the entries of each book
-- over: journal
SELECT 'journal number ' || n.journal_no || ' does not follow, or counts other entries'
FROM (
    SELECT s.journal_no, v.id, s.custody_entries, s.platform_entries, e.custody, e.platform,
           lag(s.journal_no) OVER in_order AS no_before,
           lag(s.custody_entries) OVER in_order AS custody_before,
           lag(s.platform_entries) OVER in_order AS platform_before
    FROM seal s
    LEFT JOIN event v ON v.id = s.event_id
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE book = 'custody') AS custody,
               count(*) FILTER (WHERE book = 'platform') AS platform
        FROM entry WHERE event_id = s.event_id
    ) e
    WHERE s.journal_no BETWEEN $first - 1 AND $last
    WINDOW in_order AS (ORDER BY s.journal_no)
) n
WHERE n.journal_no >= $first
  AND (n.id IS NULL OR n.journal_no <> coalesce(n.no_before, 0) + 1
       OR n.custody_entries <> coalesce(n.custody_before, 0) + n.custody
       OR n.platform_entries <> coalesce(n.platform_before, 0) + n.platform)
LIMIT 1000;

-- name: blocks follow one another, and end where their seals do
SELECT 'block ' || b.no || ' does not follow, or counts other entries than its seals'
FROM (
    SELECT no, first_journal_no, last_journal_no, custody_entries, platform_entries, sealed_at,
           lag(no, 1, 0::bigint) OVER in_order AS no_before,
           lag(last_journal_no, 1, 0::bigint) OVER in_order AS last_before,
           lag(sealed_at) OVER in_order AS sealed_before,
           lead(no) OVER in_order IS NULL AS is_newest
    FROM block
    WINDOW in_order AS (ORDER BY no)
) b
LEFT JOIN seal s ON s.journal_no = b.last_journal_no
WHERE s.journal_no IS NULL OR b.no <> b.no_before + 1 OR b.sealed_at <= b.sealed_before
   OR b.first_journal_no <> b.last_before + 1 OR b.last_journal_no < b.first_journal_no
   OR b.custody_entries <> s.custody_entries OR b.platform_entries <> s.platform_entries
   OR (b.is_newest AND b.last_journal_no <> (SELECT max(journal_no) FROM seal))
LIMIT 1000;

-- name: every event's leaf hash is that of its canonical bytes
-- over: leaves
SELECT 'event ' || v.id || ' was altered: its rows do not give its leaf hash'
FROM (
    SELECT t.id, t.leaf_hash,
           '1:1,' || $field(tenant) || $field(event_no) || $field(kind) || $field(subject)
           || $field(actor_kind) || $field(actor) || coalesce($field(party), '-,')
           || $field(effective_us) || $field(recorded_us) || $field(reason) || $field(detail)
           || $field(entries) AS fields
    FROM (
        SELECT id, leaf_hash, substr(current_schema()::text, 8) AS tenant, id::text AS event_no,
               kind, subject, actor_kind, actor_id::text AS actor, party_id::text AS party,
               (extract(epoch FROM effective_at) * 1000000)::bigint::text AS effective_us,
               (extract(epoch FROM recorded_at) * 1000000)::bigint::text AS recorded_us,
               reason, detail, entry_count::text AS entries
        FROM event
        WHERE id BETWEEN $first AND $last
    ) t
) v
LEFT JOIN (
    SELECT e.event_id,
           string_agg(
               $field(e.number) || $field(e.book) || $field(e.currency)
               || coalesce($field(e.reverses_event), '-,')
               || coalesce($field(e.reverses_number), '-,')
               || $field(e.lines) || coalesce(l.fields, ''),
               '' ORDER BY e.entry_no
           ) AS fields
    FROM (
        SELECT event_id, entry_no, entry_no::text AS number, book, currency::text AS currency,
               reverses_event_id::text AS reverses_event,
               reverses_entry_no::text AS reverses_number, line_count::text AS lines
        FROM entry
        WHERE event_id BETWEEN $first AND $last
    ) e
    LEFT JOIN (
        SELECT c.event_id, c.entry_no,
               string_agg(
                   $field(c.code) || $field(c.amount) || $field(c.seq) || $field(c.after),
                   '' ORDER BY c.line_no
               ) AS fields
        FROM (
            SELECT l.event_id, l.entry_no, l.line_no, coalesce(a.code, '') AS code,
                   l.amount_minor::text AS amount, l.account_seq::text AS seq,
                   l.balance_after_minor::text AS after
            FROM line l
            LEFT JOIN account a ON a.id = l.account_id
            WHERE l.event_id BETWEEN $first AND $last
        ) c
        GROUP BY c.event_id, c.entry_no
    ) l ON l.event_id = e.event_id AND l.entry_no = e.entry_no
    GROUP BY e.event_id
) n ON n.event_id = v.id
WHERE v.leaf_hash IS DISTINCT FROM
      sha256('\x00'::bytea || convert_to(v.fields || coalesce(n.fields, ''), 'UTF8'))
LIMIT 1000;
