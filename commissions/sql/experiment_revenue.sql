-- What did a unit of each arm bring in fees, by currency, in sums that give mean and spread?
-- Fees earned less fees that came back, without tax, of the contracts pinned in the experiment; a
-- unit counts in the currencies of its contracts, also with nothing earned yet.
WITH unit AS (
    SELECT c.arm, k.currency, c.unit_key, coalesce(sum(f.fee_minor), 0) AS fee_minor
    FROM experiment_contract c
    JOIN contract k ON k.id = c.contract_id
    LEFT JOIN fee_line f
        ON f.contract_id = c.contract_id AND f.currency = k.currency
            AND f.kind IN ('commission', 'client_fee')
    WHERE c.experiment_id = %(experiment_id)s
    GROUP BY c.arm, k.currency, c.unit_key
)
SELECT arm,
       currency,
       count(*) AS units,
       sum(fee_minor)::numeric AS total_minor,
       sum(fee_minor::numeric * fee_minor) AS squares
FROM unit
GROUP BY arm, currency
ORDER BY arm, currency
