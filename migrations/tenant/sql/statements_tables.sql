-- What did banks and rails say? Their files, the statements in them, and each line once.

CREATE TABLE reconciliation_account (
    id uuid PRIMARY KEY,
    reference_hash bytea NOT NULL CONSTRAINT reconciliation_account_hash_is_sha256
        CHECK (length(reference_hash) = 32),
    label text NOT NULL CONSTRAINT reconciliation_account_label_is_short
        CHECK (length(label) BETWEEN 1 AND 80),
    currency char(3) NOT NULL
        CONSTRAINT reconciliation_account_currency_is_known REFERENCES currency (code),
    place text NOT NULL CONSTRAINT reconciliation_account_place_is_known
        CHECK (place IN ('processor', 'custody_bank', 'platform_bank')),
    rail_account text NOT NULL,
    opened_by uuid NOT NULL,
    opened_at timestamptz NOT NULL,
    CONSTRAINT reconciliation_account_of_a_rail
        CHECK ((place = 'processor') = (rail_account <> '')),
    CONSTRAINT reconciliation_account_stands_for_one UNIQUE (reference_hash, currency)
);
CREATE INDEX reconciliation_account_of_place
    ON reconciliation_account (place, rail_account, currency);
COMMENT ON TABLE reconciliation_account IS
    'Which place of the books an account on statements stands for. A place is one kind of account or several (processor: pending, available and reserved) of one rail account; several accounts may stand for one place.';
COMMENT ON COLUMN reconciliation_account.reference_hash IS
    'SHA-256 of the account''s name on statements: no bank number is kept. The label has its end.';

CREATE TABLE statement_file (
    hash bytea PRIMARY KEY
        CONSTRAINT statement_file_hash_is_sha256 CHECK (length(hash) = 32),
    name text NOT NULL CONSTRAINT statement_file_name_is_short CHECK (length(name) <= 255),
    format text NOT NULL CONSTRAINT statement_file_has_a_format CHECK (format <> ''),
    byte_count bigint NOT NULL CONSTRAINT statement_file_is_not_empty CHECK (byte_count > 0),
    statement_count integer NOT NULL
        CONSTRAINT statement_file_statements_are_counted CHECK (statement_count >= 0),
    taken_by uuid NOT NULL,
    taken_at timestamptz NOT NULL
);
COMMENT ON TABLE statement_file IS
    'Files that were read whole. The same bytes twice add nothing.';

CREATE TABLE statement (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL
        CONSTRAINT statement_account_is_known REFERENCES reconciliation_account (id),
    source text NOT NULL CONSTRAINT statement_has_a_source CHECK (source <> ''),
    file_hash bytea CONSTRAINT statement_file_is_known REFERENCES statement_file (hash),
    statement_no integer NOT NULL
        CONSTRAINT statement_is_counted CHECK (statement_no >= 1),
    reference text NOT NULL,
    from_on date,
    to_on date,
    opening_minor bigint,
    closing_minor bigint,
    line_count integer NOT NULL
        CONSTRAINT statement_lines_are_counted CHECK (line_count >= 0),
    overlap_count integer NOT NULL
        CONSTRAINT statement_overlap_is_counted CHECK (overlap_count >= 0),
    left_out_count integer NOT NULL DEFAULT 0
        CONSTRAINT statement_left_out_is_counted CHECK (left_out_count >= 0),
    controls jsonb NOT NULL DEFAULT '{}',
    taken_by uuid NOT NULL,
    taken_at timestamptz NOT NULL,
    CONSTRAINT statement_has_two_balances_or_none
        CHECK ((opening_minor IS NULL) = (closing_minor IS NULL)),
    CONSTRAINT statement_ends_after_it_begins CHECK (from_on <= to_on),
    CONSTRAINT statement_once_per_file UNIQUE (file_hash, statement_no)
);
CREATE INDEX statement_of_account ON statement (account_id, to_on, id);
COMMENT ON TABLE statement IS
    'One statement of one account, from a file or (file_hash empty) from a rail''s own listing.';
COMMENT ON COLUMN statement.line_count IS 'Lines that were new with this statement.';
COMMENT ON COLUMN statement.overlap_count IS 'Lines that an earlier statement had brought.';
COMMENT ON COLUMN statement.left_out_count IS 'Lines that are not booked yet or carry no money.';

CREATE TABLE statement_line (
    id uuid PRIMARY KEY,
    statement_id uuid NOT NULL
        CONSTRAINT statement_line_statement_is_known REFERENCES statement (id),
    line_no integer NOT NULL CONSTRAINT statement_line_is_counted CHECK (line_no >= 1),
    account_id uuid NOT NULL,
    identity text NOT NULL CONSTRAINT statement_line_identity_is_known
        CHECK (identity ~ '^(ref|content):.'),
    amount_minor bigint NOT NULL
        CONSTRAINT statement_line_amount_is_not_zero CHECK (amount_minor <> 0),
    fee_minor bigint NOT NULL DEFAULT 0,
    currency char(3) NOT NULL,
    booked_on date NOT NULL,
    value_on date NOT NULL,
    ref text NOT NULL,
    end_to_end_id text NOT NULL,
    group_ref text NOT NULL,
    trace_ref text NOT NULL,
    other_refs text[] NOT NULL DEFAULT '{}',
    kind text NOT NULL,
    is_reversal boolean NOT NULL,
    text text NOT NULL,
    CONSTRAINT statement_line_at_one_place UNIQUE (statement_id, line_no),
    CONSTRAINT statement_line_stands_once UNIQUE (account_id, identity)
);
CREATE INDEX statement_line_by_day ON statement_line (account_id, booked_on, id);
COMMENT ON TABLE statement_line IS
    'One booked movement as a bank or rail tells it, once however many statements list it.';
COMMENT ON COLUMN statement_line.amount_minor IS
    'What it adds to the balance, in minor units: money in above zero, as in the books.';
COMMENT ON COLUMN statement_line.identity IS
    'How it is known again: ref:<the bank''s own unique reference>, or content:<hash of all that it says>:<which of several equal lines>.';
COMMENT ON COLUMN statement_line.group_ref IS
    'The payout, batch or deposit that it is part of, or that it is.';
COMMENT ON COLUMN statement_line.text IS 'Remittance text, with bank numbers cut to their ends.';

CREATE TABLE statement_overlap (
    statement_id uuid NOT NULL
        CONSTRAINT statement_overlap_statement_is_known REFERENCES statement (id),
    line_no integer NOT NULL CONSTRAINT statement_overlap_line_is_counted CHECK (line_no >= 1),
    line_id uuid NOT NULL
        CONSTRAINT statement_overlap_line_is_known REFERENCES statement_line (id),
    PRIMARY KEY (statement_id, line_no),
    CONSTRAINT statement_overlap_once UNIQUE (statement_id, line_id)
);
COMMENT ON TABLE statement_overlap IS
    'Lines of a statement that an earlier statement had brought already.';
