-- What an auditor reads of prices: what deals pinned, every fee and its tax, the documents on them,
-- what was exchanged, and what was sold besides. Sealed names, addresses and tax numbers are left out.

DROP VIEW audit_contract;
DROP VIEW audit_release;

-- Contracts: the two parties, the state, and the terms and prices that acceptance pinned.
CREATE VIEW audit_contract WITH (security_invoker = false) AS
SELECT
    o.id AS contract_id, -- Its id.
    o.client_id, -- Who pays: a party.
    o.payee_id, -- Who is paid: a party.
    o.currency, -- The currency of all its money.
    o.state, -- draft, active, paused, ending, ended or closed_disputed.
    o.version, -- How often it has moved.
    o.proposed_by, -- client or payee.
    o.commission_bps, -- Our commission where no schedule was pinned, in basis points.
    o.client_fee_bps, -- The client's fee where no schedule was pinned, in basis points.
    o.security_hold_days, -- How long released money waits before it may be withdrawn; pinned.
    o.auto_release_after, -- How long a submission waits for an answer before it is paid; pinned.
    o.release_rule, -- client_or_timer, both_confirm or client_only; pinned.
    o.refund_reply_after, -- How long a request for a refund waits for an answer; pinned.
    o.dormant_after, -- How long a silent slot holds money before it falls dormant; pinned.
    o.dormant_limit_minor, -- Up to this a dormant slot is settled by the clock; pinned, minor units.
    o.free_change_rounds, -- How often work may be sent back; pinned.
    o.created_at, -- When it was proposed.
    o.accepted_at, -- When it was accepted; null: not yet.
    o.origin, -- Where the deal came from, such as marketplace.
    o.category, -- Of which category the work is; null: not said.
    o.payee_currency, -- In which other currency the payee is paid; null: in the contract's.
    o.convert_at, -- When his money is exchanged: release or payout.
    o.payee_schedule_id, -- The schedule of our commission: audit_fee_schedule; null: the flat rate.
    o.client_schedule_id, -- The schedule of the client's fee; null: the flat rate.
    o.promotion_schedule_id, -- The promotion that lowers the commission; null: none.
    o.promotion_until, -- Until when it does; null: for the contract's life.
    o.fx_margin_bps -- What we take of the mid rate where his money is exchanged; pinned.
FROM contract o;

-- Releases: what was paid to a payee out of a slot (or as a tip), and our commission and tax on it.
CREATE VIEW audit_release WITH (security_invoker = false) AS
SELECT
    r.id AS release_id, -- Its id.
    r.contract_id, -- Of which contract.
    r.slot_id, -- Out of which slot; null: a tip.
    r.payee_id, -- To whom: a party.
    r.currency, -- Its currency.
    r.gross_minor, -- What left the slot, in minor units.
    r.commission_minor, -- Our part of it.
    r.gross_minor - r.commission_minor - r.tax_minor AS net_minor, -- The payee's part of it.
    r.gross_minor * c.unit AS gross, -- What left the slot in the currency's own decimals.
    r.commission_minor * c.unit AS commission, -- Our part in the currency's own decimals.
    r.state, -- pending (in its security hold) or available.
    r.available_at, -- When its security hold ends.
    r.tax_minor, -- The tax on our part, which he bears.
    r.paid_currency, -- In which other currency he was paid; null: in the contract's.
    r.paid_minor -- What he was paid in it, in its minor units: audit_conversion of the same id.
FROM release r
LEFT JOIN currency_unit c ON c.code = r.currency;

-- Fees: each that was earned, or came back (below zero), with its tax; nothing else is revenue of them.
CREATE VIEW audit_fee WITH (security_invoker = false) AS
SELECT
    f.id AS fee_id, -- Its number, in the order of writing.
    f.kind AS fee_kind, -- commission, client_fee, subscription or product.
    f.event_id, -- The event that posted it: audit_event; null: from before fees were lines.
    f.contract_id, -- Of which contract; null: of none.
    f.release_id, -- Of which release: audit_release; null: of none.
    f.slot_id, -- Of which slot; null: a tip, or something sold.
    f.party_id, -- Who bears it.
    f.currency, -- Its currency.
    f.gross_minor, -- The payee's money that it was taken of, in minor units.
    f.fee_minor, -- The fee without its tax.
    f.tax_minor, -- The tax on it.
    f.fee_minor * c.unit AS fee, -- The fee in the currency's own decimals.
    f.tax_minor * c.unit AS tax, -- The tax in the currency's own decimals.
    f.tax_country, -- To which country the tax is owed.
    f.tax_rate_bps, -- At which rate, in basis points.
    f.treatment, -- How it is taxed, such as domestic or reverse_charge; null: we levy no tax.
    f.before_minor, -- What the pair was billed before its release.
    f.foregone_minor, -- What a promotion forwent.
    f.schedule_id, -- By which schedule: audit_fee_schedule; null: by the flat rate of the contract.
    f.promotion_id, -- Lowered by which promotion; null: by none.
    f.month, -- The first day of the month that it counts in, for caps.
    f.recorded_at -- When the books knew it.
FROM fee_line f
LEFT JOIN currency_unit c ON c.code = f.currency;

-- What pairs were billed: what was released less what came back; the sum of their audit_fee.
CREATE VIEW audit_pair WITH (security_invoker = false) AS
SELECT
    p.client_id, -- Who paid: a party.
    p.payee_id, -- Who was paid: a party.
    p.currency, -- In which currency.
    p.billed_minor, -- Over the pair's life, in minor units.
    p.billed_minor * c.unit AS billed, -- The same in the currency's own decimals.
    p.month, -- The newest month with a commission, its first day; -infinity: none yet.
    p.charged_month_minor -- The commission of that month.
FROM pair_billing p
LEFT JOIN currency_unit c ON c.code = p.currency;

-- Fee schedules: which deals each version is for, when it holds, and the two people behind it.
CREATE VIEW audit_fee_schedule WITH (security_invoker = false) AS
SELECT
    s.id AS schedule_id, -- Its id.
    s.name, -- Its name.
    s.version, -- Its number under that name.
    s.side, -- payee (our commission) or client (the client's fee).
    s.state, -- prepared, approved or withdrawn.
    s.contract_id, -- For which contract alone; null: for any.
    s.promotion, -- Which promotion it is; null: none.
    s.is_open, -- Whether a promotion is for all in its scope, or for deals that name it.
    s.client_id, -- For which client alone.
    s.plan, -- For payees with which plan.
    s.client_plan, -- For clients with which plan.
    s.arm, -- For which arm of an experiment.
    s.category, -- For which category.
    s.origin, -- For which origin.
    s.country, -- For payees of which country.
    s.basis, -- For which kind of terms.
    s.priority, -- Which of two that are named alike is stronger: the higher.
    s.valid_from, -- From when it is chosen for new deals; null: not approved.
    s.valid_to, -- Until before when; null: open.
    s.replaces, -- Which version it replaced.
    s.reason, -- Why.
    s.prepared_by, -- Who prepared it: audit_actor.
    s.recorded_at, -- When.
    s.approved_by, -- Who approved it, another person.
    s.decided_by, -- Who approved or withdrew it.
    s.decided_at -- When.
FROM fee_schedule s;

-- The prices of fee schedules: a rate for each band of what a pair was billed, and the bounds.
CREATE VIEW audit_fee_band WITH (security_invoker = false) AS
SELECT
    b.schedule_id, -- Of which schedule.
    b.currency, -- In which currency.
    b.place, -- The number of the band, from 1.
    b.from_minor, -- From what the pair was billed before, in minor units.
    b.up_to_minor, -- Up to what; null: without end.
    b.rate_bps, -- The rate, in basis points.
    t.per_transaction_minor, -- What is added to each payment.
    t.floor_minor, -- The least fee of a payment.
    t.cap_minor, -- The most of a payment; null: unbounded.
    t.cap_month_minor, -- The most of a calendar month; null: unbounded.
    t.budget_minor, -- What a promotion may forgo in all; null: unbounded.
    t.party_limit_minor -- What it may forgo for one payee; null: unbounded.
FROM fee_band b
JOIN fee_tariff t ON t.schedule_id = b.schedule_id AND t.currency = b.currency;

-- Documents on fees: invoices, receipts and credit notes, without the buyer's personal data.
CREATE VIEW audit_invoice WITH (security_invoker = false) AS
SELECT
    i.id AS invoice_id, -- Its id.
    i.number, -- Its number.
    i.series, -- The series that it was taken from.
    i.seq, -- Its place in the series: without a gap from 1.
    i.kind, -- invoice, receipt or credit_note.
    i.party_id, -- Whom it is for.
    i.contract_id, -- Of which contract; null: of none.
    i.release_id, -- Of which release; null: of none.
    i.fee_kind, -- Of which kind of fee.
    i.currency, -- Its currency.
    i.net_minor, -- Without tax, in minor units; below zero on a credit note.
    i.tax_minor, -- The tax.
    i.total_minor, -- Both.
    i.total_minor * c.unit AS total, -- Both in the currency's own decimals.
    i.line_count, -- How many lines it has: audit_invoice_line.
    i.original_id, -- Which document a credit note takes from.
    i.supplied_at, -- When the fee was posted.
    i.issued_at -- When it was issued.
FROM invoice i
LEFT JOIN currency_unit c ON c.code = i.currency;

-- Lines of documents: each is one fee, and each fee stands on one document.
CREATE VIEW audit_invoice_line WITH (security_invoker = false) AS
SELECT
    l.invoice_id, -- Of which document.
    l.line_no, -- Its number, from 1.
    l.fee_line_id AS fee_id, -- Which fee: audit_fee.
    l.net_minor, -- Without tax, in minor units.
    l.tax_minor, -- The tax.
    l.tax_country, -- To which country.
    l.tax_rate_bps, -- At which rate, in basis points.
    l.treatment -- How it is taxed.
FROM invoice_line l;

-- Conversions: what was sold and bought at which rate, and what the provider gave for it.
CREATE VIEW audit_conversion WITH (security_invoker = false) AS
SELECT
    x.id AS conversion_id, -- Its id; of a release the release's.
    x.kind, -- release, funding or payout.
    x.subject, -- What it was made for.
    x.party_id, -- Whose money.
    x.sold, -- The currency that was sold.
    x.sold_minor, -- How much, in its minor units.
    x.bought, -- The currency that was bought.
    x.bought_minor, -- How much, in its minor units.
    x.source, -- Whose mid rate.
    x.as_of, -- Of which day.
    x.mid, -- The mid rate.
    x.rate, -- The customer's rate.
    x.margin_bps, -- Our margin, in basis points.
    x.margin_minor, -- Our margin, in minor units of the bought currency.
    x.quote_id, -- By which quote; null: by none.
    x.converted_at, -- When.
    x.state, -- open (waits for its fill) or filled.
    x.filled_minor, -- What the provider gave, in minor units of the bought currency.
    x.filled_at, -- When.
    x.provider, -- Who.
    x.provider_ref, -- His name of the trade.
    x.loss_minor -- What the market cost beyond our margin; a gain if negative.
FROM fx_conversion x;

-- Rates of exchange as they were taken: they are never changed.
CREATE VIEW audit_rate WITH (security_invoker = false) AS
SELECT
    r.provider, -- Whose rate.
    r.kind, -- mid, provider or customer.
    r.sold, -- Of one unit of this currency.
    r.bought, -- In this one.
    r.as_of, -- On which day.
    r.rate, -- How much.
    r.source, -- Which file or feed it stood in.
    r.taken_at -- When it was taken.
FROM fx_rate r;

-- Revaluations of the platform's own foreign balances at the end of a day.
CREATE VIEW audit_revaluation WITH (security_invoker = false) AS
SELECT
    v.id AS revaluation_id, -- Its id.
    v.on_day, -- At the end of which day (UTC).
    v.currency, -- The foreign currency.
    v.reporting, -- The currency that the platform reports in.
    v.balance_minor, -- What it had, in minor units of the foreign currency.
    v.rate, -- At which rate.
    v.source, -- Whose.
    v.as_of, -- Of which day.
    v.worth_minor, -- What that was worth, in minor units of the reporting currency.
    v.carried_minor, -- What it was carried at.
    v.gain_minor, -- The difference, which was booked.
    v.event_id, -- By which event.
    v.revalued_by, -- Who revalued: audit_actor.
    v.revalued_at, -- When.
    v.reversed_by, -- Who took it back; null: it stands.
    v.reversed_at -- When.
FROM fx_revaluation v;

-- Purchases: what was paid for a time of a plan or a product, and how much of it is earned.
CREATE VIEW audit_purchase WITH (security_invoker = false) AS
SELECT
    p.id AS purchase_id, -- Its id.
    p.kind, -- plan or product.
    p.name, -- Of which plan or product.
    p.party_id, -- Who bought.
    p.offering_id, -- Which version.
    p.subscription_id, -- Of which subscription; null: a product.
    p.side, -- payee (paid from his earnings) or client (from his wallet).
    p.currency, -- Its currency.
    p.net_minor, -- The price without tax, in minor units.
    p.tax_minor, -- The tax.
    p.tax_country, -- To which country.
    p.tax_rate_bps, -- At which rate, in basis points.
    p.from_at, -- From when it counts.
    p.to_at, -- Until before when.
    p.bought_at, -- When it was paid.
    p.earned_minor, -- How much of the price its days have earned.
    p.refunded_minor, -- How much went back.
    p.refunded_tax_minor, -- How much tax with it.
    p.state -- earning, earned or refunded.
FROM purchase p;
