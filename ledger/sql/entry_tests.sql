-- Journal-entry tests: which entries an auditor looks at, and what can never be. Each is one query
-- over the audit views; its first column is a sentence, then journal number and event.
--
-- By command: holdfast audit tests --from 2026-01-01 --to 2026-02-01
-- By hand:    psql -q "..." -v since=2026-01-01 -v until=2026-02-01 -f entry_tests.sql
--
-- \C names a test, and is the title of its answer in psql. `kind: impossible` finds what the books
-- forbid: one row is bad news. `kind: look` finds what is allowed and unusual: a person looks at it.
-- Sources: AICPA's sample tests, AU-C 240.

-- since, until: the entries that count in this time; until itself is outside.
-- whose: staff (the platform's own people and programs) or all; of the tests of habits.
-- round_units: an entry over a multiple of this, in the currency's own unit, is round.
-- zone, night_from, night_until: where weekends and nights are, and the hours of a night.
-- few_entries, few_uses, few_pairs: up to so many is rare, for actors, accounts, pairs of accounts.
-- same_within: day, week, month, quarter or year in which one amount on one account is seen twice.
-- late_days: an entry known so many days after it counts is back-dated.
-- quick_minutes: a reversal within so many minutes is quick.
-- limit_units, margin_bps: just under a limit is within so many basis points below it.
\if :{?since} \else \set since '1970-01-01' \endif
\if :{?until} \else \set until '2200-01-01' \endif
\if :{?whose} \else \set whose 'staff' \endif
\if :{?round_units} \else \set round_units '1000' \endif
\if :{?zone} \else \set zone 'UTC' \endif
\if :{?night_from} \else \set night_from '20' \endif
\if :{?night_until} \else \set night_until '5' \endif
\if :{?few_entries} \else \set few_entries '10' \endif
\if :{?few_uses} \else \set few_uses '3' \endif
\if :{?few_pairs} \else \set few_pairs '3' \endif
\if :{?same_within} \else \set same_within 'month' \endif
\if :{?late_days} \else \set late_days '1' \endif
\if :{?quick_minutes} \else \set quick_minutes '10' \endif
\if :{?limit_units} \else \set limit_units '1000' \endif
\if :{?margin_bps} \else \set margin_bps '500' \endif

\C 'gaps_in_journal_numbers'
-- kind: impossible
-- means: The log has lost an event, or one was slipped in: its numbers are dense by construction.
SELECT 'number ' || before || ' is followed by ' || journal_no AS finding, journal_no, event_id
FROM (
    SELECT journal_no, event_id, lag(journal_no, 1, 0::bigint) OVER (ORDER BY journal_no) AS before
    FROM audit_seal
) s
WHERE journal_no <> before + 1
ORDER BY journal_no;

\C 'gaps_in_book_numbers'
-- kind: impossible
-- means: A book has lost an entry, or gained one, since its event was sealed.
SELECT 'number ' || journal_no || ' was sealed with ' || custody_sealed || ' custody and '
       || platform_sealed || ' platform entries, and has ' || custody || ' and ' || platform
       AS finding, journal_no, event_id
FROM (
    SELECT s.journal_no, s.event_id, coalesce(n.custody, 0) AS custody,
           coalesce(n.platform, 0) AS platform,
           s.custody_entries - lag(s.custody_entries, 1, 0::bigint) OVER log AS custody_sealed,
           s.platform_entries - lag(s.platform_entries, 1, 0::bigint) OVER log AS platform_sealed
    FROM audit_seal s
    LEFT JOIN (
        SELECT event_id, count(*) FILTER (WHERE book = 'custody') AS custody,
               count(*) FILTER (WHERE book = 'platform') AS platform
        FROM audit_entry
        GROUP BY event_id
    ) n ON n.event_id = s.event_id
    WINDOW log AS (ORDER BY s.journal_no)
) s
WHERE custody <> custody_sealed OR platform <> platform_sealed
ORDER BY journal_no;

\C 'in_ledger_not_in_log'
-- kind: impossible
-- means: Lines or entries stand in the books that no event of the log explains.
SELECT 'line ' || event_id || '/' || entry_no || '/' || line_no || ' has no '
       || CASE WHEN event_kind IS NULL THEN 'event' WHEN book IS NULL THEN 'entry' ELSE 'account' END
       AS finding, journal_no, event_id
FROM audit_line
WHERE event_kind IS NULL OR book IS NULL OR account_code IS NULL
UNION ALL
SELECT 'entry ' || event_id || '/' || entry_no || ' has no event', journal_no, event_id
FROM audit_entry
WHERE event_kind IS NULL
ORDER BY event_id;

\C 'in_log_not_in_ledger'
-- kind: impossible
-- means: The log tells of events, entries or lines that the books do not have.
SELECT 'event ' || e.event_id || ' has ' || coalesce(n.entries, 0) || ' of ' || e.entry_count
       || ' entries' AS finding, e.journal_no, e.event_id
FROM audit_event e
LEFT JOIN (SELECT event_id, count(*) AS entries FROM audit_entry GROUP BY event_id) n
    ON n.event_id = e.event_id
WHERE e.entry_count <> coalesce(n.entries, 0)
UNION ALL
SELECT 'entry ' || n.event_id || '/' || n.entry_no || ' has ' || coalesce(l.lines, 0) || ' of '
       || n.line_count || ' lines', n.journal_no, n.event_id
FROM audit_entry n
LEFT JOIN (
    SELECT event_id, entry_no, count(*) AS lines FROM audit_line GROUP BY event_id, entry_no
) l ON l.event_id = n.event_id AND l.entry_no = n.entry_no
WHERE n.line_count <> coalesce(l.lines, 0)
UNION ALL
SELECT 'number ' || s.journal_no || ' names event ' || s.event_id || ', which is gone',
       s.journal_no, s.event_id
FROM audit_seal s
LEFT JOIN audit_event e ON e.event_id = s.event_id
WHERE e.event_id IS NULL
ORDER BY event_id;

\C 'totals_differ_from_log'
-- kind: impossible
-- means: A posting holds other numbers of events or entries than were counted when it was written.
SELECT 'posting ' || b.batch_id || ' was written with ' || b.event_count || ' events and '
       || b.entry_count || ' entries, and has ' || coalesce(e.events, 0) || ' and '
       || coalesce(e.entries, 0) AS finding, NULL::bigint AS journal_no, NULL::bigint AS event_id
FROM audit_batch b
LEFT JOIN (
    SELECT batch_id, count(*) AS events, sum(entry_count) AS entries
    FROM audit_event
    GROUP BY batch_id
) e ON e.batch_id = b.batch_id
WHERE b.event_count <> coalesce(e.events, 0) OR b.entry_count <> coalesce(e.entries, 0)
ORDER BY b.batch_id;

\C 'log_differs_from_its_blocks'
-- kind: impossible
-- means: The sealed log is shorter or longer than its newest block says: compare with the copies.
SELECT 'the log has ' || s.events || ' events, its newest block ends at ' || b.size AS finding,
       b.size AS journal_no, NULL::bigint AS event_id
FROM (SELECT count(*) AS events FROM audit_seal) s,
     (SELECT coalesce(max(last_journal_no), 0) AS size FROM audit_block) b
WHERE s.events <> b.size;

\C 'unbalanced_entries'
-- kind: impossible
-- means: The debits and credits of an entry differ.
SELECT 'entry ' || event_id || '/' || entry_no || ' is off by ' || sum(amount_minor) AS finding,
       min(journal_no) AS journal_no, event_id
FROM audit_line
GROUP BY event_id, entry_no
HAVING sum(amount_minor) <> 0
ORDER BY event_id;

\C 'accounts_differ_from_lines'
-- kind: impossible
-- means: The balance of an account is not the sum of its lines.
SELECT a.account_code || ' stands at ' || a.balance_minor || ', its lines sum to '
       || coalesce(l.total_minor, 0) AS finding, NULL::bigint AS journal_no, NULL::bigint AS event_id
FROM audit_account a
LEFT JOIN (
    SELECT account_id, sum(amount_minor) AS total_minor, count(*) AS lines
    FROM audit_line
    GROUP BY account_id
) l ON l.account_id = a.account_id
WHERE a.balance_minor <> coalesce(l.total_minor, 0) OR a.line_count <> coalesce(l.lines, 0)
ORDER BY a.account_code;

\C 'released_more_than_was_held'
-- kind: impossible
-- means: A slot paid out money that it did not have: somebody else's money left.
SELECT account_code || ' was overdrawn by ' || balance_after || ' ' || currency || ' (' || event_kind
       || ')' AS finding, journal_no, event_id
FROM audit_line
WHERE account_kind IN ('custody.escrow', 'custody.escrow_disputed') AND balance_after_minor > 0
ORDER BY recorded_at;

\C 'posted_into_a_closed_period'
-- kind: impossible
-- means: An entry counts in a period that is closed, and came after its closing was stored.
SELECT e.event_kind || ' counts at ' || e.effective_at || ' in a period closed at number '
       || c.last_journal_no AS finding, e.journal_no, e.event_id
FROM audit_period p
JOIN audit_period_closing c ON c.period_id = p.period_id AND c.version = p.version
JOIN audit_event e ON e.effective_at >= p.starts_at AND e.effective_at < p.ends_at
WHERE p.state = 'closed' AND e.entry_count > 0
    AND (e.journal_no > c.last_journal_no OR e.journal_no IS NULL)
ORDER BY e.event_id;

\C 'manual_journal_not_approved_before'
-- kind: impossible
-- means: A manual journal stands in the books without another person's approval before it.
SELECT 'event ' || e.event_id || ' was posted '
       || CASE WHEN j.manual_journal_id IS NULL THEN 'by no manual journal'
               WHEN j.decided_by IS NULL THEN 'and nobody approved it'
               WHEN j.decided_by = j.prepared_by THEN 'by one person alone, ' || j.decided_by
               ELSE 'before it was approved at ' || j.decided_at END
       AS finding, e.journal_no, e.event_id
FROM audit_event e
LEFT JOIN audit_journal j ON j.event_id = e.event_id
WHERE e.event_kind = 'journal.posted' AND (
    j.manual_journal_id IS NULL OR j.decided_by IS NULL OR j.decided_by = j.prepared_by
    OR j.decided_at > e.recorded_at
)
ORDER BY e.event_id;

\C 'not_sealed_for_long'
-- kind: look
-- means: Events wait longer than a minute for their number: the sealer stands still.
SELECT 'event ' || e.event_id || ' (' || e.event_kind || ') of ' || b.opened_at || ' has no number'
       AS finding, NULL::bigint AS journal_no, e.event_id
FROM audit_event e
JOIN audit_batch b ON b.batch_id = e.batch_id
WHERE NOT e.is_sealed AND b.opened_at < now() - interval '1 minute'
ORDER BY e.event_id;

\C 'same_amount_twice'
-- kind: look
-- means: A party's account has the same amount more than once in one span: paid or booked twice?
SELECT account_code || ' has ' || count(*) || ' times ' || max(debit + credit) || ' '
       || CASE WHEN amount_minor > 0 THEN 'debit' ELSE 'credit' END || ' in the '
       || :'same_within' || ' of '
       || date_trunc(:'same_within', effective_at AT TIME ZONE :'zone')::date AS finding,
       min(journal_no) AS journal_no, min(event_id) AS event_id
FROM audit_line
WHERE effective_at >= :'since'::timestamptz AND effective_at < :'until'::timestamptz
    AND (
        :'whose' = 'all' OR is_staff
        OR account_kind IN ('custody.wallet', 'custody.earned_pending', 'custody.earned_available')
    )
GROUP BY account_code, amount_minor, date_trunc(:'same_within', effective_at AT TIME ZONE :'zone')
HAVING count(*) > 1
ORDER BY count(*) DESC, account_code;

\C 'round_amounts'
-- kind: look
-- means: Round sums are estimates more often than invoices.
SELECT event_kind || ' over ' || total || ' ' || currency || ' by ' || actor_kind || ' ' || actor_id
       AS finding, journal_no, event_id
FROM audit_entry
WHERE effective_at >= :'since'::timestamptz AND effective_at < :'until'::timestamptz
    AND (:'whose' = 'all' OR is_staff) AND total > 0 AND total % :'round_units'::numeric = 0
ORDER BY total_minor DESC, event_id;

\C 'at_the_weekend'
-- kind: look
-- means: Somebody's own hand moved money on a Saturday or Sunday.
SELECT event_kind || ' at ' || to_char(recorded_at AT TIME ZONE :'zone', 'Dy YYYY-MM-DD HH24:MI')
       || ' by ' || actor_kind || ' ' || actor_id AS finding, journal_no, event_id
FROM audit_event
WHERE effective_at >= :'since'::timestamptz AND effective_at < :'until'::timestamptz
    AND actor_kind IN ('person', 'key') AND (:'whose' = 'all' OR is_staff) AND entry_count > 0
    AND extract(isodow FROM recorded_at AT TIME ZONE :'zone') >= 6
ORDER BY recorded_at;

\C 'at_night'
-- kind: look
-- means: Somebody's own hand moved money at night.
SELECT event_kind || ' at ' || to_char(recorded_at AT TIME ZONE :'zone', 'Dy YYYY-MM-DD HH24:MI')
       || ' by ' || actor_kind || ' ' || actor_id AS finding, journal_no, event_id
FROM audit_event
WHERE effective_at >= :'since'::timestamptz AND effective_at < :'until'::timestamptz
    AND actor_kind IN ('person', 'key') AND (:'whose' = 'all' OR is_staff) AND entry_count > 0
    AND CASE WHEN :'night_from'::int > :'night_until'::int
        THEN extract(hour FROM recorded_at AT TIME ZONE :'zone') >= :'night_from'::int
            OR extract(hour FROM recorded_at AT TIME ZONE :'zone') < :'night_until'::int
        ELSE extract(hour FROM recorded_at AT TIME ZONE :'zone') >= :'night_from'::int
            AND extract(hour FROM recorded_at AT TIME ZONE :'zone') < :'night_until'::int
    END
ORDER BY recorded_at;

\C 'rare_actors'
-- kind: look
-- means: Somebody who hardly ever moves money did.
SELECT actor_kind || ' ' || actor_id || ', entries: ' || count(*) AS finding,
       min(journal_no) AS journal_no, min(event_id) AS event_id
FROM audit_entry
WHERE effective_at >= :'since'::timestamptz AND effective_at < :'until'::timestamptz
    AND (:'whose' = 'all' OR is_staff)
GROUP BY actor_kind, actor_id
HAVING count(*) <= :'few_entries'::bigint
ORDER BY count(*), actor_id;

\C 'rare_accounts'
-- kind: look
-- means: A kind of account that is hardly ever used was.
SELECT account_kind || ' ' || currency || ', lines: ' || count(*) AS finding,
       min(journal_no) AS journal_no, min(event_id) AS event_id
FROM audit_line
WHERE effective_at >= :'since'::timestamptz AND effective_at < :'until'::timestamptz
GROUP BY account_kind, currency
HAVING count(*) <= :'few_uses'::bigint
ORDER BY count(*), account_kind;

\C 'unusual_pairs'
-- kind: look
-- means: Two kinds of account met in an entry that hardly ever meet.
SELECT d.account_kind || ' against ' || c.account_kind || ', entries: '
       || count(DISTINCT (d.event_id, d.entry_no)) AS finding,
       min(d.journal_no) AS journal_no, min(d.event_id) AS event_id
FROM audit_line d
JOIN audit_line c ON c.event_id = d.event_id AND c.entry_no = d.entry_no
WHERE d.amount_minor > 0 AND c.amount_minor < 0
    AND d.effective_at >= :'since'::timestamptz AND d.effective_at < :'until'::timestamptz
GROUP BY d.account_kind, c.account_kind
HAVING count(DISTINCT (d.event_id, d.entry_no)) <= :'few_pairs'::bigint
ORDER BY count(DISTINCT (d.event_id, d.entry_no)), d.account_kind, c.account_kind;

\C 'back_dated'
-- kind: look
-- means: The books knew it long after it counts: earlier reports of that time changed.
SELECT event_kind || ' counts at ' || effective_at || ' and was known at ' || recorded_at
       AS finding, journal_no, event_id
FROM audit_event
WHERE effective_at >= :'since'::timestamptz AND effective_at < :'until'::timestamptz
    AND entry_count > 0
    AND effective_at < recorded_at - :'late_days'::numeric * interval '1 day'
ORDER BY recorded_at;

\C 'posted_after_close'
-- kind: look
-- means: A period was opened again and took this: the report of its first closing is out of date.
SELECT e.event_kind || ' of ' || e.event_subject || ' counts at ' || e.effective_at
       || ', in a period first closed at number ' || c.last_journal_no || ': ' || e.reason
       AS finding, e.journal_no, e.event_id
FROM audit_period p
JOIN audit_period_closing c ON c.period_id = p.period_id AND c.version = 1
JOIN audit_event e ON e.effective_at >= p.starts_at AND e.effective_at < p.ends_at
WHERE e.entry_count > 0 AND (e.journal_no > c.last_journal_no OR e.journal_no IS NULL)
    AND e.effective_at >= :'since'::timestamptz AND e.effective_at < :'until'::timestamptz
ORDER BY e.recorded_at;

\C 'reason_missing'
-- kind: look
-- means: Somebody's own hand moved money, or took an entry back, and nobody said why.
SELECT event_kind || coalesce(' of ' || nullif(event_subject, ''), '') || ' by ' || actor_kind || ' '
       || actor_id AS finding, journal_no, event_id
FROM audit_event
WHERE effective_at >= :'since'::timestamptz AND effective_at < :'until'::timestamptz
    AND entry_count > 0 AND trim(reason) = ''
    AND actor_kind IN ('person', 'key')
    AND (:'whose' = 'all' OR is_staff OR event_kind = 'event.reversed')
ORDER BY recorded_at;

\C 'actor_is_beneficiary'
-- kind: look
-- means: Who made the entry got the money; a payee who confirms where both must is one of them.
SELECT event_kind || ' of ' || event_subject || ' put ' || credit || ' ' || currency || ' to '
       || account_code || ', whose owner did it' AS finding, journal_no, event_id
FROM audit_line
WHERE effective_at >= :'since'::timestamptz AND effective_at < :'until'::timestamptz
    AND account_kind IN ('custody.wallet', 'custody.earned_pending', 'custody.earned_available')
    AND credit_minor > 0 AND NOT starts_with(event_kind, 'payout.')
    AND split_part(account_subject, ':', 1) IN (acts_for_party_id::text, actor_id::text)
ORDER BY recorded_at;

\C 'preparer_is_beneficiary'
-- kind: look
-- means: A manual journal put money to a party for whom its preparer has acted.
SELECT 'manual journal ' || j.manual_journal_id || ' put ' || l.credit || ' ' || l.currency
       || ' to ' || l.account_code || '; prepared by ' || j.prepared_by AS finding,
       l.journal_no, l.event_id
FROM audit_journal j
JOIN audit_line l ON l.event_id = j.event_id
WHERE l.effective_at >= :'since'::timestamptz AND l.effective_at < :'until'::timestamptz
    AND l.credit_minor > 0 AND EXISTS (
        SELECT FROM audit_event e
        WHERE e.actor_id = j.prepared_by
            AND e.acts_for_party_id::text = split_part(l.account_subject, ':', 1)
    )
ORDER BY l.recorded_at;

\C 'just_under_a_limit'
-- kind: look
-- means: A release, a payout or a manual journal stayed a little below a limit: split to pass it?
SELECT event_kind || ' of ' || event_subject || ' over ' || debit || ' ' || currency AS finding,
       journal_no, event_id
FROM audit_line
WHERE effective_at >= :'since'::timestamptz AND effective_at < :'until'::timestamptz
    AND debit < :'limit_units'::numeric
    AND debit >= :'limit_units'::numeric * (10000 - :'margin_bps'::numeric) / 10000
    AND (
        account_kind = 'custody.escrow' AND event_kind IN ('slot.released', 'slot.partly_released')
        OR account_kind = 'custody.earned_available' AND event_kind = 'payout.requested'
    )
UNION ALL
SELECT n.event_kind || ' of ' || n.event_subject || ' over ' || n.total || ' ' || n.currency
       || ', where a ' || m.role || ' may ' || m.highest, n.journal_no, n.event_id
FROM audit_entry n
JOIN audit_journal_limit m ON m.currency = n.currency AND m.valid_from <= n.recorded_at
WHERE n.event_kind = 'journal.posted'
    AND n.effective_at >= :'since'::timestamptz AND n.effective_at < :'until'::timestamptz
    AND n.total_minor <= m.highest_minor
    AND n.total_minor >= m.highest_minor * (10000 - :'margin_bps'::numeric) / 10000
ORDER BY event_id;

\C 'release_before_funding'
-- kind: look
-- means: By the days on which they count, a slot gave money away before it had come in.
SELECT account_code || ' would stand at ' || standing_minor || ' on the debit side at '
       || effective_at || ' (' || event_kind || ')' AS finding, journal_no, event_id
FROM (
    SELECT account_code, event_kind, journal_no, event_id, effective_at,
           sum(amount_minor) OVER (
               PARTITION BY account_id ORDER BY effective_at RANGE UNBOUNDED PRECEDING
           ) AS standing_minor
    FROM audit_line
    WHERE account_kind = 'custody.escrow'
) l
WHERE standing_minor > 0
    AND effective_at >= :'since'::timestamptz AND effective_at < :'until'::timestamptz
ORDER BY effective_at;

\C 'quick_reversals'
-- kind: look
-- means: An entry was taken back within minutes: a slip of the hand, or a trial.
SELECT 'event ' || r.reverses_event_id || ' (' || o.event_kind || ') was taken back after '
       || (r.recorded_at - o.recorded_at) || ': ' || r.reason AS finding, r.journal_no, r.event_id
FROM audit_entry r
JOIN audit_entry o ON o.event_id = r.reverses_event_id AND o.entry_no = r.reverses_entry_no
WHERE r.effective_at >= :'since'::timestamptz AND r.effective_at < :'until'::timestamptz
    AND r.recorded_at - o.recorded_at <= :'quick_minutes'::numeric * interval '1 minute'
ORDER BY r.recorded_at;

\C 'shared_payout_method'
-- kind: look
-- means: Two payees are paid to one and the same bank account or card.
SELECT count(DISTINCT party_id) || ' payees share the token of method ' || first_method_id || ': '
       || array_to_string((array_agg(DISTINCT party_id::text))[1:3], ', ')
       || CASE WHEN count(DISTINCT party_id) > 3 THEN ', ...' ELSE '' END AS finding,
       NULL::bigint AS journal_no, NULL::bigint AS event_id
FROM audit_payout_method
GROUP BY first_method_id
HAVING count(DISTINCT party_id) > 1
ORDER BY first_method_id;
