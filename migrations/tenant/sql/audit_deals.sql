-- What an auditor reads of deals and of the money that comes in and goes out: states, pinned terms
-- and amounts. Texts that people write to each other and tokens of cards and banks are left out.

-- Contracts: the two parties, the state, and the terms that acceptance pinned.
CREATE VIEW audit_contract WITH (security_invoker = false) AS
SELECT
    o.id AS contract_id, -- Its id.
    o.client_id, -- Who pays: a party.
    o.payee_id, -- Who is paid: a party.
    o.currency, -- The currency of all its money.
    o.state, -- draft, active, paused, ending, ended or closed_disputed.
    o.version, -- How often it has moved.
    o.proposed_by, -- client or payee.
    o.commission_bps, -- Our commission of a release, in basis points; pinned.
    o.client_fee_bps, -- The client's fee on what he pays in, in basis points; pinned.
    o.security_hold_days, -- How long released money waits before it may be withdrawn; pinned.
    o.auto_release_after, -- How long a submission waits for an answer before it is paid; pinned.
    o.release_rule, -- client_or_timer, both_confirm or client_only; pinned.
    o.refund_reply_after, -- How long a request for a refund waits for an answer; pinned.
    o.dormant_after, -- How long a silent slot holds money before it falls dormant; pinned.
    o.dormant_limit_minor, -- Up to this a dormant slot is settled by the clock; pinned, minor units.
    o.free_change_rounds, -- How often work may be sent back; pinned.
    o.created_at, -- When it was proposed.
    o.accepted_at -- When it was accepted; null: not yet.
FROM contract o;

-- Slots (milestones): what each was to cost, has taken in, holds, and gave to whom.
CREATE VIEW audit_slot WITH (security_invoker = false) AS
SELECT
    s.id AS slot_id, -- Its id; its escrow account is custody.escrow[slot].
    s.contract_id, -- Its contract.
    s.term_id, -- Its term.
    t.kind AS term_kind, -- milestone, hourly or retainer.
    s.seq, -- Its number in the contract, from 1.
    s.currency, -- The contract's currency.
    s.state, -- proposed, awaiting_funding, funded, submitted, released, refunded, and others.
    s.version, -- How often it has moved.
    s.proposed_by, -- client or payee.
    s.amount_minor, -- Its price, in minor units.
    s.funded_minor, -- What the client has paid in for it.
    s.rolled_in_minor, -- What came over from another slot of the contract.
    s.held_minor, -- What it holds now; its escrow account says the same.
    s.released_minor, -- What was released to the payee, commission included.
    s.refunded_minor, -- What went back to the client.
    s.rolled_out_minor, -- What went over to another slot.
    s.uncleared_minor, -- What the rail may still take back.
    s.fee_deferred_minor, -- The client's fee that is not earned yet.
    s.amount_minor * c.unit AS amount, -- Its price in the currency's own decimals.
    s.held_minor * c.unit AS held, -- What it holds now in the currency's own decimals.
    s.submission_count, -- How often work was shown.
    s.change_rounds, -- How often it was sent back.
    s.confirmed_by, -- Who has confirmed where both must; null: nobody.
    s.created_at, -- When it was proposed.
    s.active_at, -- When anything last happened to it.
    s.due_at -- Until when the work was promised; null: not said.
FROM slot s
LEFT JOIN term t ON t.id = s.term_id
LEFT JOIN currency_unit c ON c.code = s.currency;

-- Fundings: what a client was asked to pay, and what came.
CREATE VIEW audit_funding WITH (security_invoker = false) AS
SELECT
    f.id AS funding_id, -- Its id.
    f.contract_id, -- For which contract.
    f.slot_id, -- For which slot; null: a tip.
    f.purpose, -- slot, top_up or tip.
    f.method, -- card, bank_debit, bank_transfer or wallet.
    f.rail_account, -- At which account of the rail it arrives.
    f.currency, -- Its currency.
    f.amount_minor, -- What is for the slot, in minor units.
    f.client_fee_minor, -- Our fee on top.
    f.captured_minor, -- What really came.
    f.refunded_minor, -- What went back of it.
    f.rail_fee_minor, -- What the rail took for it; our cost.
    f.amount_minor * c.unit AS amount, -- What is for the slot in the currency's own decimals.
    f.state, -- created, processing, succeeded, failed, and others.
    f.rail_ref, -- The rail's own name for it.
    f.code, -- Why it failed, in the rail's words; empty: it did not.
    f.release_id, -- The release of a tip.
    f.created_at -- When it was asked for.
FROM funding f
LEFT JOIN currency_unit c ON c.code = f.currency;

-- Releases: what was paid to a payee out of a slot (or as a tip), and our commission on it.
CREATE VIEW audit_release WITH (security_invoker = false) AS
SELECT
    r.id AS release_id, -- Its id.
    r.contract_id, -- Of which contract.
    r.slot_id, -- Out of which slot; null: a tip.
    r.payee_id, -- To whom: a party.
    r.currency, -- Its currency.
    r.gross_minor, -- What left the slot, in minor units.
    r.commission_minor, -- Our part of it.
    r.gross_minor - r.commission_minor AS net_minor, -- The payee's part of it.
    r.gross_minor * c.unit AS gross, -- What left the slot in the currency's own decimals.
    r.commission_minor * c.unit AS commission, -- Our part in the currency's own decimals.
    r.state, -- pending (in its security hold) or available.
    r.available_at -- When its security hold ends.
FROM release r
LEFT JOIN currency_unit c ON c.code = r.currency;

-- Refunds: what went back to a client, and by which way.
CREATE VIEW audit_refund WITH (security_invoker = false) AS
SELECT
    r.id AS refund_id, -- Its id.
    r.slot_id, -- Out of which slot.
    r.funding_id, -- Of which funding.
    r.client_id, -- To whom: a party.
    r.method, -- card, bank_debit, bank_transfer or wallet.
    r.rail_account, -- From which account of the rail.
    r.currency, -- Its currency.
    r.amount_minor, -- What goes back with the fee, in minor units.
    r.fee_minor, -- Our fee inside it.
    r.amount_minor * c.unit AS amount, -- What goes back in the currency's own decimals.
    r.state, -- approved, submitted, unknown, succeeded or wallet_credited.
    r.rail_ref, -- The rail's own name for it.
    r.code, -- Why it failed; empty: it did not.
    r.created_at -- When it was approved.
FROM refund r
LEFT JOIN currency_unit c ON c.code = r.currency;

-- Payouts: what left us for a payee's own account, and what became of it.
CREATE VIEW audit_payout WITH (security_invoker = false) AS
SELECT
    p.id AS payout_id, -- Its id.
    p.payee_id, -- To whom: a party.
    p.method_id, -- By which of his methods: audit_payout_method.
    p.currency, -- Its currency.
    p.amount_minor, -- What left his balance, in minor units.
    p.fee_minor, -- Our fee inside it.
    p.charge_minor, -- What a bank kept when it came back; our cost.
    p.amount_minor * c.unit AS amount, -- What left his balance in the currency's own decimals.
    p.state, -- requested, submitted, paid, failed, returned or cancelled.
    p.rail_ref, -- The rail's own name for it.
    p.code, -- Why it failed or came back; empty: it did not.
    p.requested_at, -- When it was asked for.
    p.submitted_at, -- When it was given to the rail.
    p.paid_at, -- When the rail had paid it.
    p.ended_at -- When it failed, came back or was cancelled.
FROM payout p
LEFT JOIN currency_unit c ON c.code = p.currency;

-- Payout methods: whose, and which of them lead to one and the same place. No token is shown.
CREATE VIEW audit_payout_method WITH (security_invoker = false) AS
SELECT
    m.id AS method_id, -- Its id.
    m.party_id, -- Whose: a party.
    m.state, -- active or disabled.
    m.reason, -- Why it was disabled.
    m.added_at, -- When it was named.
    m.disabled_at, -- When it was disabled.
    first_value(m.id) OVER (PARTITION BY m.token ORDER BY m.added_at, m.id)
        AS first_method_id, -- The first method with the same token: equal ids, equal token.
    count(*) OVER (PARTITION BY m.token) AS methods_with_this_token -- One: nobody else has it.
FROM payout_method m;

-- What was asked of rails, and what they said: the other end of every movement of real money.
CREATE VIEW audit_rail_operation WITH (security_invoker = false) AS
SELECT
    o.id AS operation_id, -- Its id, also at the rail.
    o.kind, -- fund, refund, payout, bank_transfer or top_up.
    o.subject, -- For what: funding:0190...
    o.currency, -- Its currency.
    o.amount_minor, -- How much, in minor units.
    o.fee_minor, -- What the rail took.
    o.amount_minor * c.unit AS amount, -- How much in the currency's own decimals.
    o.state, -- created, withdrawn, sent, unknown, pending, done or refused.
    o.attempts, -- How often the rail was asked.
    o.rail_ref, -- The rail's own name for it.
    o.code, -- Why it was refused; empty: it was not.
    o.cleared, -- Whether the rail can take it back no more.
    o.created_at, -- When we meant it.
    o.sent_at, -- When the rail was asked.
    o.occurred_at -- When it happened at the rail.
FROM rail_operation o
LEFT JOIN currency_unit c ON c.code = o.currency;

-- What rails told us by themselves, also what we could not make sense of yet.
CREATE VIEW audit_rail_notice WITH (security_invoker = false) AS
SELECT
    n.rail, -- Which rail.
    n.notice_id, -- The rail's number of it: heard once.
    n.kind, -- What it is about.
    n.operation_id, -- Our operation, where it names one.
    n.rail_ref, -- The rail's own name for it.
    n.outcome, -- done, pending, refused or unknown; null: it says none.
    n.currency, -- Its currency.
    n.amount_minor, -- How much, in minor units.
    n.fee_minor, -- What the rail took.
    n.code, -- Why it was refused; empty: it was not.
    n.state, -- applied, parked (tried again) or exception (waits for a person).
    n.trouble, -- Why it is not applied; empty: it is.
    n.tries, -- How often we tried.
    n.occurred_at, -- When it happened at the rail.
    n.received_at -- When we heard of it.
FROM notice n;
