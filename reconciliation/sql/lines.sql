-- Which lines of the statements of one place are in no match? In the order of days and ids.
SELECT l.id, l.booked_on, l.amount_minor, l.ref, l.end_to_end_id, l.group_ref, l.trace_ref,
    l.other_refs, l.kind, l.text
FROM reconciliation_account a JOIN statement_line l ON l.account_id = a.id
WHERE a.place = %(place)s AND a.rail_account = %(rail_account)s AND a.currency = %(currency)s
    AND (%(from_on)s::date IS NULL OR l.booked_on >= %(from_on)s)
    AND (%(to_on)s::date IS NULL OR l.booked_on <= %(to_on)s)
    AND NOT EXISTS (
        SELECT FROM match_line m WHERE m.line_id = l.id AND m.undone_by IS NULL)
ORDER BY l.booked_on, l.id
