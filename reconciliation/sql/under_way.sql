-- Which operation of a rail did each of these events book, and how does it stand?
SELECT e.id, o.kind, o.rail, o.state, o.has_left
FROM event e
CROSS JOIN LATERAL (
    SELECT p.kind, p.rail, p.state, p.has_left FROM rail_operation p
    WHERE CASE WHEN coalesce(nullif(e.detail, ''), '{}')::jsonb ? 'operation_id'
        THEN p.id = (e.detail::jsonb ->> 'operation_id')::uuid
        ELSE p.subject = e.subject AND e.subject <> '' END
    ORDER BY p.intent_no LIMIT 1
) o
WHERE e.id = ANY (%(events)s)
ORDER BY e.id
