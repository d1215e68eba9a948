-- What an auditor reads of the books and the log. The words behind each column become its comment.
-- Joins to what explains a row are left joins on keys: a row whose explanation is missing is still
-- shown, and what a query does not ask for costs it nothing.

-- The chart of accounts in words: what each kind of account holds, and which side is normal.
CREATE VIEW audit_account_kind WITH (security_invoker = false) AS
SELECT
    k.kind AS account_kind, -- The kind, as accounts are named by it: custody.escrow.
    coalesce(w.name, k.kind) AS account_name, -- The kind in words: Escrow.
    coalesce(w.meaning, '') AS meaning, -- What lies on accounts of this kind, in one sentence.
    k.book, -- custody (money of others) or platform (the operator's own).
    k.nature, -- asset, liability, equity, revenue, expense or clearing.
    CASE WHEN k.nature IN ('asset', 'expense') THEN 'debit' ELSE 'credit' END
        AS normal_side, -- The side on which it grows.
    k.subject AS kept_per, -- What has an account of its own: slot, party, payout; empty: one for all.
    k.highest_minor = 0 AS may_not_be_overdrawn -- The database refuses a debit balance.
FROM account_kind k
LEFT JOIN account_words w ON w.kind = k.kind;

-- Every account with its balance of now. Past balances: the sum of audit_line up to there.
CREATE VIEW audit_account WITH (security_invoker = false) AS
SELECT
    a.id AS account_id, -- Its number here; the code is its name.
    a.code AS account_code, -- Its full name: kind[subject] currency.
    a.book, -- custody (money of others) or platform (the operator's own).
    a.kind AS account_kind, -- What it holds; audit_account_kind says it in words.
    coalesce(w.name, a.kind) AS account_name, -- The kind in words.
    k.nature, -- asset, liability, equity, revenue, expense or clearing.
    k.subject AS kept_per, -- What the subject is: slot, party, payee, payout; empty: none.
    a.subject AS account_subject, -- Whose it is: the id of the slot, party, payout.
    a.subject ~ '(^|:)reserved$' AS is_reserved, -- Whether it holds what is set aside of its twin.
    a.currency, -- The only currency of its lines.
    a.state, -- open, frozen or closed; only an open one takes lines.
    a.opened_at, -- When it was made; real time.
    a.line_count, -- How many lines it has.
    nullif(a.newest_recorded_at, '-infinity') AS newest_recorded_at, -- When its last line was known.
    a.balance_minor, -- Its balance in minor units: debit positive, credit negative.
    greatest(a.balance_minor, 0) AS debit_minor, -- The balance if it is a debit, in minor units.
    greatest(-a.balance_minor, 0) AS credit_minor, -- The balance if it is a credit, in minor units.
    greatest(a.balance_minor, 0) * c.unit AS debit, -- The same in the currency's own decimals.
    greatest(-a.balance_minor, 0) * c.unit AS credit -- The same in the currency's own decimals.
FROM account a
JOIN account_kind k ON k.kind = a.kind
LEFT JOIN account_words w ON w.kind = a.kind
LEFT JOIN currency_unit c ON c.code = a.currency;

-- Every event of the log: who did what to which subject, when and why, and where it is sealed.
CREATE VIEW audit_event WITH (security_invoker = false) AS
SELECT
    s.journal_no, -- Its gapless number in the log; null until it is sealed, within seconds.
    e.id AS event_id, -- Its own number: unique and for ever, but with gaps.
    e.id >> 14 AS batch_id, -- The posting that wrote it: audit_batch.
    e.kind AS event_kind, -- What happened: slot.released.
    e.subject AS event_subject, -- To what: slot:0190...; empty: to the house as a whole.
    e.effective_at, -- When it counts.
    e.recorded_at, -- When the books knew it, by the tenant's clock.
    e.actor_kind, -- person, key (a program), rail (a bank or processor) or system (the engine).
    e.actor_id, -- Who: the principal's id.
    e.party_id AS acts_for_party_id, -- The party he spoke for; null: for nobody's.
    e.actor_kind IN ('person', 'key') AND e.party_id IS NULL
        AS is_staff, -- Whether the platform's own people or programs did it.
    e.reason, -- Why, in the actor's words.
    e.detail, -- Further facts as JSON; empty for none.
    e.entry_count, -- How many journal entries hang on it.
    encode(e.leaf_hash, 'hex') AS leaf_hash, -- SHA-256 over the event, its entries and lines.
    s.journal_no IS NOT NULL AS is_sealed, -- Whether it stands in the sealed log.
    (
        SELECT b.no FROM block b
        WHERE b.last_journal_no >= s.journal_no ORDER BY b.last_journal_no LIMIT 1
    ) AS block_no, -- The block that sealed it.
    (
        SELECT b.sealed_at FROM block b
        WHERE b.last_journal_no >= s.journal_no ORDER BY b.last_journal_no LIMIT 1
    ) AS sealed_at -- When it was sealed; real time.
FROM event e
LEFT JOIN seal s ON s.event_id = e.id;

-- Every journal entry: its number in its book, what it reverses, and the event it hangs on.
CREATE VIEW audit_entry WITH (security_invoker = false) AS
SELECT
    s.journal_no, -- The number of its event in the log; null until it is sealed.
    n.book, -- custody or platform; no entry touches both.
    CASE n.book WHEN 'custody' THEN s.custody_entries ELSE s.platform_entries END - (
        SELECT count(*) FROM entry later
        WHERE later.event_id = n.event_id AND later.book = n.book AND later.entry_no > n.entry_no
    ) AS book_no, -- Its gapless number in its book, the Journal_ID of exports; null until sealed.
    n.event_id, -- The event it hangs on.
    n.entry_no, -- Its number in that event, from 1.
    n.currency, -- The only currency of its lines.
    n.line_count, -- How many lines it has.
    (
        SELECT coalesce(sum(l.amount_minor) FILTER (WHERE l.amount_minor > 0), 0) FROM line l
        WHERE l.event_id = n.event_id AND l.entry_no = n.entry_no
    ) AS total_minor, -- The sum of its debits, in minor units; its credits are the same.
    (
        SELECT coalesce(sum(l.amount_minor) FILTER (WHERE l.amount_minor > 0), 0) FROM line l
        WHERE l.event_id = n.event_id AND l.entry_no = n.entry_no
    ) * c.unit AS total, -- The same in the currency's own decimals.
    n.reverses_event_id, -- The event of the entry that this one takes back; null: none.
    n.reverses_entry_no, -- The number of that entry in its event.
    r.event_id AS reversed_by_event_id, -- The event whose entry took this one back; null: none.
    e.kind AS event_kind, -- What happened.
    e.subject AS event_subject, -- To what.
    e.effective_at, -- When it counts.
    e.recorded_at, -- When the books knew it.
    e.actor_kind, -- person, key, rail or system.
    e.actor_id, -- Who.
    e.party_id AS acts_for_party_id, -- The party he spoke for; null: for nobody's.
    e.actor_kind IN ('person', 'key') AND e.party_id IS NULL
        AS is_staff, -- Whether the platform's own people or programs did it.
    e.reason, -- Why.
    s.journal_no IS NOT NULL AS is_sealed -- Whether its event stands in the sealed log.
FROM entry n
LEFT JOIN event e ON e.id = n.event_id
LEFT JOIN seal s ON s.event_id = n.event_id
LEFT JOIN entry r
    ON r.reverses_event_id = n.event_id AND r.reverses_entry_no = n.entry_no
    AND r.reverses_event_id IS NOT NULL
LEFT JOIN currency_unit c ON c.code = n.currency;

-- Every line: one account, debit or credit, the balance after it, and the event it hangs on.
CREATE VIEW audit_line WITH (security_invoker = false) AS
SELECT
    s.journal_no, -- The number of its event in the log; null until it is sealed.
    n.book, -- custody or platform.
    CASE n.book WHEN 'custody' THEN s.custody_entries ELSE s.platform_entries END - (
        SELECT count(*) FROM entry later
        WHERE later.event_id = n.event_id AND later.book = n.book AND later.entry_no > n.entry_no
    ) AS book_no, -- The number of its entry in its book; null until sealed.
    l.event_id, -- The event it hangs on.
    l.entry_no, -- The entry's number in that event, from 1.
    l.line_no, -- Its number in the entry, from 1.
    l.account_id, -- The account.
    a.code AS account_code, -- The account's full name: kind[subject] currency.
    a.kind AS account_kind, -- What the account holds.
    coalesce(w.name, a.kind) AS account_name, -- The kind in words.
    a.subject AS account_subject, -- Whose account: the id of the slot, party, payout.
    a.currency, -- The account's currency.
    l.amount_minor, -- Minor units: debit positive, credit negative.
    greatest(l.amount_minor, 0) AS debit_minor, -- The amount if it is a debit, in minor units.
    greatest(-l.amount_minor, 0) AS credit_minor, -- The amount if it is a credit, in minor units.
    greatest(l.amount_minor, 0) * c.unit AS debit, -- The same in the currency's own decimals.
    greatest(-l.amount_minor, 0) * c.unit AS credit, -- The same in the currency's own decimals.
    l.account_seq, -- The number of the line in its account, from 1 without a gap.
    l.balance_after_minor, -- The account's balance after it: debit positive.
    l.balance_after_minor * c.unit AS balance_after, -- The same in the currency's own decimals.
    l.effective_at, -- When it counts.
    l.recorded_at, -- When the books knew it.
    e.kind AS event_kind, -- What happened.
    e.subject AS event_subject, -- To what.
    e.actor_kind, -- person, key, rail or system.
    e.actor_id, -- Who.
    e.party_id AS acts_for_party_id, -- The party he spoke for; null: for nobody's.
    e.actor_kind IN ('person', 'key') AND e.party_id IS NULL
        AS is_staff, -- Whether the platform's own people or programs did it.
    e.reason, -- Why.
    s.journal_no IS NOT NULL AS is_sealed -- Whether its event stands in the sealed log.
FROM line l
LEFT JOIN entry n ON n.event_id = l.event_id AND n.entry_no = l.entry_no
LEFT JOIN event e ON e.id = l.event_id
LEFT JOIN seal s ON s.event_id = l.event_id
LEFT JOIN account a ON a.id = l.account_id
LEFT JOIN account_words w ON w.kind = a.kind
LEFT JOIN currency_unit c ON c.code = a.currency;

-- All balances of now by kind of account; debits and credits of each book and currency are equal.
CREATE VIEW audit_trial_balance WITH (security_invoker = false) AS
SELECT
    a.book, -- custody or platform.
    a.kind AS account_kind, -- The kind of account.
    max(coalesce(w.name, a.kind)) AS account_name, -- The kind in words.
    max(k.nature) AS nature, -- asset, liability, equity, revenue, expense or clearing.
    a.currency, -- The currency.
    count(*) AS accounts, -- How many accounts are summed.
    sum(greatest(a.balance_minor, 0)) AS debit_minor, -- All debit balances, in minor units.
    sum(greatest(-a.balance_minor, 0)) AS credit_minor, -- All credit balances, in minor units.
    sum(greatest(a.balance_minor, 0)) * max(c.unit) AS debit, -- In the currency's own decimals.
    sum(greatest(-a.balance_minor, 0)) * max(c.unit) AS credit -- In the currency's own decimals.
FROM account a
JOIN account_kind k ON k.kind = a.kind
LEFT JOIN account_words w ON w.kind = a.kind
LEFT JOIN currency_unit c ON c.code = a.currency
GROUP BY a.book, a.kind, a.currency;

-- The control totals of every posting: what was written together, counted when it was written.
CREATE VIEW audit_batch WITH (security_invoker = false) AS
SELECT
    b.id AS batch_id, -- Its number; an event's number begins with it.
    b.event_count, -- How many events it holds.
    b.entry_count, -- How many journal entries.
    b.line_count, -- How many lines.
    b.opened_at, -- When it was written; real time.
    u.batch_id IS NULL AS is_sealed -- Whether all its events stand in the sealed log.
FROM batch b
LEFT JOIN unsealed u ON u.batch_id = b.id;

-- The sealed log: which event has which number, and how many entries each book has up to there.
CREATE VIEW audit_seal WITH (security_invoker = false) AS
SELECT
    journal_no, -- The gapless number in the log, from 1.
    event_id, -- The event that has it.
    custody_entries, -- Entries of the custody book in all events up to this one.
    platform_entries -- Entries of the platform book in all events up to this one.
FROM seal;

-- The blocks in which the log was sealed, each with the root of everything up to its end.
CREATE VIEW audit_block WITH (security_invoker = false) AS
SELECT
    no AS block_no, -- Its number, from 1 without a gap.
    first_journal_no, -- The first event it sealed.
    last_journal_no, -- The last event it sealed: the size of the log then.
    encode(root, 'hex') AS root, -- The Merkle root of the whole log up to its end.
    custody_entries, -- Entries of the custody book up to its end.
    platform_entries, -- Entries of the platform book up to its end.
    sealed_at -- When; real time.
FROM block;

-- The signed checkpoints of the log: compare them with the copies that you keep elsewhere.
CREATE VIEW audit_checkpoint WITH (security_invoker = false) AS
SELECT
    size, -- How many events the log had.
    encode(root, 'hex') AS root, -- The Merkle root over them.
    note, -- The signed note as it was sent out: origin, size, root, signatures.
    signed_at -- When it was signed; real time.
FROM checkpoint;

-- Where checkpoints were taken to, outside this database.
CREATE VIEW audit_anchor WITH (security_invoker = false) AS
SELECT
    size, -- The size of the log in that checkpoint.
    anchor, -- Which place outside.
    receipt, -- What that place answered.
    anchored_at -- When; real time.
FROM anchored;
