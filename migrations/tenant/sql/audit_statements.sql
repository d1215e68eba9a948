-- What an auditor reads of reconciliation: statements, their lines, and what matches the books. Texts
-- of lines name people and are left out; no number of a bank account is kept.

-- Which place of the books an account on statements stands for.
CREATE VIEW audit_statement_account WITH (security_invoker = false) AS
SELECT
    a.id AS statement_account_id, -- Its id.
    encode(a.reference_hash, 'hex') AS reference_sha256, -- Hash of its name on statements.
    a.label, -- What it is called here.
    a.currency, -- Its currency.
    a.place, -- processor, custody_bank or platform_bank.
    a.rail_account, -- Of a processor: which account there.
    a.opened_by, -- Who opened it: audit_actor.
    a.opened_at -- When.
FROM reconciliation_account a;

-- Files of statements that were read whole.
CREATE VIEW audit_statement_file WITH (security_invoker = false) AS
SELECT
    encode(f.hash, 'hex') AS file_sha256, -- Hash of its bytes: hash the bank's copy and compare.
    f.name, -- Its name.
    f.format, -- Its format.
    f.byte_count, -- How many bytes it has.
    f.statement_count, -- How many statements stood in it.
    f.taken_by, -- Who brought it: audit_actor.
    f.taken_at -- When.
FROM statement_file f;

-- Statements: the opening balance and the lines make the closing balance; the database held it.
CREATE VIEW audit_statement WITH (security_invoker = false) AS
SELECT
    s.id AS statement_id, -- Its id.
    s.account_id AS statement_account_id, -- Of which account: audit_statement_account.
    s.source, -- Who told it.
    encode(s.file_hash, 'hex') AS file_sha256, -- In which file; null: the rail's own listing.
    s.reference, -- What the bank calls it.
    s.from_on, -- From which day.
    s.to_on, -- To which day.
    a.currency, -- Its currency.
    s.opening_minor, -- What was there before, in minor units; null: it tells no balances.
    s.closing_minor, -- What was there after.
    s.opening_minor * c.unit AS opening, -- What was there before in the currency's own decimals.
    s.closing_minor * c.unit AS closing, -- What was there after in the currency's own decimals.
    s.line_count, -- How many lines were new with it: audit_statement_line.
    s.overlap_count, -- How many an earlier statement had brought.
    s.left_out_count, -- How many are not booked yet or carry no money.
    s.taken_by, -- Who brought it: audit_actor.
    s.taken_at -- When.
FROM statement s
JOIN reconciliation_account a ON a.id = s.account_id
LEFT JOIN currency_unit c ON c.code = a.currency;

-- Lines of statements: a booked movement as the bank or rail tells it, once.
CREATE VIEW audit_statement_line WITH (security_invoker = false) AS
SELECT
    l.id AS line_id, -- Its id.
    l.statement_id, -- Of which statement: audit_statement.
    l.line_no, -- Its number there.
    a.place, -- processor, custody_bank or platform_bank.
    a.rail_account, -- Of a processor: which account there.
    l.currency, -- Its currency.
    l.amount_minor, -- What it adds to the balance, in minor units; below zero: money out.
    l.amount_minor * c.unit AS amount, -- The same in the currency's own decimals.
    l.fee_minor, -- What of it is a fee.
    l.booked_on, -- On which day the bank booked it.
    l.value_on, -- From which day it counts.
    l.ref, -- The bank's own name for it.
    l.end_to_end_id, -- Our name for it, where the bank hands it on.
    l.group_ref, -- The batch that it is part of.
    l.kind, -- What the bank calls it.
    l.is_reversal, -- Whether it takes another back.
    m.match_id -- In which match it is: audit_match; null: in none.
FROM statement_line l
JOIN reconciliation_account a ON a.id = l.account_id
LEFT JOIN match_line m ON m.line_id = l.id AND m.undone_by IS NULL
LEFT JOIN currency_unit c ON c.code = l.currency;

-- Runs of the rules of matching over one place.
CREATE VIEW audit_match_run WITH (security_invoker = false) AS
SELECT
    r.id AS match_run_id, -- Its id.
    r.place, -- Over which place.
    r.rail_account, -- Of a processor: which account there.
    r.currency, -- In which currency.
    r.from_on, -- From which day.
    r.to_on, -- To which day.
    r.rules_version, -- By which version of the rules.
    r.item_count, -- How many items of the books it looked at.
    r.line_count, -- How many statement lines.
    encode(r.digest, 'hex') AS digest, -- Hash of all it found: the same input gives the same.
    r.ran_by, -- Who ran it: audit_actor.
    r.ran_at -- When.
FROM match_run r;

-- Matches: statement lines that are items of the books, by which rule or by whose hand.
CREATE VIEW audit_match WITH (security_invoker = false) AS
SELECT
    m.id AS match_id, -- Its id.
    m.run_id AS match_run_id, -- Found by which run: audit_match_run; null: by hand.
    m.rule, -- By which rule; hand: by a person.
    m.score, -- How sure it was, up to 1000.
    m.place, -- In which place.
    m.rail_account, -- Of a processor: which account there.
    m.currency, -- In which currency.
    m.amount_minor, -- The sum of its lines and of its items, in minor units.
    m.amount_minor * c.unit AS amount, -- The same in the currency's own decimals.
    m.difference_minor, -- What the books lacked and posted with it.
    m.difference_event_id, -- By which event: audit_event.
    m.actor_id, -- Who made it: audit_actor.
    m.made_at, -- When.
    u.reason AS undone_for, -- Why it was undone; null: it stands.
    u.actor_id AS undone_by, -- Who undid it.
    u.undone_at -- When.
FROM match m
LEFT JOIN match_undo u ON u.match_id = m.id
LEFT JOIN currency_unit c ON c.code = m.currency;

-- Members of matches: each a statement line or an item of the books.
CREATE VIEW audit_match_line WITH (security_invoker = false) AS
SELECT
    l.match_id, -- Of which match: audit_match.
    l.line_no AS member_no, -- Its number there.
    l.line_id, -- Which statement line: audit_statement_line; null: an item of the books.
    l.event_id, -- Which event booked the item: audit_event; null: a statement line.
    l.amount_minor, -- How much, in minor units, money in above zero.
    l.amount_minor * c.unit AS amount, -- The same in the currency's own decimals.
    l.undone_by IS NULL AS stands -- Whether the match stands.
FROM match_line l
JOIN match m ON m.id = l.match_id
LEFT JOIN currency_unit c ON c.code = m.currency;

-- Proposals of matches that a person decides.
CREATE VIEW audit_match_proposal WITH (security_invoker = false) AS
SELECT
    p.id AS proposal_id, -- Its id.
    p.run_id AS match_run_id, -- Made by which run: audit_match_run.
    p.rule, -- By which rule.
    p.score, -- How sure it is, up to 1000.
    p.place, -- In which place.
    p.rail_account, -- Of a processor: which account there.
    p.currency, -- In which currency.
    p.difference_minor, -- What the statement has more than the books, in minor units.
    p.difference_minor * c.unit AS difference, -- The same in the currency's own decimals.
    p.proposed_at, -- When.
    d.is_accepted, -- Whether it was accepted; null: nobody has decided.
    d.match_id, -- The match that it became: audit_match.
    d.reason, -- Why.
    d.actor_id AS decided_by, -- Who decided: audit_actor.
    d.decided_at -- When.
FROM match_proposal p
LEFT JOIN proposal_decision d ON d.proposal_id = p.id
LEFT JOIN currency_unit c ON c.code = p.currency;
