-- Which matches of a place have a part by the end of a day and another after it? What the books
-- have more by then because of each, and the days of both parts.
WITH member AS (
    SELECT b.match_id, b.amount_minor, b.event_id IS NOT NULL AS is_booked,
        coalesce(s.booked_on, (l.effective_at AT TIME ZONE 'UTC')::date) AS on_day
    FROM match m JOIN match_line b ON b.match_id = m.id
    LEFT JOIN statement_line s ON s.id = b.line_id
    LEFT JOIN line l ON l.account_id = b.ledger_account_id AND l.account_seq = b.ledger_account_seq
    WHERE m.place = %(place)s AND m.rail_account = %(rail_account)s
        AND m.currency = %(currency)s AND b.undone_by IS NULL
)
SELECT match_id,
    sum(CASE WHEN on_day > %(on)s THEN 0 WHEN is_booked THEN amount_minor ELSE -amount_minor END)
        ::bigint AS gap_minor,
    min(on_day) AS first_on, max(on_day) AS later_on,
    bool_or(is_booked AND on_day <= %(on)s) AS is_booked_first
FROM member
GROUP BY match_id
HAVING min(on_day) <= %(on)s AND max(on_day) > %(on)s
    AND sum(CASE WHEN on_day > %(on)s THEN 0 WHEN is_booked THEN amount_minor ELSE -amount_minor
        END) <> 0
ORDER BY first_on, match_id
