-- What did the accounts of client money hold in one currency when a day was over? From what they
-- hold now, less what is of later; by kind, and by rail account where money lies at processors.
WITH later AS (
    SELECT l.account_id, sum(l.amount_minor) AS minor
    FROM line l JOIN account a ON a.id = l.account_id
    WHERE l.effective_at >= %(before)s AND a.book = 'custody' AND a.currency = %(currency)s
    GROUP BY l.account_id
)
SELECT a.kind,
    CASE WHEN reconciliation_place(a.kind) = 'processor' THEN a.subject ELSE '' END AS subject,
    sum(a.balance_minor - coalesce(later.minor, 0))::bigint AS minor
FROM account a LEFT JOIN later ON later.account_id = a.id
WHERE a.book = 'custody' AND a.currency = %(currency)s
GROUP BY 1, 2
HAVING sum(a.balance_minor - coalesce(later.minor, 0)) <> 0
ORDER BY 1, 2
