-- What do the tenant's tables show, one fact a line, in the words of the plain model?
SELECT format(
    'account %s[%s] %s %s', a.kind, coalesce(r.slot_id || '/' || r.funding_id, a.subject),
    a.currency, sum(a.balance_minor)
)
FROM account a
LEFT JOIN refund r ON a.kind = 'custody.refund_in_transit' AND r.id::text = a.subject
WHERE a.balance_minor <> 0
    AND a.kind NOT IN ('custody.processor_pending', 'custody.processor_available')
GROUP BY a.kind, coalesce(r.slot_id || '/' || r.funding_id, a.subject), a.currency
UNION ALL
SELECT format('account %s[] %s %s', a.kind, a.currency, a.balance_minor)
FROM account a
WHERE a.balance_minor <> 0
    AND a.kind IN ('custody.processor_pending', 'custody.processor_available')
UNION ALL
SELECT format('contract %s %s', id, state) FROM contract
UNION ALL
SELECT format(
    'slot %s %s v%s price %s held %s released %s refunded %s uncleared %s fee %s unpaid %s'
    ' submission %s notices %s',
    id, state, version, amount_minor, held_minor, released_minor, refunded_minor,
    uncleared_minor, fee_deferred_minor,
    greatest(0, amount_minor - funded_minor - rolled_in_minor + refunded_minor + rolled_out_minor),
    submission_no, notices
)
FROM slot
UNION ALL
SELECT format('amendment %s %s', id, state) FROM amendment
UNION ALL
SELECT format(
    'clock %s %s %s', substr(t.kind, 8),
    CASE
        WHEN r.id IS NULL THEN t.subject
        ELSE format('release of %s %s', coalesce(r.slot_id, r.contract_id), r.gross_minor)
    END,
    CASE
        WHEN t.paused_remaining IS NULL THEN 'at ' || extract(EPOCH FROM t.due_at)::bigint
        ELSE 'stopped ' || extract(EPOCH FROM t.paused_remaining)::bigint
    END
)
FROM timer t
LEFT JOIN release r ON t.kind = 'escrow.security_hold' AND 'release:' || r.id = t.subject
UNION ALL
SELECT format('funding %s %s', id, state) FROM funding
UNION ALL
SELECT format('refund %s/%s %s %s %s', slot_id, funding_id, amount_minor, fee_minor, state)
FROM refund
UNION ALL
SELECT format(
    'release of %s %s %s %s', coalesce(slot_id, contract_id), gross_minor, commission_minor, state
)
FROM release
UNION ALL
SELECT format('payout %s %s %s %s', id, state, amount_minor, fee_minor) FROM payout
UNION ALL
SELECT format(
    'party %s %s %s %s', p.id, p.kyc_state, p.sanction_state,
    CASE WHEN u.party_id IS NULL THEN 'unpaused' ELSE 'paused' END
)
FROM party p
LEFT JOIN payout_pause u ON u.party_id = p.id
UNION ALL
SELECT format('method %s %s', id, state) FROM payout_method
UNION ALL
SELECT format('hold %s %s', id, subject) FROM hold WHERE lifted_at IS NULL
