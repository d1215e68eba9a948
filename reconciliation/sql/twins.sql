-- Which of these lines repeat an earlier or matched line of their account: the same money with the
-- same end-to-end id, trace or own reference of what it belongs to?
SELECT DISTINCT ON (one.id) one.id, coalesce(nullif(other.ref, ''), other.id::text)
    || ' of ' || other.booked_on
FROM statement_line one
JOIN statement_line other ON other.account_id = one.account_id AND other.id <> one.id
    AND other.amount_minor = one.amount_minor AND other.kind = one.kind
    AND ((one.end_to_end_id NOT IN ('', 'NOTPROVIDED')
            AND other.end_to_end_id = one.end_to_end_id)
        OR (one.ref <> '' AND other.ref = one.ref)
        OR (one.other_refs <> '{}' AND other.other_refs = one.other_refs))
WHERE one.id = ANY (%(ids)s) AND (
    EXISTS (SELECT FROM match_line m WHERE m.line_id = other.id AND m.undone_by IS NULL)
    OR (other.booked_on, other.id) < (one.booked_on, one.id))
ORDER BY one.id, other.booked_on, other.id
