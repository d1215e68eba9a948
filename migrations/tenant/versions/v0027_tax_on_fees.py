"""The tax on our fees: who supplies, what is known of buyers, and their numbers' checks.

Personal data are sealed with a key of their party: the rows stand for ever, and are unreadable
once the key is gone.

Revision ID: 0027
"""

from migrations.guards import append_only
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

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON personal_key TO %I', tenant_role);
    EXECUTE format(
        'GRANT SELECT, INSERT ON tax_supplier, tax_buyer, tax_check TO %I', tenant_role
    );
END $$;
"""


def upgrade() -> None:
    """Make the tables."""
    run(TIMEOUTS)
    for part in (KEYS, SUPPLIER, BUYER, CHECKS):
        run(part)
    append_only("tax_supplier", "tax_buyer", "tax_check")
    run(RIGHTS)
