-- What is the newest mid rate of each pair by its day, from the source that the policy names?
--
-- A pair is stored as it was given, or it is made over the euro of rates of one day where the source
-- is the central bank, whose rates are all for one euro: it is `rate` divided by `per`.
-- A currency that the bank gave up has no rate after thirty days. Codes are compared as the type that
-- they are stored in, without which no index is used.
WITH chosen AS (
    SELECT coalesce(
        (
            SELECT source
            FROM fx_policy
            WHERE version IS NOT NULL
            ORDER BY version DESC
            LIMIT 1
        ),
        'ecb'
    ) AS source
)
SELECT asked.sold, asked.bought, asked.on_day, found.provider, found.rate, found.per, found.as_of
FROM unnest(%(sold)s::bpchar[], %(bought)s::bpchar[], %(on)s::date[]) AS asked (sold, bought, on_day)
CROSS JOIN chosen
CROSS JOIN LATERAL (
    (
        SELECT r.provider, r.rate, 1::numeric AS per, r.as_of
        FROM fx_rate AS r
        WHERE r.provider = chosen.source AND r.kind = 'mid'
            AND r.sold = asked.sold AND r.bought = asked.bought AND r.as_of <= asked.on_day
        ORDER BY r.as_of DESC
        LIMIT 1
    )
    UNION ALL
    (
        SELECT r.provider, 1::numeric, r.rate, r.as_of
        FROM fx_rate AS r
        WHERE chosen.source = 'ecb' AND asked.bought = 'EUR'
            AND r.provider = 'ecb' AND r.kind = 'mid'
            AND r.sold = 'EUR' AND r.bought = asked.sold
            AND r.as_of <= asked.on_day AND r.as_of >= asked.on_day - 30
        ORDER BY r.as_of DESC
        LIMIT 1
    )
    UNION ALL
    (
        SELECT one.provider, other.rate, one.rate, one.as_of
        FROM fx_rate AS one
        JOIN fx_rate AS other
            ON other.provider = 'ecb' AND other.kind = 'mid' AND other.sold = 'EUR'
            AND other.bought = asked.bought AND other.as_of = one.as_of
        WHERE chosen.source = 'ecb' AND one.provider = 'ecb' AND one.kind = 'mid'
            AND one.sold = 'EUR' AND one.bought = asked.sold
            AND one.as_of <= asked.on_day AND one.as_of >= asked.on_day - 30
        ORDER BY one.as_of DESC
        LIMIT 1
    )
    ORDER BY as_of DESC
    LIMIT 1
) AS found
