-- Which fees have no document yet? Only what was posted while the tenant had a supplier's profile.
SELECT
    fee.id,
    fee.kind,
    fee.party_id,
    fee.contract_id,
    fee.release_id,
    fee.currency,
    fee.gross_minor,
    fee.fee_minor,
    fee.tax_minor,
    fee.tax_country,
    fee.tax_rate_bps,
    fee.treatment,
    coalesce(event.effective_at, fee.recorded_at) AS supplied_at,
    CASE WHEN fee.release_id IS NULL THEN event.subject END AS about
FROM fee_line AS fee
LEFT JOIN event ON event.id = fee.event_id
WHERE
    fee.treatment IS NOT NULL
    AND (fee.fee_minor <> 0 OR fee.tax_minor <> 0)
    AND (%(everything)s OR fee.id > (
        SELECT coalesce(max(invoice_line.fee_line_id), 0) - 20000
        FROM invoice_line
    ))
    AND NOT EXISTS (
        SELECT FROM invoice_line
        WHERE invoice_line.fee_line_id = fee.id
    )
ORDER BY fee.id
LIMIT %(limit)s
