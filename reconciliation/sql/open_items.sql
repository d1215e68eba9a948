-- What is not exactly zero though the thing it belongs to is over, and what waits too long.
-- One row for each sort, subject and currency; `since` is when it came to be so.
WITH standing AS (
    SELECT kind, subject, currency, -balance_minor AS owed_minor, newest_recorded_at AS since
    FROM account
    WHERE balance_minor <> 0 AND kind IN (
        'custody.escrow', 'custody.escrow_disputed', 'custody.earned_reserved',
        'custody.payout_in_transit', 'custody.refund_in_transit', 'custody.fx', 'custody.suspense',
        'platform.arbitration_fees_held', 'platform.deferred_fees',
        'platform.chargebacks_contested')
),
in_slot AS (
    SELECT subject, currency, sum(owed_minor)::bigint AS owed_minor, max(since) AS since
    FROM standing WHERE kind IN ('custody.escrow', 'custody.escrow_disputed')
    GROUP BY subject, currency
),
named AS (
    SELECT currency, sum(captured_minor)::bigint AS named_minor
    FROM (
        SELECT currency, captured_minor FROM funding WHERE state = 'mismatch'
        UNION ALL
        SELECT currency, captured_minor FROM wallet_top_up WHERE state = 'uncleared'
    ) each_one
    GROUP BY currency
),
currency_in_suspense AS (
    SELECT currency FROM standing WHERE kind = 'custody.suspense'
    UNION
    SELECT currency FROM named
),
deferred AS (
    SELECT currency, sum(deferred_minor)::bigint AS deferred_minor
    FROM (
        SELECT currency, fee_deferred_minor AS deferred_minor
        FROM slot WHERE fee_deferred_minor > 0
        UNION ALL
        SELECT currency, net_minor - earned_minor FROM purchase WHERE state = 'earning'
    ) each_one
    GROUP BY currency
),
currency_of_fees AS (
    SELECT currency FROM standing WHERE kind = 'platform.deferred_fees'
    UNION
    SELECT currency FROM deferred
),
contested AS (
    SELECT b.currency, sum(coalesce(p.open_minor, 0) - b.ahead_minor)::bigint AS contested_minor
    FROM chargeback b LEFT JOIN (
        SELECT chargeback_id,
            sum(money_minor + fee_minor - back_money_minor - back_fee_minor) AS open_minor
        FROM chargeback_piece
        WHERE source <> 'held' AND NOT is_lost
        GROUP BY chargeback_id
    ) p ON p.chargeback_id = b.id
    GROUP BY b.currency
),
currency_of_contests AS (
    SELECT currency FROM standing WHERE kind = 'platform.chargebacks_contested'
    UNION
    SELECT currency FROM contested
),
unfilled AS (
    SELECT side.currency, sum(side.owed_minor)::bigint AS owed_minor
    FROM fx_conversion c,
        LATERAL (VALUES (c.sold, c.sold_minor), (c.bought, -c.bought_minor))
            AS side (currency, owed_minor)
    WHERE c.state = 'open'
    GROUP BY side.currency
),
currency_on_bridge AS (
    SELECT currency FROM standing WHERE kind = 'custody.fx'
    UNION
    SELECT currency FROM unfilled
),
found AS (
    SELECT 'slot.not_zero' AS sort, 'slot:' || h.subject AS subject, h.currency,
        h.owed_minor AS amount_minor, h.since, coalesce(s.state, 'unknown') AS state
    FROM in_slot h LEFT JOIN slot s ON s.id::text = h.subject
    WHERE s.id IS NULL OR s.state NOT IN (
        'funded', 'submitted', 'changes_requested', 'refund_requested', 'dormant', 'disputed')
    UNION ALL
    SELECT 'contract.not_zero', 'contract:' || c.id, h.currency, sum(h.owed_minor)::bigint,
        max(h.since), c.state
    FROM in_slot h JOIN slot s ON s.id::text = h.subject JOIN contract c ON c.id = s.contract_id
    WHERE c.state = 'ended'
    GROUP BY c.id, h.currency
    UNION ALL
    SELECT 'week.not_zero', 'week:' || w.id, h.currency, h.owed_minor, h.since, w.state
    FROM in_slot h JOIN work_week w ON w.slot_id::text = h.subject
    WHERE w.state IN ('closed', 'released', 'refunded', 'written_off')
    UNION ALL
    SELECT 'period.not_zero', 'period:' || p.id, h.currency, h.owed_minor, h.since, p.state
    FROM in_slot h JOIN retainer_period p ON p.id::text = h.subject
    WHERE p.state IN ('settled', 'lapsed', 'cancelled')
    UNION ALL
    SELECT 'fee.left_deferred', '', c.currency,
        coalesce(h.owed_minor, 0) - coalesce(f.deferred_minor, 0), h.since, 'held'
    FROM currency_of_fees c
    LEFT JOIN standing h ON h.kind = 'platform.deferred_fees' AND h.currency = c.currency
    LEFT JOIN deferred f ON f.currency = c.currency
    WHERE coalesce(h.owed_minor, 0) <> coalesce(f.deferred_minor, 0)
    UNION ALL
    SELECT 'dispute.left_frozen', 'slot:' || h.subject, h.currency, h.owed_minor, h.since,
        coalesce(s.state, 'unknown')
    FROM standing h LEFT JOIN slot s ON s.id::text = h.subject
    WHERE h.kind = 'custody.escrow_disputed'
        AND NOT EXISTS (
            SELECT FROM dispute d WHERE d.slot_id = s.id AND d.ended_at IS NULL)
        AND NOT EXISTS (
            SELECT FROM line_dispute d WHERE d.slot_id = s.id AND d.ended_at IS NULL)
    UNION ALL
    SELECT 'dispute.not_carried_out', 'dispute:' || d.id, d.currency, d.claim_minor, d.opened_at,
        d.state
    FROM dispute d
    WHERE d.ended_at IS NULL AND d.state IN ('conceded', 'defaulted', 'settled', 'decided')
    UNION ALL
    SELECT 'dispute.fees_left', '', h.currency, h.owed_minor, h.since, 'held'
    FROM standing h
    WHERE h.kind = 'platform.arbitration_fees_held' AND NOT EXISTS (
        SELECT FROM dispute d WHERE d.ended_at IS NULL AND d.currency = h.currency)
    UNION ALL
    SELECT 'chargeback.unsettled', 'chargeback:' || b.id, b.currency, b.amount_minor, b.state_at,
        b.state
    FROM chargeback b
    WHERE NOT b.is_settled AND b.state_at <= %(at)s - %(refund_after)s
        AND b.state IN ('closed', 'won', 'lost', 'prevented', 'appeal_won', 'appeal_lost')
    UNION ALL
    SELECT 'chargeback.left_contested', '', c.currency,
        -coalesce(h.owed_minor, 0) - coalesce(t.contested_minor, 0), h.since, 'held'
    FROM currency_of_contests c
    LEFT JOIN standing h
        ON h.kind = 'platform.chargebacks_contested' AND h.currency = c.currency
    LEFT JOIN contested t ON t.currency = c.currency
    WHERE -coalesce(h.owed_minor, 0) <> coalesce(t.contested_minor, 0)
    UNION ALL
    SELECT 'payee.left_reserved', 'party:' || h.subject, h.currency,
        h.owed_minor - coalesce(k.kept_minor, 0), h.since, 'reserved'
    FROM standing h LEFT JOIN (
        SELECT payee_id, currency, sum(kept_minor)::bigint AS kept_minor
        FROM (
            SELECT c.payee_id, d.currency, d.reserved_minor AS kept_minor
            FROM dispute d JOIN contract c ON c.id = d.contract_id
            WHERE d.ended_at IS NULL
            UNION ALL
            SELECT payee_id, currency, amount_minor FROM reserve WHERE state = 'kept'
            UNION ALL
            SELECT c.payee_id, b.currency, r.amount_minor - r.lifted_minor - r.taken_minor
            FROM chargeback_reserve r
            JOIN chargeback b ON b.id = r.chargeback_id
            JOIN contract c ON c.id = b.contract_id
            UNION ALL
            SELECT party_id, currency, -amount_minor FROM sanction_block
            WHERE kind = 'custody.earned_reserved' AND released_at IS NULL
        ) each_one
        GROUP BY payee_id, currency
    ) k ON k.payee_id::text = h.subject AND k.currency = h.currency
    WHERE h.kind = 'custody.earned_reserved' AND h.owed_minor <> coalesce(k.kept_minor, 0)
    UNION ALL
    SELECT 'payout.not_zero', 'payout:' || h.subject, h.currency, h.owed_minor, h.since,
        coalesce(p.state, 'unknown')
    FROM standing h LEFT JOIN payout p ON p.id::text = h.subject
    WHERE h.kind = 'custody.payout_in_transit'
        AND (p.id IS NULL OR p.state NOT IN ('requested', 'submitted'))
    UNION ALL
    SELECT 'payout.unconfirmed', 'payout:' || p.id, p.currency, p.amount_minor - p.fee_minor,
        p.submitted_at, p.state
    FROM payout p
    WHERE p.state = 'submitted' AND p.submitted_at <= %(at)s - %(payout_after)s
    UNION ALL
    SELECT 'purchase.not_earned', 'purchase:' || p.id, p.currency, p.net_minor - p.earned_minor,
        p.to_at, p.state
    FROM purchase p
    WHERE p.state = 'earning' AND p.to_at <= %(at)s - %(suspense_after)s
    UNION ALL
    SELECT 'refund.not_zero', 'refund:' || h.subject, h.currency, h.owed_minor, h.since,
        coalesce(r.state, 'unknown')
    FROM standing h LEFT JOIN refund r ON r.id::text = h.subject
    WHERE h.kind = 'custody.refund_in_transit'
        AND (r.id IS NULL OR r.state NOT IN ('approved', 'submitted', 'unknown'))
        AND NOT EXISTS (
            SELECT FROM wallet_withdrawal w
            WHERE w.id::text = h.subject AND w.state = 'submitted')
    UNION ALL
    SELECT 'refund.unconfirmed', 'refund:' || r.id, r.currency, r.amount_minor + r.fee_minor,
        r.created_at, r.state
    FROM refund r
    WHERE r.state IN ('approved', 'submitted', 'unknown')
        AND r.created_at <= %(at)s - %(refund_after)s
    UNION ALL
    SELECT 'suspense.aged', 'funding:' || f.id, f.currency, f.captured_minor, f.created_at, f.state
    FROM funding f
    WHERE f.state = 'mismatch' AND f.created_at <= %(at)s - %(suspense_after)s
    UNION ALL
    SELECT 'suspense.unexplained', '', c.currency,
        coalesce(h.owed_minor, 0) - coalesce(m.named_minor, 0), h.since, 'held'
    FROM currency_in_suspense c
    LEFT JOIN standing h ON h.kind = 'custody.suspense' AND h.currency = c.currency
    LEFT JOIN named m ON m.currency = c.currency
    WHERE coalesce(h.owed_minor, 0) <> coalesce(m.named_minor, 0)
    UNION ALL
    SELECT 'payouts.stopped', 'rail_account:' || s.rail_account, s.currency, s.shortfall_minor,
        s.stopped_at, 'stopped'
    FROM payout_stop s
    WHERE s.lifted_at IS NULL
    UNION ALL
    SELECT 'rail.transaction_open',
        concat_ws(':', 'transaction', t.rail, nullif(t.account, ''), t.transaction_ref),
        t.currency, t.amount_minor - t.fee_minor, t.occurred_at, t.kind
    FROM rail_transaction t
    WHERE t.state = 'open' AND t.occurred_at <= %(at)s - %(suspense_after)s
    UNION ALL
    SELECT 'conversion.unfilled', 'conversion:' || c.id, c.sold, c.sold_minor, c.converted_at,
        c.state
    FROM fx_conversion c
    WHERE c.state = 'open' AND c.converted_at <= %(at)s - %(conversion_after)s
    UNION ALL
    SELECT 'conversion.unexplained', '', c.currency,
        coalesce(h.owed_minor, 0) - coalesce(w.owed_minor, 0),
        coalesce(h.since, %(at)s), 'held'
    FROM currency_on_bridge c
    LEFT JOIN standing h ON h.kind = 'custody.fx' AND h.currency = c.currency
    LEFT JOIN unfilled w ON w.currency = c.currency
    WHERE coalesce(h.owed_minor, 0) <> coalesce(w.owed_minor, 0)
    UNION ALL
    SELECT 'claim.on_payee', 'claim:' || c.id, c.currency, c.remaining_minor, c.created_at, c.state
    FROM claim c WHERE c.state = 'open'
    UNION ALL
    SELECT 'claim.on_client', 'week:' || c.week_id, c.currency, c.gross_minor + c.fee_minor,
        c.made_at, c.state
    FROM client_claim c WHERE c.state = 'open'
)
SELECT sort, subject, currency::text, amount_minor, coalesce(since, %(at)s), state
FROM found
WHERE (sort, subject, currency::text) > (%(after_sort)s, %(after_subject)s, %(after_currency)s)
ORDER BY sort, subject, currency::text
LIMIT %(limit)s
