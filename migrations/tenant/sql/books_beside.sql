-- What every command needs beside the books: parties, holds, and the answers to keys.

CREATE TABLE party (
    id uuid PRIMARY KEY,
    kind text NOT NULL CONSTRAINT party_kind_known CHECK (
        kind IN ('client', 'freelancer', 'agency', 'operator')
    ),
    kyc_state text NOT NULL DEFAULT 'none' CONSTRAINT party_kyc_state_known CHECK (
        kyc_state IN ('none', 'pending', 'verified', 'rejected')
    ),
    sanction_state text NOT NULL DEFAULT 'clear' CONSTRAINT party_sanction_state_known CHECK (
        sanction_state IN ('clear', 'hit')
    ),
    country char(2) CONSTRAINT party_country_is_iso CHECK (country ~ '^[A-Z]{2}$'),
    reference text NOT NULL DEFAULT '',
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL
);
COMMENT ON COLUMN party.reference IS
    'The marketplace''s own id of this party. Names and addresses are kept elsewhere, encrypted.';
CREATE UNIQUE INDEX party_reference_unique ON party (reference) WHERE reference <> '';

CREATE TABLE hold (
    id uuid PRIMARY KEY,
    subject text NOT NULL,
    kind text NOT NULL CONSTRAINT hold_kind_known CHECK (
        kind IN ('dispute', 'chargeback', 'compliance', 'processor', 'tax')
    ),
    reason text NOT NULL,
    placed_by uuid NOT NULL,
    placed_at timestamptz NOT NULL,
    lifted_by uuid,
    lifted_at timestamptz,
    CONSTRAINT hold_lifted_whole CHECK ((lifted_by IS NULL) = (lifted_at IS NULL))
);
CREATE INDEX hold_open ON hold (subject) WHERE lifted_at IS NULL;

-- The answer to a key, kept for ever. Written once, in the transaction of what it answers for.
CREATE TABLE idempotency (
    principal_id uuid NOT NULL,
    key text NOT NULL CONSTRAINT idempotency_key_is_visible_ascii CHECK (
        key ~ '^[!-~]{1,255}$'
    ),
    answered_at timestamptz NOT NULL,
    request_hash bytea NOT NULL CONSTRAINT idempotency_hash_is_sha256 CHECK (
        length(request_hash) = 32
    ),
    code text NOT NULL,
    answer bytea NOT NULL,
    PRIMARY KEY (principal_id, key)
);
CREATE TRIGGER idempotency_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON idempotency
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
