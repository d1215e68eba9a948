-- What tax did fees bear in a time, per country and currency; what of it do documents tell; and what
-- did the accounts of tax owed move by, with those fees and beside them?
WITH fee AS (
    SELECT
        line.tax_country AS country,
        line.currency,
        sum(line.fee_minor) AS net_minor,
        sum(line.tax_minor) AS tax_minor,
        coalesce(sum(told.tax_minor), 0) AS told_minor,
        count(*) FILTER (WHERE told.fee_line_id IS NULL) AS untold
    FROM fee_line AS line
    LEFT JOIN invoice_line AS told ON told.fee_line_id = line.id
    WHERE
        line.treatment IS NOT NULL
        AND (line.fee_minor <> 0 OR line.tax_minor <> 0)
        AND line.recorded_at >= %(since)s
        AND line.recorded_at < %(until)s
    GROUP BY line.tax_country, line.currency
),

moved AS (
    SELECT
        account.subject AS country,
        account.currency,
        coalesce(-sum(line.amount_minor) FILTER (WHERE taxed.is_fee), 0) AS fees_minor,
        coalesce(-sum(line.amount_minor) FILTER (WHERE NOT taxed.is_fee), 0) AS other_minor
    FROM account
    INNER JOIN line ON line.account_id = account.id
    CROSS JOIN LATERAL (
        SELECT EXISTS (
            SELECT FROM fee_line
            WHERE fee_line.event_id = line.event_id AND fee_line.treatment IS NOT NULL
        ) AS is_fee
    ) AS taxed
    WHERE
        account.kind = 'platform.vat_payable'
        AND line.recorded_at >= %(since)s
        AND line.recorded_at < %(until)s
    GROUP BY account.subject, account.currency
),

side AS (
    SELECT
        country,
        currency,
        coalesce(fee.net_minor, 0)::bigint AS net_minor,
        coalesce(fee.tax_minor, 0)::bigint AS tax_minor,
        coalesce(fee.told_minor, 0)::bigint AS told_minor,
        coalesce(fee.untold, 0)::bigint AS untold,
        coalesce(moved.fees_minor, 0)::bigint AS posted_minor,
        coalesce(moved.other_minor, 0)::bigint AS other_minor
    FROM fee
    FULL JOIN moved USING (country, currency)
)

SELECT
    side.*,
    coalesce(-owed.balance_minor, 0)::bigint AS owed_minor
FROM side
LEFT JOIN account AS owed
    ON
        owed.kind = 'platform.vat_payable'
        AND owed.subject = side.country
        AND owed.currency = side.currency
ORDER BY side.country, side.currency
