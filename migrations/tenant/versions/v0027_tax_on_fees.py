"""The tax on our fees: who supplies, who buys, checks of numbers, and invoices without gaps.

Personal data are sealed with a key of their party: the rows stand for ever, and are unreadable
once the key is gone.

Revision ID: 0027
"""

from migrations.guards import append_only, not_deleted
from migrations.statements import run

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

TIMEOUTS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""

KEYS = """
CREATE TABLE personal_key (
    id uuid CONSTRAINT personal_key_is_named_once PRIMARY KEY,
    party_id uuid NOT NULL CONSTRAINT personal_key_once_a_party UNIQUE
        CONSTRAINT personal_key_party_is_known REFERENCES party (id),
    secret bytea NOT NULL CONSTRAINT personal_key_has_256_bits CHECK (length(secret) = 32),
    made_at timestamptz NOT NULL
);
COMMENT ON TABLE personal_key IS
    'What opens the personal data of a party; taken away, they are gone everywhere.';
"""

SUPPLIER = """
CREATE TABLE tax_supplier (
    version integer CONSTRAINT tax_supplier_is_numbered_once PRIMARY KEY
        CONSTRAINT tax_supplier_version_counts CHECK (version >= 1),
    in_force_from timestamptz NOT NULL,
    country char(2) NOT NULL
        CONSTRAINT tax_supplier_country_is_two_letters CHECK (country ~ '^[A-Z]{2}$'),
    name text NOT NULL
        CONSTRAINT tax_supplier_has_a_name CHECK (length(name) BETWEEN 1 AND 200),
    address text NOT NULL
        CONSTRAINT tax_supplier_has_an_address CHECK (length(address) BETWEEN 1 AND 1000),
    tax_numbers jsonb NOT NULL CONSTRAINT tax_supplier_numbers_are_by_country
        CHECK (jsonb_typeof(tax_numbers) = 'object'),
    service text NOT NULL CONSTRAINT tax_supplier_service_is_known
        CHECK (service IN ('electronic', 'intermediation')),
    when_unsure text NOT NULL CONSTRAINT tax_supplier_knows_what_to_do_unsure
        CHECK (when_unsure IN ('domestic', 'likeliest')),
    check_days integer NOT NULL CONSTRAINT tax_supplier_checks_grow_old
        CHECK (check_days BETWEEN 1 AND 3660),
    set_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL
);
COMMENT ON TABLE tax_supplier IS
    'Who supplies our service, for the tax: the version in force is the last that began.';
"""

BUYER = """
CREATE TABLE tax_buyer (
    party_id uuid NOT NULL CONSTRAINT tax_buyer_party_is_known REFERENCES party (id),
    version integer NOT NULL CONSTRAINT tax_buyer_version_counts CHECK (version >= 1),
    in_force_from timestamptz NOT NULL,
    evidence jsonb NOT NULL CONSTRAINT tax_buyer_evidence_is_a_list
        CHECK (jsonb_typeof(evidence) = 'array' AND jsonb_array_length(evidence) <= 20),
    is_business boolean NOT NULL,
    tax_country char(2) CONSTRAINT tax_buyer_country_is_two_letters
        CHECK (tax_country ~ '^[A-Z]{2}$'),
    number_print bytea CONSTRAINT tax_buyer_print_is_whole CHECK (length(number_print) = 32),
    sealed bytea NOT NULL,
    set_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT tax_buyer_is_numbered_once PRIMARY KEY (party_id, version),
    CONSTRAINT tax_buyer_number_is_whole
        CHECK ((tax_country IS NULL) = (number_print IS NULL)),
    CONSTRAINT tax_buyer_number_is_of_a_business CHECK (is_business OR number_print IS NULL)
);
COMMENT ON TABLE tax_buyer IS
    'What is known of a party that pays our fees; name, address and number stand in sealed.';
COMMENT ON COLUMN tax_buyer.number_print IS
    'HMAC of the number under the party''s key: the same number, without telling it.';
"""

CHECKS = """
CREATE TABLE tax_check (
    id uuid CONSTRAINT tax_check_is_named_once PRIMARY KEY,
    party_id uuid NOT NULL CONSTRAINT tax_check_party_is_known REFERENCES party (id),
    tax_country char(2) NOT NULL
        CONSTRAINT tax_check_country_is_two_letters CHECK (tax_country ~ '^[A-Z]{2}$'),
    number_print bytea NOT NULL
        CONSTRAINT tax_check_print_is_whole CHECK (length(number_print) = 32),
    sealed bytea NOT NULL,
    register text NOT NULL
        CONSTRAINT tax_check_names_its_register CHECK (length(register) BETWEEN 1 AND 40),
    reference text NOT NULL
        CONSTRAINT tax_check_reference_is_short CHECK (length(reference) <= 200),
    is_valid boolean NOT NULL,
    valid_since timestamptz,
    checked_at timestamptz NOT NULL,
    recorded_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT tax_check_valid_names_its_consultation CHECK (NOT is_valid OR reference <> ''),
    CONSTRAINT tax_check_since_is_of_a_valid_one
        CHECK (valid_since IS NULL OR (is_valid AND valid_since <= checked_at))
);
CREATE INDEX tax_check_newest ON tax_check (party_id, tax_country, number_print, checked_at, id);
COMMENT ON TABLE tax_check IS 'What a register said of a party''s tax number, and when.';
COMMENT ON COLUMN tax_check.valid_since IS
    'Since when it was proved to be valid; it credits fees of that time and rewrites none.';
"""

INVOICES = """
CREATE TABLE invoice_series (
    code text CONSTRAINT invoice_series_is_named_once PRIMARY KEY
        CONSTRAINT invoice_series_code_is_short CHECK (code ~ '^[A-Z]{1,8}[0-9]{4}$'),
    kind text NOT NULL
        CONSTRAINT invoice_series_kind_is_a_word CHECK (kind ~ '^[a-z][a-z_]{0,39}$'),
    next_seq bigint NOT NULL DEFAULT 1 CONSTRAINT invoice_series_counts CHECK (next_seq >= 1),
    last_at timestamptz NOT NULL DEFAULT 'epoch'
);
COMMENT ON TABLE invoice_series IS
    'A row of numbers; whoever issues holds it, so that a number is taken with its document.';

CREATE TABLE invoice (
    id uuid CONSTRAINT invoice_is_named_once PRIMARY KEY,
    number text NOT NULL CONSTRAINT invoice_number_is_used_once UNIQUE,
    series text NOT NULL
        CONSTRAINT invoice_series_is_known REFERENCES invoice_series (code),
    seq bigint NOT NULL,
    kind text NOT NULL
        CONSTRAINT invoice_kind_is_known CHECK (kind IN ('invoice', 'receipt', 'credit_note')),
    party_id uuid NOT NULL CONSTRAINT invoice_party_is_known REFERENCES party (id),
    contract_id uuid,
    release_id uuid,
    fee_kind text NOT NULL,
    currency char(3) NOT NULL CONSTRAINT invoice_currency_is_known REFERENCES currency (code),
    net_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    total_minor bigint NOT NULL,
    line_count integer NOT NULL CONSTRAINT invoice_has_lines CHECK (line_count >= 1),
    original_id uuid CONSTRAINT invoice_original_is_known REFERENCES invoice (id),
    supplier_version integer NOT NULL
        CONSTRAINT invoice_supplier_is_known REFERENCES tax_supplier (version),
    supplied_at timestamptz NOT NULL,
    issued_at timestamptz NOT NULL,
    document jsonb NOT NULL,
    sealed bytea NOT NULL,
    CONSTRAINT invoice_seq_is_used_once UNIQUE (series, seq),
    CONSTRAINT invoice_number_is_its_place
        CHECK (number = series || '-' || lpad(seq::text, greatest(6, length(seq::text)), '0')),
    CONSTRAINT invoice_adds_up CHECK (net_minor + tax_minor = total_minor),
    CONSTRAINT invoice_goes_one_way CHECK (
        CASE kind WHEN 'credit_note' THEN net_minor <= 0 AND tax_minor <= 0 AND total_minor < 0
        ELSE net_minor >= 0 AND tax_minor >= 0 AND total_minor > 0 END),
    CONSTRAINT invoice_credit_names_its_original
        CHECK ((kind = 'credit_note') = (original_id IS NOT NULL))
);
CREATE INDEX invoice_by_party ON invoice (party_id, id);
CREATE INDEX invoice_by_time ON invoice (issued_at, id);
CREATE INDEX invoice_by_release ON invoice (release_id, party_id);
CREATE INDEX invoice_by_original ON invoice (original_id) WHERE original_id IS NOT NULL;

CREATE TABLE invoice_line (
    invoice_id uuid NOT NULL CONSTRAINT invoice_line_document_is_known
        REFERENCES invoice (id) DEFERRABLE INITIALLY DEFERRED,
    line_no integer NOT NULL CONSTRAINT invoice_line_counts CHECK (line_no >= 1),
    fee_line_id bigint NOT NULL
        CONSTRAINT invoice_line_fee_is_invoiced_once UNIQUE
        CONSTRAINT invoice_line_fee_is_known REFERENCES fee_line (id),
    net_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    tax_country text,
    tax_rate_bps integer NOT NULL,
    treatment text NOT NULL,
    CONSTRAINT invoice_line_is_numbered_once PRIMARY KEY (invoice_id, line_no)
);

CREATE INDEX fee_line_to_invoice ON fee_line (id)
    WHERE treatment IS NOT NULL AND (fee_minor <> 0 OR tax_minor <> 0);
CREATE INDEX fee_line_taxed_by_event ON fee_line (event_id) WHERE treatment IS NOT NULL;
"""

INVOICE_GUARDS = """
CREATE FUNCTION check_invoice_lines() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT FROM new_row JOIN invoice ON invoice.id = new_row.invoice_id) THEN
        RAISE EXCEPTION 'a document that stands takes no further line'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invoice_line_comes_first';
    END IF;
    IF EXISTS (
        SELECT FROM new_row LEFT JOIN fee_line ON fee_line.id = new_row.fee_line_id
        WHERE (new_row.net_minor, new_row.tax_minor, new_row.tax_country, new_row.tax_rate_bps,
            new_row.treatment) IS DISTINCT FROM (fee_line.fee_minor, fee_line.tax_minor,
            fee_line.tax_country, fee_line.tax_rate_bps, fee_line.treatment)
    ) THEN
        RAISE EXCEPTION 'a line of a document differs from the fee that was posted'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invoice_line_ties_to_its_fee';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER invoice_line_ties_to_its_fee AFTER INSERT ON invoice_line
REFERENCING NEW TABLE AS new_row
FOR EACH STATEMENT EXECUTE FUNCTION check_invoice_lines();

CREATE FUNCTION check_invoices() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (
            SELECT series, min(seq) AS first, max(seq) AS last, count(*) AS many
            FROM new_row GROUP BY series
        ) AS added
        WHERE added.last - added.first + 1 <> added.many OR (added.first <> 1 AND NOT EXISTS (
            SELECT FROM invoice WHERE invoice.series = added.series AND seq = added.first - 1))
            OR added.first < 1
    ) THEN
        RAISE EXCEPTION 'numbers of a series have no gap'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invoice_numbers_have_no_gap';
    END IF;
    IF EXISTS (
        SELECT FROM new_row JOIN invoice_series ON invoice_series.code = new_row.series
        WHERE invoice_series.kind <> new_row.kind OR invoice_series.next_seq <= new_row.seq
    ) THEN
        RAISE EXCEPTION 'a number is taken from the series of its kind'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invoice_number_is_of_its_series';
    END IF;
    IF EXISTS (
        SELECT FROM new_row LEFT JOIN (
            SELECT line.invoice_id, count(*) AS many, max(line.line_no) AS last,
                sum(line.net_minor) AS net, sum(line.tax_minor) AS tax,
                bool_and((fee_line.party_id, fee_line.currency, fee_line.kind)
                    = (header.party_id, header.currency, header.fee_kind)) AS is_its_own
            FROM new_row AS header
            JOIN invoice_line AS line ON line.invoice_id = header.id
            JOIN fee_line ON fee_line.id = line.fee_line_id
            GROUP BY line.invoice_id
        ) AS made (invoice_id, many, last, net, tax, is_its_own) ON made.invoice_id = new_row.id
        WHERE (made.many, made.last, made.net, made.tax, made.is_its_own) IS DISTINCT FROM
            (new_row.line_count, new_row.line_count, new_row.net_minor, new_row.tax_minor, true)
    ) THEN
        RAISE EXCEPTION 'the totals of a document are those of its lines'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invoice_ties_to_its_lines';
    END IF;
    IF EXISTS (
        SELECT FROM new_row JOIN invoice AS original ON original.id = new_row.original_id
        WHERE original.kind = 'credit_note'
            OR (original.party_id, original.fee_kind, original.currency, original.release_id)
            IS DISTINCT FROM (new_row.party_id, new_row.fee_kind, new_row.currency,
                new_row.release_id)
    ) OR EXISTS (
        SELECT FROM (
            SELECT DISTINCT party_id, fee_kind, currency, release_id FROM new_row
            WHERE kind = 'credit_note'
        ) AS family
        JOIN invoice AS each ON each.party_id = family.party_id
            AND each.fee_kind = family.fee_kind AND each.currency = family.currency
            AND each.release_id IS NOT DISTINCT FROM family.release_id
        GROUP BY family.party_id, family.fee_kind, family.currency, family.release_id
        HAVING sum(each.net_minor) < 0 OR sum(each.tax_minor) < 0
    ) THEN
        RAISE EXCEPTION 'a credit note gives back at most what its original asked for'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invoice_credit_within_its_original';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER invoice_numbers_have_no_gap AFTER INSERT ON invoice
REFERENCING NEW TABLE AS new_row
FOR EACH STATEMENT EXECUTE FUNCTION check_invoices();

CREATE FUNCTION check_series() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.next_seq <> 1
        OR TG_OP = 'UPDATE' AND (NEW.next_seq < OLD.next_seq OR NEW.last_at < OLD.last_at
            OR (NEW.code, NEW.kind) <> (OLD.code, OLD.kind)) THEN
        RAISE EXCEPTION 'a series begins with 1 and never goes back'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invoice_series_only_counts_on';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER invoice_series_only_counts_on BEFORE INSERT OR UPDATE ON invoice_series
FOR EACH ROW EXECUTE FUNCTION check_series();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON personal_key TO %I', tenant_role);
    EXECUTE format(
        'GRANT SELECT, INSERT ON tax_supplier, tax_buyer, tax_check, invoice, invoice_line TO %I',
        tenant_role
    );
    EXECUTE format(
        'GRANT SELECT, INSERT, UPDATE (next_seq, last_at) ON invoice_series TO %I', tenant_role
    );
END $$;
"""


def upgrade() -> None:
    """Make the tables."""
    run(TIMEOUTS)
    for part in (KEYS, SUPPLIER, BUYER, CHECKS, INVOICES, INVOICE_GUARDS):
        run(part)
    append_only("tax_supplier", "tax_buyer", "tax_check", "invoice", "invoice_line")
    not_deleted("invoice_series")
    run(RIGHTS)
