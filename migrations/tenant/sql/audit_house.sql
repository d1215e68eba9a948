-- What an auditor reads of people, holds, periods, keys and changes of master data. Names,
-- addresses and the marketplace's own references of people are not here.

-- The parties: what they are and what was found out about them; no personal data.
CREATE VIEW audit_party WITH (security_invoker = false) AS
SELECT
    p.id AS party_id, -- Its id, as subjects name it: party:0190...
    p.kind, -- client, freelancer, agency or operator.
    p.country, -- Two letters; null: not known.
    p.kyc_state, -- Identity: none, pending, verified or rejected.
    p.sanction_state, -- clear or hit.
    p.version, -- How often it was changed, from 1.
    p.created_at -- When it was added.
FROM party p;

-- Holds: what blocked every outflow of a subject, who placed it and who lifted it.
CREATE VIEW audit_hold WITH (security_invoker = false) AS
SELECT
    h.id AS hold_id, -- Its id.
    h.subject, -- What is blocked: party:, contract: or slot: and an id.
    h.kind, -- dispute, chargeback, compliance, processor or tax.
    h.reason, -- Why.
    h.placed_by, -- Who placed it: a principal.
    h.placed_at, -- When.
    h.lifted_by, -- Who lifted it; null: it is open.
    h.lifted_at, -- When; null: it is open.
    h.lifted_at IS NULL AS is_open -- Whether it blocks now.
FROM hold h;

-- Everybody who ever acted: how often, on how much, and when first and last.
CREATE VIEW audit_actor WITH (security_invoker = false) AS
SELECT
    e.actor_kind, -- person, key, rail or system.
    e.actor_id, -- The principal's id.
    count(*) AS events, -- How many events he wrote.
    count(*) FILTER (WHERE e.entry_count > 0) AS events_with_entries, -- Those that moved money.
    count(DISTINCT e.party_id) AS parties, -- For how many parties he spoke.
    bool_or(e.actor_kind IN ('person', 'key') AND e.party_id IS NULL)
        AS is_staff, -- Whether he ever acted for nobody's party: the platform's own.
    min(e.recorded_at) AS first_recorded_at, -- When he first acted.
    max(e.recorded_at) AS last_recorded_at -- When he last acted.
FROM event e
GROUP BY e.actor_kind, e.actor_id;

-- What commands with a key were answered: also the refusals, which leave no other trace.
CREATE VIEW audit_idempotency WITH (security_invoker = false) AS
SELECT
    i.principal_id, -- Whose key.
    i.key, -- The key he gave.
    i.answered_at, -- When, by the tenant's clock.
    i.code, -- done, or the code of the refusal: escrow.not_submitted.
    i.code <> 'done' AS is_refusal, -- Whether the rules said no.
    encode(i.request_hash, 'hex') AS request_hash, -- SHA-256 of what was asked.
    CASE WHEN i.code <> 'done' THEN regexp_replace(
        convert_from(i.answer, 'UTF8'), '"token":"([^"\\]|\\.)*"', '"token":"..."', 'g'
    ) END AS facts, -- The facts of a refusal, as JSON, without tokens; null for what was done.
    octet_length(i.answer) AS answer_bytes -- How long the stored answer is.
FROM idempotency i;

-- Changes of master data: parties, payout methods, fees, limits, holds, periods, clocks, auditors,
-- and books that were taken over.
CREATE VIEW audit_change WITH (security_barrier = true, security_invoker = false) AS
SELECT
    s.journal_no, -- Its number in the log; null until it is sealed.
    e.id AS event_id, -- The event.
    e.kind AS event_kind, -- What was changed: party.changed.
    e.subject AS event_subject, -- Of what.
    e.detail, -- The new values as JSON; the old ones are those of the change before.
    e.effective_at, -- When it counts.
    e.recorded_at, -- When the books knew it.
    e.actor_kind, -- person, key, rail or system.
    e.actor_id, -- Who.
    e.party_id AS acts_for_party_id, -- The party he spoke for; null: for nobody's.
    e.reason -- Why.
FROM event e
LEFT JOIN seal s ON s.event_id = e.id
WHERE split_part(e.kind, '.', 1) IN (
    'party', 'payout_method', 'payouts', 'payout_fee', 'hold', 'period', 'clock', 'auditor',
    'adoption', 'import'
) OR e.kind = 'journal.limit_set';

-- Clocks that run: what happens next by itself, and when.
CREATE VIEW audit_timer WITH (security_invoker = false) AS
SELECT
    t.subject, -- To what it happens.
    t.kind, -- What happens: escrow.auto_release.
    t.due_at, -- When, by the tenant's clock.
    t.paused_remaining, -- How long it still has to run while it stands; null: it runs.
    t.armed_at -- When it was set.
FROM timer t;

-- Accounting periods and what state they are in.
CREATE VIEW audit_period WITH (security_invoker = false) AS
SELECT
    p.id AS period_id, -- Its number.
    lower(p.during) AS starts_at, -- Its first instant.
    upper(p.during) AS ends_at, -- The first instant behind it.
    p.state, -- open, soft_closed (manual journals alone), closed (nothing), reopened (as soft_closed).
    p.version -- How often it was closed: audit_period_closing has each closing.
FROM period p;

-- What people did to periods: soft close, close, ask to reopen, reopen.
CREATE VIEW audit_period_act WITH (security_invoker = false) AS
SELECT
    t.period_id, -- The period.
    t.act_no, -- The number of the act on this period, from 1.
    t.act, -- soft_close, close, ask_reopening or reopen.
    t.version, -- The closing that it makes or undoes.
    t.actor_id, -- Who: a person.
    t.asked_by, -- The other person, who asked for a reopening; null: not a reopening.
    t.reason, -- Why.
    t.acted_at, -- When.
    t.event_id, -- The event of the log.
    s.journal_no -- The number of that event in the log; null until it is sealed.
FROM period_act t
LEFT JOIN seal s ON s.event_id = t.event_id;

-- The closings of periods, each with the trial balance that was stored, its hash and the log's root.
CREATE VIEW audit_period_closing WITH (security_invoker = false) AS
SELECT
    g.period_id, -- The period.
    g.version, -- The how-manieth closing of this period.
    g.last_journal_no, -- As known at this number of the log.
    g.trial_balance, -- What was stored: canonical JSON, amounts as text.
    encode(g.trial_balance_sha256, 'hex') AS trial_balance_sha256, -- SHA-256 of it.
    encode(g.log_root, 'hex') AS log_root, -- The root of the log at that number.
    g.checkpoint_size, -- The newest checkpoint that was signed by then; null: none was.
    encode(g.checkpoint_root, 'hex') AS checkpoint_root, -- Its root.
    g.checks, -- What was looked at before closing, as JSON.
    g.warnings, -- What was found and did not stand against closing, as JSON.
    g.closed_by, -- Who closed it: a person.
    g.closed_at -- When.
FROM period_closing g;

-- Manual journals: prepared by one person, approved by another, and what they posted.
CREATE VIEW audit_journal WITH (security_invoker = false) AS
SELECT
    j.id AS manual_journal_id, -- Its id.
    j.state, -- prepared, posted, rejected or expired.
    j.reason, -- Why it was prepared.
    encode(j.attachment_sha256, 'hex') AS attachment_sha256, -- SHA-256 of its voucher.
    j.effective_at, -- When it counts.
    j.original_effective_on, -- The day on which it should have counted, in a closed period.
    j.reverse_at, -- When it takes itself back; null: never.
    j.expires_at, -- When it lapses if nobody decides.
    j.prepared_by, -- Who prepared it: a person.
    j.prepared_at, -- When.
    j.prepared_event_id, -- The event of the preparing.
    j.decided_by, -- Who approved or rejected it; null: nobody yet.
    j.decided_at, -- When.
    j.decision_reason, -- Why.
    j.event_id, -- The event that posted it; null: not posted.
    s.journal_no, -- The number of that event in the log.
    j.reversal_event_id, -- The event that took it back as agreed; null: not taken back.
    j.entries -- What was prepared, as JSON, in signed minor units.
FROM journal j
LEFT JOIN seal s ON s.event_id = j.event_id;

-- How much one manual journal may be that a preparer prepares, or an approver approves.
CREATE VIEW audit_journal_limit WITH (security_invoker = false) AS
SELECT
    m.role, -- preparer or approver.
    m.currency, -- The currency.
    m.valid_from, -- From when on; the newest one counts.
    m.highest_minor, -- The highest sum of debits, in minor units.
    m.highest_minor * c.unit AS highest, -- The same in the currency's own decimals.
    m.set_by -- Who set it.
FROM journal_limit m
LEFT JOIN currency_unit c ON c.code = m.currency;

-- Money of an account that was set aside: it lies on the account's reserved twin.
CREATE VIEW audit_reservation WITH (security_invoker = false) AS
SELECT
    r.id AS reservation_id, -- Its id.
    r.account_id, -- Of which account it was set aside.
    r.twin_id AS reserved_account_id, -- On which account it lies.
    a.code AS account_code, -- The full name of the account it was set aside of.
    a.currency, -- The account's currency.
    r.amount_minor, -- How much was set aside, in minor units.
    r.remaining_minor, -- How much still is.
    r.posted_minor, -- How much was paid out of it.
    r.amount_minor * c.unit AS amount, -- How much was set aside in the currency's own decimals.
    r.remaining_minor * c.unit AS remaining, -- How much still is in the currency's own decimals.
    r.state, -- open, posted, voided or expired.
    r.reason, -- Why it was set aside.
    r.made_at, -- When it was set aside.
    r.expires_at, -- When it goes back by itself; null: never.
    r.ended_at -- When nothing of it remained; null: something does.
FROM reservation r
LEFT JOIN account a ON a.id = r.account_id
LEFT JOIN currency_unit c ON c.code = a.currency;

-- What became of money that was set aside, step by step, each with the event that did it.
CREATE VIEW audit_reservation_step WITH (security_invoker = false) AS
SELECT
    t.reservation_id, -- The reservation.
    t.step_no, -- The number of the step, from 1.
    t.kind, -- made, posted, voided or expired.
    t.posted_minor, -- What was paid out of it, in minor units.
    t.returned_minor, -- What went back to the account.
    t.remaining_minor, -- What was left after it.
    t.event_id, -- The event that did it: audit_event says who, when and why.
    s.journal_no -- The number of that event in the log; null until it is sealed.
FROM reservation_step t
LEFT JOIN seal s ON s.event_id = t.event_id;
