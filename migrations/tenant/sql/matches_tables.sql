-- What of the statements is what in the books? Runs of the rules, matches, proposals, and undoing.

-- An item of the books is an event's lines in one place (all accounts of the kinds of that place
-- with one subject and one currency), named by the first of them: lowest account, lowest number.
CREATE TABLE match_run (
    id uuid PRIMARY KEY,
    place text NOT NULL,
    rail_account text NOT NULL,
    currency char(3) NOT NULL,
    from_on date,
    to_on date,
    rules_version text NOT NULL
        CONSTRAINT match_run_names_its_rules CHECK (rules_version <> ''),
    arguments jsonb NOT NULL,
    item_count integer NOT NULL CONSTRAINT match_run_items_are_counted CHECK (item_count >= 0),
    line_count integer NOT NULL CONSTRAINT match_run_lines_are_counted CHECK (line_count >= 0),
    counts jsonb NOT NULL,
    digest bytea NOT NULL CONSTRAINT match_run_digest_is_sha256 CHECK (length(digest) = 32),
    ran_by uuid NOT NULL,
    ran_at timestamptz NOT NULL
);
CREATE INDEX match_run_of_place ON match_run (place, rail_account, currency, id);
COMMENT ON COLUMN match_run.digest IS
    'SHA-256 of all matches and proposals of the run in order: the same books and statements give the same digest.';

CREATE TABLE match (
    id uuid PRIMARY KEY,
    run_id uuid CONSTRAINT match_run_is_known REFERENCES match_run (id)
        DEFERRABLE INITIALLY DEFERRED,
    rule text NOT NULL CONSTRAINT match_rule_is_known
        CHECK (rule IN ('R0', 'R1', 'R2', 'R3', 'R4', 'R5', 'R6', 'hand')),
    rules_version text NOT NULL,
    score integer NOT NULL CONSTRAINT match_score_in_range CHECK (score BETWEEN 0 AND 1000),
    place text NOT NULL,
    rail_account text NOT NULL,
    currency char(3) NOT NULL,
    amount_minor bigint NOT NULL,
    line_count integer NOT NULL CONSTRAINT match_is_of_two_at_least CHECK (line_count >= 2),
    difference_minor bigint NOT NULL DEFAULT 0,
    difference_event_id bigint,
    actor_id uuid NOT NULL,
    made_at timestamptz NOT NULL,
    CONSTRAINT match_difference_is_posted
        CHECK ((difference_minor = 0) = (difference_event_id IS NULL))
);
CREATE INDEX match_by_run ON match (run_id) WHERE run_id IS NOT NULL;
COMMENT ON COLUMN match.amount_minor IS
    'The sum of its statement lines, and of its items of the books: they are always the same.';
COMMENT ON COLUMN match.difference_minor IS
    'What the books lacked and event difference_event_id posted; that item is part of the match.';

CREATE TABLE match_undo (
    id uuid PRIMARY KEY,
    match_id uuid NOT NULL CONSTRAINT match_undo_match_is_known REFERENCES match (id),
    reason text NOT NULL
        CONSTRAINT match_undo_has_a_reason CHECK (length(reason) BETWEEN 1 AND 2000),
    actor_id uuid NOT NULL,
    undone_at timestamptz NOT NULL,
    CONSTRAINT match_is_undone_once UNIQUE (match_id),
    CONSTRAINT match_undo_names_its_match UNIQUE (id, match_id)
);

CREATE TABLE match_line (
    match_id uuid NOT NULL CONSTRAINT match_line_match_is_known REFERENCES match (id),
    line_no integer NOT NULL CONSTRAINT match_line_is_counted CHECK (line_no >= 1),
    line_id uuid CONSTRAINT match_line_line_is_known REFERENCES statement_line (id),
    ledger_account_id bigint,
    ledger_account_seq bigint,
    event_id bigint,
    amount_minor bigint NOT NULL,
    undone_by uuid,
    PRIMARY KEY (match_id, line_no),
    CONSTRAINT match_line_undone_with_its_match
        FOREIGN KEY (undone_by, match_id) REFERENCES match_undo (id, match_id),
    CONSTRAINT match_line_is_of_one_side CHECK (
        (line_id IS NULL) = (event_id IS NOT NULL)
        AND (event_id IS NULL) = (ledger_account_id IS NULL)
        AND (event_id IS NULL) = (ledger_account_seq IS NULL))
);
CREATE UNIQUE INDEX match_line_one_match_per_line ON match_line (line_id)
    WHERE line_id IS NOT NULL AND undone_by IS NULL;
CREATE UNIQUE INDEX match_line_one_match_per_item
    ON match_line (ledger_account_id, ledger_account_seq)
    WHERE event_id IS NOT NULL AND undone_by IS NULL;

CREATE TABLE match_proposal (
    id uuid PRIMARY KEY,
    run_id uuid NOT NULL CONSTRAINT match_proposal_run_is_known REFERENCES match_run (id)
        DEFERRABLE INITIALLY DEFERRED,
    members_hash bytea NOT NULL
        CONSTRAINT match_proposal_hash_is_sha256 CHECK (length(members_hash) = 32),
    rule text NOT NULL CONSTRAINT match_proposal_rule_is_known
        CHECK (rule IN ('R3', 'R4', 'R5', 'R6')),
    rules_version text NOT NULL,
    score integer NOT NULL
        CONSTRAINT match_proposal_score_in_range CHECK (score BETWEEN 0 AND 1000),
    place text NOT NULL,
    rail_account text NOT NULL,
    currency char(3) NOT NULL,
    difference_minor bigint NOT NULL,
    proposed_at timestamptz NOT NULL,
    CONSTRAINT match_proposal_made_once UNIQUE (members_hash)
);
CREATE INDEX match_proposal_of_place ON match_proposal (place, rail_account, currency, id);
COMMENT ON COLUMN match_proposal.difference_minor IS
    'What the statement has more than the books; accepted, it is posted to a named account.';

CREATE TABLE proposal_member (
    proposal_id uuid NOT NULL
        CONSTRAINT proposal_member_proposal_is_known REFERENCES match_proposal (id),
    member_no integer NOT NULL CONSTRAINT proposal_member_is_counted CHECK (member_no >= 1),
    line_id uuid CONSTRAINT proposal_member_line_is_known REFERENCES statement_line (id),
    ledger_account_id bigint,
    ledger_account_seq bigint,
    event_id bigint,
    amount_minor bigint NOT NULL,
    PRIMARY KEY (proposal_id, member_no),
    CONSTRAINT proposal_member_is_of_one_side CHECK (
        (line_id IS NULL) = (event_id IS NOT NULL)
        AND (event_id IS NULL) = (ledger_account_id IS NULL)
        AND (event_id IS NULL) = (ledger_account_seq IS NULL))
);

CREATE TABLE proposal_decision (
    proposal_id uuid CONSTRAINT proposal_is_decided_once PRIMARY KEY
        CONSTRAINT proposal_decision_proposal_is_known REFERENCES match_proposal (id),
    match_id uuid CONSTRAINT proposal_decision_match_is_known REFERENCES match (id),
    is_accepted boolean NOT NULL,
    reason text NOT NULL
        CONSTRAINT proposal_decision_reason_is_short CHECK (length(reason) <= 2000),
    actor_id uuid NOT NULL,
    decided_at timestamptz NOT NULL,
    CONSTRAINT proposal_accepted_makes_a_match CHECK (is_accepted = (match_id IS NOT NULL))
);
