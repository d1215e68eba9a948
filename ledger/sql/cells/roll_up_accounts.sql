-- What do sixteen chunks of an account add together, per effective day?
INSERT INTO account_cell (
    account_id, level, chunk, effective_day, line_count, debit_minor, credit_minor, earliest,
    latest
)
SELECT f.account_id, %(level)s, f.chunk, c.effective_day, sum(c.line_count), sum(c.debit_minor),
       sum(c.credit_minor), min(c.earliest), max(c.latest)
FROM unnest(%(accounts)s::bigint[], %(chunks)s::bigint[]) AS f (account_id, chunk)
JOIN account_cell c ON c.account_id = f.account_id AND c.level = %(level)s - 1
    AND c.chunk >= f.chunk << 4 AND c.chunk < (f.chunk + 1) << 4
GROUP BY f.account_id, f.chunk, c.effective_day
ORDER BY f.account_id, f.chunk, c.effective_day
