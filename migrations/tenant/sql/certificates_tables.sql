-- What of the statements and the books is left over, who looks at it, and what is certified daily.

CREATE TABLE reconciliation_break (
    id uuid PRIMARY KEY,
    place text NOT NULL CONSTRAINT reconciliation_break_place_is_known
        CHECK (place IN ('processor', 'custody_bank', 'platform_bank')),
    rail_account text NOT NULL,
    currency char(3) NOT NULL
        CONSTRAINT reconciliation_break_currency_is_known REFERENCES currency (code),
    line_id uuid CONSTRAINT reconciliation_break_line_is_known REFERENCES statement_line (id),
    ledger_account_id bigint,
    ledger_account_seq bigint,
    event_id bigint,
    amount_minor bigint NOT NULL
        CONSTRAINT reconciliation_break_amount_is_not_zero CHECK (amount_minor <> 0),
    arose_on date NOT NULL,
    kind text NOT NULL CONSTRAINT reconciliation_break_kind_is_known CHECK (kind IN (
        'missing_external', 'missing_internal', 'amount', 'currency', 'duplicate', 'timing',
        'stale_in_transit', 'unknown')),
    told text NOT NULL CONSTRAINT reconciliation_break_told_is_short CHECK (length(told) <= 500),
    due_on date NOT NULL,
    owner_id uuid,
    state text NOT NULL DEFAULT 'open' CONSTRAINT reconciliation_break_state_is_known
        CHECK (state IN ('open', 'explained', 'resolved', 'written_off')),
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    CONSTRAINT reconciliation_break_is_of_one_side CHECK (
        (line_id IS NULL) = (event_id IS NOT NULL)
        AND (event_id IS NULL) = (ledger_account_id IS NULL)
        AND (event_id IS NULL) = (ledger_account_seq IS NULL)),
    CONSTRAINT reconciliation_break_closed_when_over
        CHECK ((state IN ('resolved', 'written_off')) = (closed_at IS NOT NULL)),
    CONSTRAINT reconciliation_break_once_per_line UNIQUE (line_id),
    CONSTRAINT reconciliation_break_once_per_item UNIQUE (ledger_account_id, ledger_account_seq)
);
CREATE INDEX reconciliation_break_open ON reconciliation_break (due_on, id)
    WHERE closed_at IS NULL;
COMMENT ON COLUMN reconciliation_break.amount_minor IS
    'What the line or the item says: money in above zero.';

CREATE TABLE break_note (
    id uuid PRIMARY KEY,
    break_id uuid NOT NULL
        CONSTRAINT break_note_break_is_known REFERENCES reconciliation_break (id),
    kind text NOT NULL CONSTRAINT break_note_kind_is_known CHECK (kind IN (
        'opened', 'comment', 'assigned', 'kind', 'explained', 'resolved', 'reopened',
        'write_off_proposed', 'write_off_rejected', 'written_off')),
    told text NOT NULL CONSTRAINT break_note_told_is_short CHECK (length(told) <= 2000),
    actor_id uuid NOT NULL,
    noted_at timestamptz NOT NULL
);
CREATE INDEX break_note_of_break ON break_note (break_id, id);
COMMENT ON TABLE break_note IS 'All that happened to a break and was said of it, in order.';

CREATE TABLE break_write_off (
    id uuid PRIMARY KEY,
    break_id uuid NOT NULL
        CONSTRAINT break_write_off_break_is_known REFERENCES reconciliation_break (id),
    amount_minor bigint NOT NULL
        CONSTRAINT break_write_off_amount_is_not_zero CHECK (amount_minor <> 0),
    limit_minor bigint NOT NULL,
    reason text NOT NULL
        CONSTRAINT break_write_off_has_a_reason CHECK (length(reason) BETWEEN 1 AND 2000),
    proposed_by uuid NOT NULL,
    proposed_at timestamptz NOT NULL,
    decided_by uuid,
    decided_at timestamptz,
    is_approved boolean,
    event_id bigint,
    match_id uuid CONSTRAINT break_write_off_match_is_known REFERENCES match (id),
    CONSTRAINT break_write_off_within_its_limit CHECK (abs(amount_minor) <= limit_minor),
    CONSTRAINT break_write_off_by_two_people CHECK (decided_by <> proposed_by),
    CONSTRAINT break_write_off_decided_whole CHECK (
        (decided_by IS NULL) = (decided_at IS NULL) AND (decided_by IS NULL) = (is_approved IS NULL)
        AND (event_id IS NOT NULL) = coalesce(is_approved, false)
        AND (match_id IS NOT NULL) = coalesce(is_approved, false))
);
CREATE UNIQUE INDEX break_write_off_one_at_a_time ON break_write_off (break_id)
    WHERE is_approved IS NULL OR is_approved;

-- What was decided stands.
CREATE FUNCTION break_write_off_stands() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF OLD.decided_by IS NOT NULL OR (NEW.id, NEW.break_id, NEW.amount_minor, NEW.limit_minor,
            NEW.reason, NEW.proposed_by, NEW.proposed_at)
        IS DISTINCT FROM (OLD.id, OLD.break_id, OLD.amount_minor, OLD.limit_minor,
            OLD.reason, OLD.proposed_by, OLD.proposed_at) THEN
        RAISE EXCEPTION 'write-off % stands', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'break_write_off_stands';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER break_write_off_stands BEFORE UPDATE ON break_write_off
    FOR EACH ROW EXECUTE FUNCTION break_write_off_stands();

-- A break stays what it is about, and one that is written off stays so; only then is it written
-- off when two people have decided it.
CREATE FUNCTION reconciliation_break_stands() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF (NEW.id, NEW.place, NEW.rail_account, NEW.currency, NEW.line_id, NEW.ledger_account_id,
            NEW.ledger_account_seq, NEW.event_id, NEW.amount_minor, NEW.arose_on, NEW.opened_at)
        IS DISTINCT FROM (OLD.id, OLD.place, OLD.rail_account, OLD.currency, OLD.line_id,
            OLD.ledger_account_id, OLD.ledger_account_seq, OLD.event_id, OLD.amount_minor,
            OLD.arose_on, OLD.opened_at) THEN
        RAISE EXCEPTION 'break % stays what it is about', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'reconciliation_break_stands';
    END IF;
    IF NEW.state = 'written_off' AND NOT EXISTS (
        SELECT FROM break_write_off WHERE break_id = NEW.id AND is_approved
    ) THEN
        RAISE EXCEPTION 'nobody approved to write break % off', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'reconciliation_break_four_eyes';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER reconciliation_break_stands BEFORE UPDATE ON reconciliation_break
    FOR EACH ROW EXECUTE FUNCTION reconciliation_break_stands();

CREATE TABLE certificate (
    id uuid PRIMARY KEY,
    currency char(3) NOT NULL
        CONSTRAINT certificate_currency_is_known REFERENCES currency (code),
    on_day date NOT NULL,
    version integer NOT NULL CONSTRAINT certificate_is_counted CHECK (version >= 1),
    state text NOT NULL CONSTRAINT certificate_state_is_known
        CHECK (state IN ('clean', 'breaks', 'untold')),
    digest bytea NOT NULL CONSTRAINT certificate_digest_is_sha256 CHECK (length(digest) = 32),
    body text NOT NULL,
    liability_minor bigint NOT NULL,
    processor_minor bigint NOT NULL,
    bank_minor bigint NOT NULL,
    transit_minor bigint NOT NULL,
    suspense_minor bigint NOT NULL,
    platform_minor bigint NOT NULL,
    bridge_minor bigint NOT NULL,
    break_minor bigint NOT NULL,
    unexplained_minor bigint NOT NULL,
    made_by uuid NOT NULL,
    made_at timestamptz NOT NULL,
    CONSTRAINT certificate_once_a_version UNIQUE (currency, on_day, version),
    CONSTRAINT certificate_adds_up CHECK (
        processor_minor + bank_minor + transit_minor + bridge_minor + break_minor
            + unexplained_minor
        = liability_minor + suspense_minor + platform_minor),
    CONSTRAINT certificate_clean_is_explained
        CHECK (state <> 'clean' OR (unexplained_minor = 0 AND break_minor = 0)),
    CONSTRAINT certificate_digest_is_of_its_body
        CHECK (digest = sha256(convert_to(body, 'UTF8')))
);
COMMENT ON TABLE certificate IS
    'Ledger against processors against bank for one currency and day. Made again after something changed, it is a new version; the old one stands.';

CREATE TABLE certificate_signature (
    id uuid PRIMARY KEY,
    certificate_id uuid NOT NULL
        CONSTRAINT certificate_signature_certificate_is_known REFERENCES certificate (id),
    digest bytea NOT NULL,
    signed_by uuid NOT NULL,
    signed_at timestamptz NOT NULL,
    remark text NOT NULL CONSTRAINT certificate_signature_remark_is_short
        CHECK (length(remark) <= 2000),
    CONSTRAINT certificate_signed_once_by_each UNIQUE (certificate_id, signed_by)
);

-- A signature is of the digest, not by who made the certificate; one that is not clean wants words.
CREATE FUNCTION certificate_signature_fits() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    signed certificate;
BEGIN
    SELECT * INTO signed FROM certificate WHERE id = NEW.certificate_id;
    IF signed.digest <> NEW.digest THEN
        RAISE EXCEPTION 'another certificate was signed' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'certificate_signature_is_of_its_digest';
    END IF;
    IF signed.state <> 'clean' AND (signed.made_by = NEW.signed_by OR NEW.remark = '') THEN
        RAISE EXCEPTION 'a certificate with breaks is signed by another, with a remark'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'certificate_signed_by_another';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER certificate_signature_fits BEFORE INSERT ON certificate_signature
    FOR EACH ROW EXECUTE FUNCTION certificate_signature_fits();

CREATE TABLE safeguarding_hour (
    valid_from timestamptz CONSTRAINT safeguarding_hour_one_at_a_time PRIMARY KEY,
    hour smallint NOT NULL CONSTRAINT safeguarding_hour_is_of_a_day CHECK (hour BETWEEN 0 AND 23),
    set_by uuid NOT NULL
);
COMMENT ON TABLE safeguarding_hour IS
    'At which hour (UTC, by the tenant''s clock) the day before is reconciled and certified.';

CREATE TABLE safeguarding_run (
    on_day date CONSTRAINT safeguarding_run_once_a_day PRIMARY KEY,
    is_safe boolean NOT NULL,
    report jsonb NOT NULL,
    ran_at timestamptz NOT NULL
);
COMMENT ON TABLE safeguarding_run IS 'The daily run, one row when it is through; on_day is the day that was certified.';
