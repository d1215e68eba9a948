-- What do the statements of each place say that lay there when a day was over? The newest closing
-- balance of the day or before and the lines behind it; without balances the sum of all lines.
-- What no line lists (the opening of the first statement) stands beside it.
WITH here AS (
    SELECT id, place, rail_account, label FROM reconciliation_account
    WHERE currency = %(currency)s AND place IN ('processor', 'custody_bank')
        AND EXISTS (SELECT FROM statement s WHERE s.account_id = reconciliation_account.id)
),
told AS (
    SELECT h.*, c.closing_minor, c.to_on, c.source,
        coalesce((
            SELECT sum(l.amount_minor) FROM statement_line l
            WHERE l.account_id = h.id AND l.booked_on <= %(on)s
                AND (c.to_on IS NULL OR l.booked_on > c.to_on)), 0) AS behind_minor,
        coalesce((
            SELECT sum(l.amount_minor) FROM statement_line l
            WHERE l.account_id = h.id AND l.booked_on <= %(on)s), 0) AS listed_minor
    FROM here h
    LEFT JOIN LATERAL (
        SELECT closing_minor, to_on, source FROM statement s
        WHERE s.account_id = h.id AND s.closing_minor IS NOT NULL AND s.to_on <= %(on)s
        ORDER BY s.to_on DESC, s.from_on DESC, s.id DESC LIMIT 1
    ) c ON true
)
SELECT place, rail_account, sum(coalesce(closing_minor, 0) + behind_minor)::bigint AS minor,
    sum(coalesce(closing_minor, 0) + behind_minor - listed_minor)::bigint AS opening_minor,
    string_agg(CASE WHEN to_on IS NULL THEN label || ': sum of its lines'
        ELSE label || ': ' || source || ' to ' || to_on END, '; ' ORDER BY label, id) AS source
FROM told
GROUP BY place, rail_account
ORDER BY place, rail_account
