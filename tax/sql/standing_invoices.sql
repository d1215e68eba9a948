-- Which documents have these families of fees (party, release, kind, currency; without a release,
-- the purchase or subscription), oldest first, and which documents does a credit note refer to?
WITH family AS (
    SELECT DISTINCT asked.party_id, asked.release_id, asked.kind, asked.currency
    FROM unnest(
        %(party_ids)s::uuid [], %(release_ids)s::uuid [], %(kinds)s::text [], %(currencies)s::text []
    ) AS asked (party_id, release_id, kind, currency)
),

document AS (
    SELECT
        invoice.id,
        invoice.number,
        invoice.kind,
        invoice.party_id,
        invoice.release_id,
        invoice.fee_kind,
        invoice.currency,
        invoice.net_minor,
        invoice.tax_minor,
        invoice.document -> 'originals' AS originals
    FROM invoice
    INNER JOIN family
        ON
            invoice.party_id = family.party_id
            AND invoice.release_id IS NOT DISTINCT FROM family.release_id
            AND invoice.fee_kind = family.kind
            AND invoice.currency = family.currency
)

SELECT
    document.party_id,
    document.release_id,
    document.fee_kind,
    document.currency,
    CASE WHEN document.release_id IS NULL THEN event.subject END AS about,
    document.originals,
    document.id,
    document.number,
    document.net_minor,
    document.tax_minor,
    line.treatment,
    line.tax_country,
    line.tax_rate_bps
FROM document
INNER JOIN invoice_line AS line ON line.invoice_id = document.id AND line.line_no = 1
INNER JOIN fee_line AS fee ON fee.id = line.fee_line_id
LEFT JOIN event ON event.id = fee.event_id
ORDER BY document.id
