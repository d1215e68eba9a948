-- What an auditor reads of rails: operations with their keys, events without their bodies, the lines
-- of rails' statements, the treasury, money at rest, wallets, and who is told of our own events.

DROP VIEW audit_rail_operation;

-- What was asked of rails, and what they said: the other end of every movement of real money.
CREATE VIEW audit_rail_operation WITH (security_invoker = false) AS
SELECT
    o.id AS operation_id, -- Its id, also at the rail.
    o.rail, -- Which rail.
    o.kind, -- fund, refund, payout, transfer, payee and so on: what was asked.
    o.subject, -- For what: funding:0190...
    o.currency, -- Its currency.
    o.amount_minor, -- How much, in minor units.
    o.fee_minor, -- What the rail took.
    o.amount_minor * c.unit AS amount, -- How much in the currency's own decimals.
    o.state, -- created, withdrawn, sent, unknown, pending, done or refused.
    o.attempts, -- How often the rail was asked.
    o.key_no, -- How many idempotency keys were spent on it before the one in use.
    o.key_at, -- When the one in use was first shown to the rail.
    o.retry_at, -- Until when it waits before it is asked again.
    o.rail_ref, -- The rail's own name for it.
    o.transaction_ref, -- The rail's balance transaction that moved it: audit_rail_transaction.
    o.code, -- Why it was refused; empty: it was not.
    o.cleared, -- Whether the rail can take it back no more.
    o.has_left, -- Whether a payout that is not paid yet has left the account that pays it.
    o.created_at, -- When we meant it.
    o.sent_at, -- When the rail was asked.
    o.occurred_at -- When it happened at the rail.
FROM rail_operation o
LEFT JOIN currency_unit c ON c.code = o.currency;

-- Events as rails sent them: what became of each. Bodies are left out; their hash stands for them.
CREATE VIEW audit_rail_event WITH (security_invoker = false) AS
SELECT
    e.event_no, -- Its number in the order of coming in.
    e.rail, -- Which rail.
    e.account, -- Which account there; empty: the platform's.
    e.event_id AS rail_event_id, -- The rail's own name for it: kept once.
    e.kind, -- What it is about, in the rail's words.
    e.object_ref, -- Which object there.
    e.authentic, -- What proves it: signature, api (read from the rail itself) or none (a hint).
    e.is_live, -- Whether it is more than a test's.
    encode(sha256(e.body), 'hex') AS body_sha256, -- Hash of its body.
    e.occurred_at, -- When it happened at the rail.
    e.received_at, -- When it came in.
    e.state, -- new, processed, parked (tried again) or exception (waits for a person).
    e.tries, -- How often it was tried.
    e.failures, -- How often that failed.
    e.trouble, -- Why it is not processed; empty: it is.
    e.retry_at, -- When it is tried again.
    e.processed_at -- When it was done with.
FROM rail_event e;

-- The rails' own statements of our accounts there, line by line, and what each is in the books.
CREATE VIEW audit_rail_transaction WITH (security_invoker = false) AS
SELECT
    t.seen_no, -- Its number in the order of reading.
    t.rail, -- Which rail.
    t.account, -- Which account there; empty: the platform's.
    t.transaction_ref, -- The rail's own name for it: kept once.
    t.kind, -- What it is to us, such as funding, payout, fee; other: nobody knows.
    t.rail_kind, -- What the rail calls it.
    t.currency, -- Its currency.
    t.amount_minor, -- How it moved the account, before the fee, in minor units.
    t.fee_minor, -- What the rail took beside it.
    t.amount_minor * c.unit AS amount, -- How it moved the account in the currency's own decimals.
    t.source_ref, -- Which object there it is of.
    t.operation_id, -- Which operation of ours: audit_rail_operation; null: none.
    t.occurred_at, -- When it happened at the rail.
    t.available_at, -- When the rail makes it available.
    t.became_available_at, -- When our books took it as available.
    t.state, -- open (nobody knows what it is), booked or explained.
    t.explained_by, -- By what it is explained; empty: it is not.
    t.event_id, -- Which event booked it: audit_event.
    t.received_at -- When we read it.
FROM rail_transaction t
LEFT JOIN currency_unit c ON c.code = t.currency;

-- What becomes of free money at our accounts at rails, from a time on. Rows are never changed.
CREATE VIEW audit_treasury_rule WITH (security_invoker = false) AS
SELECT
    r.rail_account, -- At which account of ours.
    r.currency, -- In which currency; null: in all others.
    r.mode, -- land (goes to our bank) or stay.
    r.floor_minor, -- What stays there in any case, in minor units.
    r.floor_minor * c.unit AS floor, -- The same in the currency's own decimals.
    r.valid_from, -- From when.
    r.set_by -- Who set it: audit_actor.
FROM treasury_rule r
LEFT JOIN currency_unit c ON c.code = r.currency;

-- Times in which no payout left, because an account of ours or the platform's bank was short.
CREATE VIEW audit_payout_stop WITH (security_invoker = false) AS
SELECT
    s.id AS payout_stop_id, -- Its id.
    s.rail_account, -- Which account of ours was short.
    s.currency, -- In which currency.
    s.shortfall_minor, -- By how much when it was noticed, in minor units.
    s.shortfall_minor * c.unit AS shortfall, -- The same in the currency's own decimals.
    s.stopped_at, -- Since when nothing left.
    s.lifted_at -- Until when; null: it stands.
FROM payout_stop s
LEFT JOIN currency_unit c ON c.code = s.currency;

-- After how many years of silence money is due to a state, by date, with the law's name.
CREATE VIEW audit_dormancy_rule WITH (security_invoker = false) AS
SELECT
    r.jurisdiction, -- Of which country or state.
    r.owner, -- Whose money: payee or client.
    r.valid_from, -- From which day.
    r.years, -- After how many years of silence.
    r.notice_days, -- How long before that he is written to.
    r.source, -- Which law says so.
    r.set_by -- Who set it: audit_actor.
FROM dormancy_rule r;

-- Words of owners that reached us otherwise than by their commands: they end a silence.
CREATE VIEW audit_contact WITH (security_invoker = false) AS
SELECT
    c.party_id, -- Whose: a party.
    c.contact_at, -- When.
    c.how, -- How.
    c.noted_by -- Who noted it: audit_actor.
FROM party_contact c;

-- Letters to silent owners, one for each silence.
CREATE VIEW audit_dormancy_notice WITH (security_invoker = false) AS
SELECT
    n.party_id, -- To whom: a party.
    n.noticed_at, -- When it was due.
    n.last_contact_at, -- Since when he was silent.
    n.jurisdiction -- By whose law.
FROM dormancy_notice n;

-- Money whose owner stayed silent: held for him or given to a state, never ours.
CREATE VIEW audit_unclaimed WITH (security_invoker = false) AS
SELECT
    u.id AS unclaimed_id, -- Its id.
    u.party_id, -- Whose: a party.
    u.kind AS account_kind, -- Where it came from, and goes back to.
    u.currency, -- Its currency.
    u.amount_minor, -- How much, in minor units.
    u.amount_minor * c.unit AS amount, -- The same in the currency's own decimals.
    u.jurisdiction, -- To which country or state it is due.
    u.last_contact_at, -- Since when he was silent.
    u.noticed_at, -- When he was written to.
    u.moved_at, -- When it was set apart.
    u.state, -- held, remitting, remitted or reactivated (he came back).
    u.remittance_id, -- With which payment it went: audit_remittance.
    u.ended_at -- When it was remitted or given back.
FROM unclaimed u
LEFT JOIN currency_unit c ON c.code = u.currency;

-- Payments of unclaimed money to states, with their two people.
CREATE VIEW audit_remittance WITH (security_invoker = false) AS
SELECT
    r.id AS remittance_id, -- Its id.
    r.jurisdiction, -- To which country or state.
    r.currency, -- Its currency.
    r.amount_minor, -- How much, in minor units: the sum of its audit_unclaimed.
    r.amount_minor * c.unit AS amount, -- The same in the currency's own decimals.
    r.state, -- prepared, submitted, paid, refused or withdrawn.
    r.reason, -- Why.
    r.prepared_by, -- Who prepared it: audit_actor.
    r.prepared_at, -- When.
    r.approved_by, -- Who approved it, another person.
    r.approved_at, -- When.
    r.ended_at -- When it was paid, refused or withdrawn.
FROM remittance r
LEFT JOIN currency_unit c ON c.code = r.currency;

-- Money of parties on a list of sanctions: blocked, reported, and freed by a licence and two people.
CREATE VIEW audit_sanction_block WITH (security_invoker = false) AS
SELECT
    b.id AS sanction_block_id, -- Its id.
    b.party_id, -- Whose: a party.
    b.kind AS account_kind, -- Where it came from, and goes back to.
    b.currency, -- Its currency.
    b.amount_minor, -- How much, in minor units.
    b.amount_minor * c.unit AS amount, -- The same in the currency's own decimals.
    b.list_name, -- On which list he stood.
    b.blocked_at, -- Since when it is blocked.
    b.report_due_on, -- Until which day the authority must be told.
    b.reported_on, -- When it was told; null: not yet.
    b.report_ref, -- Under which name.
    b.release_id, -- By which release it was freed: audit_sanction_release.
    b.licence_ref, -- By which licence.
    b.released_by, -- Who asked for it: audit_actor.
    b.seconded_by, -- Who approved it, another person.
    b.released_at -- When; null: it is blocked.
FROM sanction_block b
LEFT JOIN currency_unit c ON c.code = b.currency;

-- Wishes to free what is blocked, with the licence and the two people.
CREATE VIEW audit_sanction_release WITH (security_invoker = false) AS
SELECT
    r.id AS release_id, -- Its id.
    r.party_id, -- Whose money: a party.
    r.licence_ref, -- By which licence.
    r.reason, -- Why.
    r.prepared_by, -- Who prepared it: audit_actor.
    r.prepared_at, -- When.
    r.approved_by, -- Who approved it, another person; null: nobody yet.
    r.approved_at -- When.
FROM sanction_release r;

-- Runs of parties against lists of sanctions.
CREATE VIEW audit_sanction_run WITH (security_invoker = false) AS
SELECT
    r.id AS sanction_run_id, -- Its id.
    r.list_name, -- Against which list.
    r.list_date, -- Of which day.
    r.matches, -- How many matched.
    r.run_by, -- Who ran it: audit_actor.
    r.run_at -- When.
FROM sanction_list_run r;

-- Payments of clients into their wallets.
CREATE VIEW audit_wallet_top_up WITH (security_invoker = false) AS
SELECT
    t.id AS top_up_id, -- Its id.
    t.client_id, -- Whose: a party.
    t.currency, -- Its currency.
    t.asked_minor, -- What was asked of the payer, in minor units.
    t.captured_minor, -- What came.
    t.captured_minor * c.unit AS captured, -- What came in the currency's own decimals.
    t.refunded_minor, -- What went back by it.
    t.taken_minor, -- What the payer's bank took back of the wallet.
    t.claimed_minor, -- What of that was spent already, and is a claim on the client.
    t.rail_account, -- Into which account of ours.
    t.state, -- submitted, uncleared, succeeded, failed or returned.
    t.code, -- Why it failed or came back.
    t.asked_at, -- When it was asked for.
    t.paid_at -- When it came.
FROM wallet_top_up t
LEFT JOIN currency_unit c ON c.code = t.currency;

-- Money that clients took out of their wallets.
CREATE VIEW audit_wallet_withdrawal WITH (security_invoker = false) AS
SELECT
    w.id AS withdrawal_id, -- Its id.
    w.asked_as, -- The wish that it is a part of.
    w.party_id, -- Whose: a party.
    w.currency, -- Its currency.
    w.amount_minor, -- How much, in minor units.
    w.amount_minor * c.unit AS amount, -- The same in the currency's own decimals.
    w.way, -- refund (to the payment it came by) or payout.
    w.top_up_id, -- Which payment: audit_wallet_top_up.
    w.rail_account, -- From which account of ours.
    w.state, -- submitted, paid or back_in_wallet.
    w.code, -- Why it came back.
    w.asked_at, -- When it was asked for.
    w.ended_at -- When it was paid or came back.
FROM wallet_withdrawal w
LEFT JOIN currency_unit c ON c.code = w.currency;

-- Receivers of our events. An address may carry a password: only its host is shown; no secret is.
CREATE VIEW audit_webhook_endpoint WITH (security_invoker = false) AS
SELECT
    e.id AS endpoint_id, -- Its id.
    regexp_replace(substring(e.url FROM '^https?://([^/?#]+)'), '^.*@', '') AS host, -- Where.
    e.kinds, -- Of which kinds of events it hears; empty: of all.
    e.label, -- What it is for.
    e.state, -- active or disabled.
    e.reason, -- Why it is disabled.
    e.planned_to, -- Up to which journal_no deliveries are written.
    e.round_no, -- How often all was sent once more.
    (SELECT count(*) FROM webhook_secret s WHERE s.endpoint_id = e.id) AS secrets, -- How many so far.
    e.made_at, -- When it was made.
    e.failing_since, -- Since when it takes nothing.
    e.disabled_at -- When it was disabled.
FROM webhook_endpoint e;

-- Deliveries of our events to receivers.
CREATE VIEW audit_webhook_delivery WITH (security_invoker = false) AS
SELECT
    d.delivery_no, -- Its number.
    d.endpoint_id, -- To whom: audit_webhook_endpoint.
    d.journal_no, -- Which event: audit_event; null: a test.
    d.round_no, -- In which round of sending.
    d.state, -- waiting, delivered or dead (given up).
    d.tries, -- How often it was tried.
    d.status, -- What the receiver answered last: a status of HTTP.
    d.trouble, -- Why it did not arrive.
    d.made_at, -- When it was written.
    d.next_at, -- When it is tried next.
    d.ended_at -- When it arrived or was given up.
FROM webhook_delivery d;
