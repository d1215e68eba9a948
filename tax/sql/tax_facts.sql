-- What decides the tax on a fee that each of these parties pays at an instant: the supplier in
-- force, what is known of the buyer, and the newest check of the number he has. No supplier: no row.
SELECT
    payer.party_id,
    supplier.country,
    supplier.service,
    supplier.when_unsure,
    supplier.check_days,
    buyer.evidence,
    checked.id AS check_id,
    checked.tax_country,
    checked.is_valid,
    checked.checked_at,
    checked.reference,
    checked.valid_since
FROM (
    SELECT country, service, when_unsure, check_days
    FROM tax_supplier
    WHERE in_force_from <= %(at)s
    ORDER BY in_force_from DESC, version DESC
    LIMIT 1
) AS supplier
CROSS JOIN unnest(%(party_ids)s::uuid []) AS payer (party_id)
LEFT JOIN LATERAL (
    SELECT evidence, tax_country, number_print
    FROM tax_buyer
    WHERE party_id = payer.party_id AND in_force_from <= %(at)s
    ORDER BY in_force_from DESC, version DESC
    LIMIT 1
) AS buyer ON TRUE
LEFT JOIN LATERAL (
    SELECT id, tax_country, is_valid, checked_at, reference, valid_since
    FROM tax_check
    WHERE
        party_id = payer.party_id
        AND tax_country = buyer.tax_country
        AND number_print = buyer.number_print
        AND checked_at <= %(at)s
    ORDER BY checked_at DESC, id DESC
    LIMIT 1
) AS checked ON TRUE
