-- What an auditor reads of money on its way out: methods, policy, payouts with their people, payees'
-- accounts, runs, the bank's files. No token and no number of an account: its last four characters.

DROP VIEW audit_payout;
DROP VIEW audit_payout_method;

-- Payouts: money from a payee's balance to his bank, with the people who let it go.
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
    p.state, -- From requested over screening, approved and submitted to paid, or how it ended.
    p.rail, -- The rail that pays it.
    p.paid_from, -- Which account there: the platform's or the payee's own; empty: our bank.
    p.rail_ref, -- The rail's own name for it.
    p.code, -- Why it failed or came back; empty: it did not.
    p.is_instant, -- Whether it was to arrive within minutes.
    p.requested_by, -- Who asked for it: audit_actor; null: from before that was kept.
    p.requested_at, -- When it was asked for.
    p.screened_at, -- When the payee was last looked up in the lists before it left.
    p.approved_by, -- Who let it go, another person: audit_actor; null: the policy asked for none.
    p.submitted_at, -- When it was given to the rail.
    p.transferred_at, -- When its money was moved to the payee's account at the rail.
    p.left_at, -- When it left the account that pays it.
    p.paid_at, -- When the rail had paid it.
    p.ended_at, -- When it failed, came back, was blocked or cancelled.
    p.back_at, -- When what had failed was called home from the payee's account.
    p.back_tries -- How often that was tried.
FROM payout p
LEFT JOIN currency_unit c ON c.code = p.currency;

-- Payout methods: whose, since when usable, and which of them lead to one and the same place.
CREATE VIEW audit_payout_method WITH (security_invoker = false) AS
SELECT
    m.id AS method_id, -- Its id.
    m.party_id, -- Whose: a party.
    m.rail, -- Of which rail.
    m.state, -- unverified, active or disabled.
    m.reason, -- Why it was disabled.
    m.added_at, -- When it was named.
    m.verified_at, -- When it was checked to be his; null: it was not.
    m.usable_from, -- When its cooling time ends.
    m.may_be_instant, -- Whether it takes money within minutes.
    m.disabled_at, -- When it was disabled.
    b.country, -- Of a bank account: its country.
    b.last4, -- Of a bank account: the last four characters of its number.
    first_value(m.id) OVER (PARTITION BY m.rail, m.token ORDER BY m.added_at, m.id)
        AS first_method_id, -- The first method with the same token: equal ids, equal token.
    count(*) OVER (PARTITION BY m.rail, m.token)
        AS methods_with_this_token -- One: nobody else has it.
FROM payout_method m
LEFT JOIN bank_account b ON m.rail = 'bank' AND m.token = 'bank:' || b.id;

-- The policy of payouts: cooling and verification of methods, limits of a currency; two people.
CREATE VIEW audit_payout_policy WITH (security_invoker = false) AS
SELECT
    p.id AS policy_id, -- Its id.
    p.currency, -- For which currency; null: on methods.
    p.valid_from, -- From when it counts, once it is approved.
    p.cooling_days, -- How long a new method waits.
    p.needs_verifying, -- Whether a method must be verified first.
    p.approval_above_minor, -- Above this a payout needs a second person; null: never.
    p.minimum_minor, -- The least that is paid out, in minor units.
    p.approval_above_minor * c.unit AS approval_above, -- The limit in the currency's own decimals.
    p.minimum_minor * c.unit AS minimum, -- The least in the currency's own decimals.
    p.reason, -- Why.
    p.prepared_by, -- Who prepared it: audit_actor.
    p.prepared_at, -- When.
    p.approved_by, -- Who approved it; the engine alone may be both, when a tenant is set up.
    p.approved_at -- When; null: it does not count.
FROM payout_policy p
LEFT JOIN currency_unit c ON c.code = p.currency;

-- Payees' own accounts at rails, and what they may do; the payee's papers stay with the rail.
CREATE VIEW audit_payee_account WITH (security_invoker = false) AS
SELECT
    a.id AS payee_account_id, -- Its id.
    a.party_id, -- Whose: a party.
    a.rail, -- At which rail.
    a.account_ref, -- The rail's own name for it; null: it is not open yet.
    a.state, -- opening, open, replaced or refused.
    a.may_receive, -- Whether the rail lets money go there.
    a.may_be_paid_out, -- Whether the rail pays it out.
    jsonb_array_length(a.requirements) AS requirements, -- How many papers the rail still wants.
    a.deadline, -- Until when it wants them.
    a.disabled_reason, -- Why the rail disabled it; empty: it did not.
    a.hold_id, -- Which hold stops the payee for it: audit_hold; null: none.
    a.is_live, -- Whether it is more than a test's.
    a.code, -- Why it was refused.
    a.as_of, -- The rail's time of what is said here.
    a.opened_at, -- When it was asked for.
    a.linked_at -- When the rail had opened it.
FROM payee_account a;

-- Schedules: on which days payees are paid by themselves. Rows are added, never changed.
CREATE VIEW audit_payout_schedule WITH (security_invoker = false) AS
SELECT
    s.id AS schedule_id, -- Its id.
    s.set_no, -- Its place in the order of setting: of two for one day the later counts.
    s.party_id, -- Whose: a party; null: of all who have none of their own.
    s.currency, -- In which currency.
    s.valid_from_on, -- From which day (UTC).
    s.cadence, -- manual, daily, weekly, twice_a_month or monthly.
    s.weekday, -- On which day of the week, Monday is 1.
    s.day, -- On which day of the month.
    s.second_day, -- On which second one.
    s.minimum_minor, -- From what balance on, in minor units.
    s.method_id, -- By which method; null: his newest that is usable.
    s.set_by, -- Who set it: audit_actor.
    s.set_at -- When.
FROM payout_schedule s;

-- Payout runs: what was prepared, its sum and hash, and the two people behind it.
CREATE VIEW audit_payout_run WITH (security_invoker = false) AS
SELECT
    r.id AS run_id, -- Its id.
    r.currency, -- Its currency.
    r.kind, -- scheduled (whose day has come) or everyone.
    r.due_from_on, -- From which day of schedules on.
    r.cut_off_on, -- Up to which day.
    r.state, -- prepared, approved, executing, stopped, done or withdrawn.
    r.item_count, -- How many payees were looked at: audit_payout_run_item.
    r.planned_count, -- How many of them are paid.
    r.planned_minor, -- How much in all, in minor units.
    r.planned_minor * c.unit AS planned, -- The same in the currency's own decimals.
    r.fee_minor, -- Our fees inside it.
    r.limit_minor, -- Up to this a scheduled run needed nobody on its day.
    encode(r.content_sha256, 'hex') AS content_sha256, -- Hash of what was prepared and approved.
    r.prepared_by, -- Who prepared it: audit_actor.
    r.prepared_at, -- When.
    r.approved_by, -- Who approved it, another person; null: it was within its limit.
    r.approved_at, -- When.
    r.started_at, -- When paying began.
    r.ended_at, -- When it was over.
    r.reason -- Why it was withdrawn or stopped.
FROM payout_run r
LEFT JOIN currency_unit c ON c.code = r.currency;

-- The payees of runs: who is paid what, and who is left out for which reason.
CREATE VIEW audit_payout_run_item WITH (security_invoker = false) AS
SELECT
    i.run_id, -- Of which run: audit_payout_run.
    i.payee_id, -- Whom: a party.
    i.method_id, -- By which method: audit_payout_method.
    r.currency, -- In which currency.
    i.amount_minor, -- How much of his balance, in minor units.
    i.amount_minor * c.unit AS amount, -- The same in the currency's own decimals.
    i.fee_minor, -- Our fee inside it.
    i.state, -- planned, left_out, requested (a payout was made) or dropped.
    i.reason, -- Why he was left out when the run was prepared; empty: he was not.
    i.code, -- Why he was dropped when the run came to him; empty: he was not.
    i.payout_id -- The payout that was made: audit_payout.
FROM payout_run_item i
JOIN payout_run r ON r.id = i.run_id
LEFT JOIN currency_unit c ON c.code = r.currency;

-- Limits up to which a scheduled run is paid without anybody; two people set each.
CREATE VIEW audit_payout_run_limit WITH (security_invoker = false) AS
SELECT
    l.id AS limit_id, -- Its id.
    l.currency, -- In which currency.
    l.limit_minor, -- Up to what sum, in minor units.
    l.limit_minor * c.unit AS run_limit, -- The same in the currency's own decimals.
    l.prepared_by, -- Who prepared it: audit_actor.
    l.prepared_at, -- When.
    l.approved_by, -- Who approved it, another person.
    l.approved_at -- When; null: it does not count.
FROM payout_run_limit l
LEFT JOIN currency_unit c ON c.code = l.currency;

-- What an instant payout costs, from a time on.
CREATE VIEW audit_instant_fee WITH (security_invoker = false) AS
SELECT
    f.currency, -- In which currency.
    f.valid_from, -- From when.
    f.rate_bps, -- The rate of what is paid out, in basis points.
    f.fixed_minor, -- What is added to it, in minor units.
    f.smallest_minor, -- The least fee.
    f.largest_minor, -- The most; null: unbounded.
    f.is_on_top -- Whether it comes on top of the payout fee, or instead of it.
FROM payout_instant_fee f;

-- Bank accounts that are paid to: whose and where; number and name are sealed.
CREATE VIEW audit_bank_account WITH (security_invoker = false) AS
SELECT
    b.id AS bank_account_id, -- Its id.
    b.party_id, -- Whose: a party.
    b.country, -- In which country.
    b.last4, -- The last four characters of its number.
    b.serves, -- custody_bank or platform_bank: it is our own; empty: a payee's.
    b.currency, -- Of our own: its currency.
    b.added_at, -- When it was added.
    b.ended_at -- When it was given up; null: it is used.
FROM bank_account b;

-- Files for banks: how many orders, their sum and hash, and the two people who made and released it.
CREATE VIEW audit_bank_file WITH (security_invoker = false) AS
SELECT
    f.id AS bank_file_id, -- Its id.
    f.message_id, -- Its name at the bank.
    f.format, -- pain.001 or csv.
    f.account_id AS bank_account_id, -- From which account of ours: audit_bank_account.
    f.currency, -- Its currency.
    f.execute_on, -- On which day the bank is to pay.
    f.order_count, -- How many orders: audit_bank_order.
    f.control_minor, -- Their sum, in minor units.
    f.control_minor * c.unit AS control_sum, -- The same in the currency's own decimals.
    encode(f.content_sha256, 'hex') AS content_sha256, -- Hash of its bytes.
    f.state, -- made, released or withdrawn.
    f.made_by, -- Who made it: audit_actor.
    f.made_at, -- When.
    f.decided_by, -- Who released or withdrew it; releasing takes another person.
    f.decided_at -- When.
FROM bank_file f
LEFT JOIN currency_unit c ON c.code = f.currency;

-- Orders to banks: each is one operation, filed once, and heard of by statements.
CREATE VIEW audit_bank_order WITH (security_invoker = false) AS
SELECT
    o.id AS operation_id, -- Which operation: audit_rail_operation.
    replace(o.id::text, '-', '') AS end_to_end_id, -- Its name on statements of the bank.
    o.source, -- From which bank of ours.
    o.target, -- To which bank of ours; empty: to a payee.
    o.account_id AS bank_account_id, -- To which account: audit_bank_account; null: to a bank of ours.
    o.currency, -- Its currency.
    o.amount_minor, -- How much, in minor units.
    o.amount_minor * c.unit AS amount, -- The same in the currency's own decimals.
    o.state, -- ordered, filed, released, booked, returned or refused.
    o.file_id AS bank_file_id, -- In which file: audit_bank_file.
    o.code, -- Why it was refused or came back.
    o.kept_minor, -- What a bank kept of what came back.
    o.statement_ref, -- What the statement calls it that told of it.
    o.ordered_at, -- When it was ordered.
    o.heard_at -- When the bank's word on it came.
FROM bank_order o
LEFT JOIN currency_unit c ON c.code = o.currency;
