-- What stands in the books of one place and is in no match: an event's lines there as one item,
-- with the names that a rail or bank may know it by. In the order of days and lines.
WITH here AS (
    SELECT id FROM account
    WHERE reconciliation_place(kind) = %(place)s AND subject = %(rail_account)s
        AND currency = %(currency)s
),
item AS (
    SELECT l.event_id, sum(l.amount_minor)::bigint AS amount_minor,
        (min(l.effective_at) AT TIME ZONE 'UTC')::date AS booked_on,
        (array_agg(l.account_id ORDER BY l.account_id, l.account_seq))[1] AS first_id,
        (array_agg(l.account_seq ORDER BY l.account_id, l.account_seq))[1] AS first_seq
    FROM line l JOIN here ON here.id = l.account_id
    GROUP BY l.event_id
    HAVING sum(l.amount_minor) <> 0
),
open_item AS (
    SELECT * FROM item
    WHERE (%(from_on)s::date IS NULL OR booked_on >= %(from_on)s)
        AND (%(to_on)s::date IS NULL OR booked_on <= %(to_on)s)
        AND NOT EXISTS (
            SELECT FROM match_line m
            WHERE m.ledger_account_id = first_id AND m.ledger_account_seq = first_seq
                AND m.event_id IS NOT NULL AND m.undone_by IS NULL)
),
told AS (
    SELECT i.*, e.kind, e.subject, e.reason, coalesce(nullif(e.detail, ''), '{}')::jsonb AS detail
    FROM open_item i JOIN event e ON e.id = i.event_id
)
SELECT t.first_id, t.first_seq, t.event_id, t.booked_on, t.amount_minor, t.kind, t.subject,
    t.reason,
    array_remove(ARRAY[t.detail ->> 'transaction', t.detail ->> 'transaction_ref',
        t.detail ->> 'movement', t.detail ->> 'provider_ref', t.detail ->> 'end_to_end_id'], NULL)
        || coalesce(o.names, '{}') || coalesce(c.names, '{}') AS names,
    array_remove(ARRAY[t.detail ->> 'rail_ref', t.detail ->> 'source'], NULL)
        || coalesce(o.others, '{}') AS others,
    coalesce(o.files, '{}') AS files
FROM told t
LEFT JOIN LATERAL (
    SELECT array_agg(p.transaction_ref ORDER BY p.intent_no)
            || array_agg(p.id::text ORDER BY p.intent_no) AS names,
        array_agg(p.rail_ref ORDER BY p.intent_no) AS others,
        array_remove(array_agg(f.message_id ORDER BY p.intent_no), NULL) AS files
    FROM rail_operation p
    LEFT JOIN bank_order b ON b.id = p.id
    LEFT JOIN bank_file f ON f.id = b.file_id
    WHERE CASE WHEN t.detail ? 'operation_id'
        THEN p.id = (t.detail ->> 'operation_id')::uuid
        ELSE p.subject IN (t.subject, 'funding:' || (t.detail ->> 'funding_id')) END
) o ON true
LEFT JOIN LATERAL (
    SELECT array_agg(m.rail_ref ORDER BY m.recorded_at, m.rail_ref)
            || array_agg(p.id::text ORDER BY m.recorded_at, m.rail_ref) AS names
    FROM chargeback b
    JOIN chargeback_movement m ON m.chargeback_id = b.id
    LEFT JOIN rail_operation p ON p.subject = 'funding:' || b.funding_id::text AND p.kind = 'fund'
    WHERE t.subject = 'chargeback:' || b.id::text
) c ON starts_with(t.subject, 'chargeback:')
ORDER BY t.booked_on, t.first_id, t.first_seq
