-- The kinds of the chart in words, and what one minor unit of a currency is worth in its own unit.

CREATE TABLE account_words (
    kind text CONSTRAINT account_words_once PRIMARY KEY
        CONSTRAINT account_words_of_the_chart REFERENCES account_kind (kind),
    name text NOT NULL CONSTRAINT account_words_name_unique UNIQUE
        CONSTRAINT account_words_has_a_name CHECK (name <> ''),
    meaning text NOT NULL CONSTRAINT account_words_has_a_meaning CHECK (meaning <> '')
);

INSERT INTO account_words (kind, name, meaning) VALUES
('custody.escrow', 'Escrow', 'What a slot holds for its client and payee until it is decided.'),
('custody.escrow_disputed', 'Escrow in dispute', 'What a slot holds while a dispute is open.'),
('custody.wallet', 'Wallet', 'What a client may spend or take back.'),
('custody.earned_pending', 'Earned, in security hold', 'Released to the payee, not yet his to withdraw.'),
('custody.earned_available', 'Earned, available', 'What the payee may withdraw.'),
('custody.earned_reserved', 'Earned, reserved', 'What is kept back of a payee''s money against claims.'),
('custody.payout_in_transit', 'Payout on its way', 'Left the payee''s balance, not yet paid by the bank.'),
('custody.refund_in_transit', 'Refund on its way', 'Left the slot, not yet paid by the rail.'),
('custody.processor_pending', 'Processor, pending', 'Client money at the processor that is not ready yet.'),
('custody.processor_available', 'Processor, available', 'Client money at the processor that can be moved.'),
('custody.bank', 'Custody bank', 'Client money in the bank.'),
('custody.due_from_platform', 'Due from the platform', 'What the platform owes to client money.'),
('custody.due_to_platform', 'Due to the platform', 'Earned fees that still lie in client money.'),
('custody.fx', 'Conversion', 'Bridges two currencies; at zero after every event.'),
('custody.suspense', 'Suspense', 'Money that came and that nobody is known to wait for.'),
('custody.tax_withheld', 'Tax withheld', 'Withheld from payees for an authority, not yet remitted.'),
('custody.unclaimed', 'Unclaimed money', 'Whose owner is not found; owed to a state.'),
('custody.blocked', 'Blocked money', 'A party''s money that the law forbids to pay.'),
('platform.bank', 'Platform bank', 'The operator''s own money in the bank.'),
('platform.due_from_custody', 'Due from custody', 'Earned fees that still lie in client money.'),
('platform.due_to_custody', 'Due to custody', 'What the platform owes to client money.'),
('platform.claim_on_payee', 'Claim on a payee', 'What a payee owes the platform.'),
('platform.claim_on_client', 'Claim on a client', 'What a client owes the platform.'),
('platform.chargebacks_contested', 'Chargebacks contested', 'Taken back by card holders; the platform objects.'),
('platform.vat_payable', 'VAT payable', 'Tax on our fees, owed to a country.'),
('platform.deferred_fees', 'Fees not yet earned', 'Clients'' fees on money that is still held.'),
('platform.arbitration_fees_held', 'Arbitration fees held', 'Paid in by both sides until a dispute is decided.'),
('platform.capital', 'Capital', 'What the owner paid in.'),
('platform.revenue.commission', 'Commission', 'Our part of what is released.'),
('platform.revenue.client_fee', 'Client fees', 'Our fee on what clients paid in.'),
('platform.revenue.subscription', 'Subscriptions', 'What is paid for a membership.'),
('platform.revenue.payout_fee', 'Payout fees', 'Our fee on payouts.'),
('platform.revenue.fx_margin', 'Conversion margin', 'Our part of conversions.'),
('platform.expense.processor', 'Processor fees', 'What rails take from payments.'),
('platform.expense.chargeback_fee', 'Chargeback fees', 'What rails take for chargebacks.'),
('platform.expense.chargeback_loss', 'Chargeback losses', 'Chargebacks that nobody else bears.'),
('platform.expense.protection', 'Protection payments', 'What we pay under a promise to protect a party.'),
('platform.expense.bad_debt', 'Bad debt', 'Claims that were given up.'),
('platform.expense.payout', 'Payout costs', 'What banks take for payouts and their returns.'),
('platform.expense.fx', 'Conversion costs', 'What conversions cost beyond our margin.'),
('platform.expense.rounding', 'Rounding', 'Odd cents that are ours to bear.');

CREATE VIEW currency_unit AS
SELECT code, ('1e-' || exponent)::numeric AS unit FROM currency;
COMMENT ON VIEW currency_unit IS 'One minor unit in the currency''s own unit: 0.01 for EUR, exact.';
