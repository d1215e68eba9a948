"""Exchange: rates with their source, policies by two people, quotes, conversions, revaluations.

A rate is above zero and stays as it was taken. A quote is used once or never, before it ends; a
conversion is filled once, and one fill of a provider fills one conversion.

Revision ID: 0026
"""

from migrations.guards import append_only, not_deleted
from migrations.statements import run

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

RATE = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE fx_rate (
    provider text NOT NULL CONSTRAINT fx_rate_has_a_provider CHECK (provider <> ''),
    kind text NOT NULL
        CONSTRAINT fx_rate_kind_is_known CHECK (kind IN ('mid', 'provider', 'customer')),
    sold char(3) NOT NULL CONSTRAINT fx_rate_sold_is_known REFERENCES currency (code),
    bought char(3) NOT NULL CONSTRAINT fx_rate_bought_is_known REFERENCES currency (code),
    as_of date NOT NULL,
    rate numeric(20, 10) NOT NULL CONSTRAINT fx_rate_above_zero CHECK (rate > 0),
    source text NOT NULL CONSTRAINT fx_rate_has_a_source CHECK (source <> ''),
    taken_at timestamptz NOT NULL,
    CONSTRAINT fx_rate_one_a_day PRIMARY KEY (provider, kind, sold, bought, as_of),
    CONSTRAINT fx_rate_of_two_currencies CHECK (sold <> bought)
);
COMMENT ON TABLE fx_rate IS
    'How much of one currency a unit of another was on a day, as its source gave it.';
"""

POLICY = """
CREATE TABLE fx_policy (
    id uuid PRIMARY KEY,
    source text NOT NULL CONSTRAINT fx_policy_has_a_source CHECK (source <> ''),
    margin_bps integer NOT NULL
        CONSTRAINT fx_policy_margin_in_range CHECK (margin_bps BETWEEN 0 AND 9999),
    lifetime interval NOT NULL CONSTRAINT fx_policy_lifetime_in_range
        CHECK (lifetime BETWEEN interval '10 seconds' AND interval '24 hours'),
    reporting char(3) NOT NULL
        CONSTRAINT fx_policy_reporting_is_known REFERENCES currency (code),
    tolerance_bps integer NOT NULL
        CONSTRAINT fx_policy_tolerance_in_range CHECK (tolerance_bps BETWEEN 0 AND 9999),
    reason text NOT NULL
        CONSTRAINT fx_policy_has_a_reason CHECK (length(reason) BETWEEN 1 AND 2000),
    prepared_by uuid NOT NULL,
    prepared_at timestamptz NOT NULL,
    approved_by uuid,
    approved_at timestamptz,
    version integer CONSTRAINT fx_policy_version_once UNIQUE,
    CONSTRAINT fx_policy_takes_two CHECK (approved_by <> prepared_by),
    CONSTRAINT fx_policy_version_counts CHECK (version >= 1),
    CONSTRAINT fx_policy_approved_whole CHECK (
        (approved_by IS NULL) = (approved_at IS NULL)
        AND (approved_by IS NULL) = (version IS NULL))
);
COMMENT ON TABLE fx_policy IS
    'How we exchange; the newest version that a second person approved holds.';
COMMENT ON COLUMN fx_policy.tolerance_bps IS
    'How far the rate of a release may lie from an ended quote before we ask again.';

CREATE TABLE fx_policy_margin (
    policy_id uuid NOT NULL CONSTRAINT fx_policy_margin_of_a_policy REFERENCES fx_policy (id),
    sold char(3) NOT NULL CONSTRAINT fx_policy_margin_sold_is_known REFERENCES currency (code),
    bought char(3) NOT NULL
        CONSTRAINT fx_policy_margin_bought_is_known REFERENCES currency (code),
    margin_bps integer NOT NULL
        CONSTRAINT fx_policy_margin_in_range CHECK (margin_bps BETWEEN 0 AND 9999),
    CONSTRAINT fx_policy_margin_once PRIMARY KEY (policy_id, sold, bought),
    CONSTRAINT fx_policy_margin_of_two_currencies CHECK (sold <> bought)
);

CREATE TABLE fx_policy_limit (
    policy_id uuid NOT NULL CONSTRAINT fx_policy_limit_of_a_policy REFERENCES fx_policy (id),
    currency char(3) NOT NULL
        CONSTRAINT fx_policy_limit_currency_is_known REFERENCES currency (code),
    limit_minor bigint NOT NULL
        CONSTRAINT fx_policy_limit_is_no_debt CHECK (limit_minor >= 0),
    CONSTRAINT fx_policy_limit_once PRIMARY KEY (policy_id, currency)
);
COMMENT ON TABLE fx_policy_limit IS 'How much of a currency may be sold or bought and not filled.';
"""

QUOTE = """
CREATE TABLE fx_quote (
    id uuid PRIMARY KEY,
    party_id uuid NOT NULL CONSTRAINT fx_quote_party_is_known REFERENCES party (id),
    sold char(3) NOT NULL CONSTRAINT fx_quote_sold_is_known REFERENCES currency (code),
    bought char(3) NOT NULL CONSTRAINT fx_quote_bought_is_known REFERENCES currency (code),
    source text NOT NULL CONSTRAINT fx_quote_has_a_source CHECK (source <> ''),
    as_of date NOT NULL,
    mid numeric(20, 10) NOT NULL,
    rate numeric(20, 10) NOT NULL CONSTRAINT fx_quote_rate_above_zero CHECK (rate > 0),
    margin_bps integer NOT NULL
        CONSTRAINT fx_quote_margin_in_range CHECK (margin_bps BETWEEN 0 AND 9999),
    fixed text NOT NULL CONSTRAINT fx_quote_fixes_a_side CHECK (fixed IN ('sell', 'buy')),
    sold_minor bigint NOT NULL CONSTRAINT fx_quote_sells_something CHECK (sold_minor > 0),
    bought_minor bigint NOT NULL CONSTRAINT fx_quote_buys_something CHECK (bought_minor > 0),
    margin_minor bigint NOT NULL CONSTRAINT fx_quote_margin_is_no_gift CHECK (margin_minor >= 0),
    quoted_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    state text NOT NULL
        CONSTRAINT fx_quote_state_is_known CHECK (state IN ('open', 'used', 'expired')),
    used_by text CONSTRAINT fx_quote_use_is_named CHECK (used_by <> ''),
    used_at timestamptz,
    contract_id uuid CONSTRAINT fx_quote_contract_is_known REFERENCES contract (id),
    CONSTRAINT fx_quote_of_two_currencies CHECK (sold <> bought),
    CONSTRAINT fx_quote_rate_within_mid CHECK (rate <= mid),
    CONSTRAINT fx_quote_lives_a_day_at_most
        CHECK (expires_at > quoted_at AND expires_at <= quoted_at + interval '24 hours'),
    CONSTRAINT fx_quote_used_whole CHECK (
        (state = 'used') = (used_by IS NOT NULL) AND (state = 'used') = (used_at IS NOT NULL)),
    CONSTRAINT fx_quote_used_in_time CHECK (used_at < expires_at)
);
COMMENT ON COLUMN fx_quote.contract_id IS
    'The contract whose releases it is for, at the margin that the contract pinned.';
CREATE INDEX fx_quote_by_party ON fx_quote (party_id, id);
"""

CONVERSION = """
CREATE TABLE fx_conversion (
    id uuid PRIMARY KEY,
    kind text NOT NULL CONSTRAINT fx_conversion_kind_is_known
        CHECK (kind IN ('release', 'funding', 'payout', 'refund', 'balance')),
    subject text NOT NULL CONSTRAINT fx_conversion_subject_is_named CHECK (subject <> ''),
    party_id uuid NOT NULL CONSTRAINT fx_conversion_party_is_known REFERENCES party (id),
    sold char(3) NOT NULL CONSTRAINT fx_conversion_sold_is_known REFERENCES currency (code),
    sold_minor bigint NOT NULL CONSTRAINT fx_conversion_sells_something CHECK (sold_minor > 0),
    bought char(3) NOT NULL CONSTRAINT fx_conversion_bought_is_known REFERENCES currency (code),
    bought_minor bigint NOT NULL CONSTRAINT fx_conversion_buys_something CHECK (bought_minor > 0),
    source text NOT NULL CONSTRAINT fx_conversion_has_a_source CHECK (source <> ''),
    as_of date NOT NULL,
    mid numeric(20, 10) NOT NULL,
    rate numeric(20, 10) NOT NULL CONSTRAINT fx_conversion_rate_above_zero CHECK (rate > 0),
    margin_bps integer NOT NULL
        CONSTRAINT fx_conversion_margin_in_range CHECK (margin_bps BETWEEN 0 AND 9999),
    margin_minor bigint NOT NULL
        CONSTRAINT fx_conversion_margin_is_no_gift CHECK (margin_minor >= 0),
    quote_id uuid CONSTRAINT fx_conversion_quote_is_known REFERENCES fx_quote (id)
        CONSTRAINT fx_conversion_uses_a_quote_once UNIQUE,
    rail_account text NOT NULL,
    converted_at timestamptz NOT NULL,
    state text NOT NULL
        CONSTRAINT fx_conversion_state_is_known CHECK (state IN ('open', 'filled')),
    filled_minor bigint CONSTRAINT fx_conversion_fill_brings_something CHECK (filled_minor > 0),
    filled_at timestamptz,
    provider text CONSTRAINT fx_conversion_provider_is_named CHECK (provider <> ''),
    provider_ref text CONSTRAINT fx_conversion_fill_is_named CHECK (provider_ref <> ''),
    gap_minor bigint,
    loss_minor bigint,
    CONSTRAINT fx_conversion_of_two_currencies CHECK (sold <> bought),
    CONSTRAINT fx_conversion_rate_within_mid CHECK (rate <= mid),
    CONSTRAINT fx_conversion_filled_whole CHECK (
        CASE state WHEN 'filled' THEN num_nulls(filled_minor, filled_at, provider, provider_ref,
            gap_minor, loss_minor) = 0
        ELSE num_nonnulls(filled_minor, filled_at, provider, provider_ref,
            gap_minor, loss_minor) = 0 END),
    CONSTRAINT fx_conversion_gap_is_the_difference CHECK (gap_minor = filled_minor - bought_minor),
    CONSTRAINT fx_conversion_gap_is_shared_whole CHECK (loss_minor = margin_minor - gap_minor),
    CONSTRAINT fx_conversion_a_fill_fills_one UNIQUE (provider, provider_ref)
);
COMMENT ON COLUMN fx_conversion.rail_account IS
    'The processor that the sold money lies with; empty where it lies in the bank.';
CREATE UNIQUE INDEX fx_conversion_of_a_release_once ON fx_conversion (subject)
    WHERE kind = 'release';
CREATE INDEX fx_conversion_by_subject ON fx_conversion (subject);
CREATE INDEX fx_conversion_open ON fx_conversion (converted_at, id) WHERE state = 'open';
"""

# A payment of another currency names the quote that brings it into the contract's.
FUNDING = """
ALTER TABLE funding
    ADD COLUMN quote_id uuid CONSTRAINT funding_quote_is_known REFERENCES fx_quote (id)
        CONSTRAINT funding_uses_a_quote_once UNIQUE,
    ADD COLUMN own_currency char(3)
        GENERATED ALWAYS AS (CASE WHEN quote_id IS NULL THEN currency END) STORED,
    DROP CONSTRAINT funding_currency_is_its_contracts,
    ADD CONSTRAINT funding_currency_is_its_contracts
        FOREIGN KEY (contract_id, own_currency) REFERENCES contract (id, currency),
    ADD CONSTRAINT funding_exchanged_is_of_a_known_currency
        FOREIGN KEY (currency) REFERENCES currency (code),
    ADD CONSTRAINT funding_exchanged_is_never_held_itself
        CHECK (quote_id IS NULL OR state NOT IN ('succeeded', 'succeeded_uncleared'));

ALTER TABLE chargeback DROP CONSTRAINT chargeback_currency_is_its_contracts;
CREATE FUNCTION chargeback_is_in_its_payments_currency() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM funding f
        WHERE f.id = NEW.funding_id AND f.contract_id = NEW.contract_id
            AND f.currency = NEW.currency
    ) THEN
        RAISE EXCEPTION 'chargeback % is in another currency than its payment', NEW.id
            USING ERRCODE = 'check_violation',
                CONSTRAINT = 'chargeback_is_in_its_payments_currency';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER chargeback_is_in_its_payments_currency BEFORE INSERT ON chargeback
    FOR EACH ROW EXECUTE FUNCTION chargeback_is_in_its_payments_currency();
"""

REVALUATION = """
CREATE TABLE fx_revaluation (
    id uuid PRIMARY KEY,
    on_day date NOT NULL,
    currency char(3) NOT NULL
        CONSTRAINT fx_revaluation_currency_is_known REFERENCES currency (code),
    reporting char(3) NOT NULL
        CONSTRAINT fx_revaluation_reporting_is_known REFERENCES currency (code),
    balance_minor bigint NOT NULL,
    source text NOT NULL,
    as_of date NOT NULL,
    rate numeric(20, 10) NOT NULL CONSTRAINT fx_revaluation_rate_above_zero CHECK (rate > 0),
    worth_minor bigint NOT NULL,
    carried_minor bigint NOT NULL,
    gain_minor bigint NOT NULL,
    event_id bigint NOT NULL,
    revalued_by uuid NOT NULL,
    revalued_at timestamptz NOT NULL,
    reversed_by uuid,
    reversed_at timestamptz,
    CONSTRAINT fx_revaluation_of_a_foreign_currency CHECK (currency <> reporting),
    CONSTRAINT fx_revaluation_gain_is_the_difference
        CHECK (gain_minor = worth_minor - carried_minor),
    CONSTRAINT fx_revaluation_reversed_whole
        CHECK ((reversed_by IS NULL) = (reversed_at IS NULL))
);
CREATE UNIQUE INDEX fx_revaluation_stands_once ON fx_revaluation (on_day, currency)
    WHERE reversed_at IS NULL;

INSERT INTO account_kind (kind, book, nature, subject, lowest_minor, highest_minor, mirror)
SELECT 'platform.revaluation', 'platform', 'clearing', 'currency', lowest_minor, highest_minor, 0
FROM account_kind WHERE kind = 'platform.bank'
ON CONFLICT DO NOTHING;
INSERT INTO account_words (kind, name, meaning) VALUES
('platform.revaluation', 'Revaluation',
    'What balances in a foreign currency are worth more or less than when they came.');
"""

GUARDS = """
CREATE FUNCTION fx_row_stands() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF coalesce(to_jsonb(OLD) ->> TG_ARGV[0], '') <> TG_ARGV[1]
        OR to_jsonb(NEW) - TG_ARGV[2]::text[] <> to_jsonb(OLD) - TG_ARGV[2]::text[]
    THEN
        RAISE EXCEPTION '% % stands', TG_TABLE_NAME, OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fx_policy_stands BEFORE UPDATE ON fx_policy FOR EACH ROW
    EXECUTE FUNCTION fx_row_stands('approved_by', '', '{approved_by,approved_at,version}');
CREATE TRIGGER fx_quote_stands BEFORE UPDATE ON fx_quote FOR EACH ROW
    EXECUTE FUNCTION fx_row_stands('state', 'open', '{state,used_by,used_at}');
CREATE TRIGGER fx_conversion_stands BEFORE UPDATE ON fx_conversion FOR EACH ROW
    EXECUTE FUNCTION fx_row_stands('state', 'open',
        '{state,filled_minor,filled_at,provider,provider_ref,gap_minor,loss_minor}');
CREATE TRIGGER fx_revaluation_stands BEFORE UPDATE ON fx_revaluation FOR EACH ROW
    EXECUTE FUNCTION fx_row_stands('reversed_by', '', '{reversed_by,reversed_at}');
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON fx_rate, fx_policy, fx_policy_margin,'
                   ' fx_policy_limit, fx_quote, fx_conversion, fx_revaluation TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (approved_by, approved_at, version) ON fx_policy TO %I',
                   tenant_role);
    EXECUTE format('GRANT UPDATE (state, used_by, used_at) ON fx_quote TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, filled_minor, filled_at, provider, provider_ref,'
                   ' gap_minor, loss_minor) ON fx_conversion TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (reversed_by, reversed_at) ON fx_revaluation TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Make the tables of exchange, their guards, and the account of revaluations."""
    for statements in (RATE, POLICY, QUOTE, CONVERSION, FUNDING, REVALUATION, GUARDS):
        run(statements)
    append_only("fx_rate", "fx_policy_margin", "fx_policy_limit")
    not_deleted("fx_policy", "fx_quote", "fx_conversion", "fx_revaluation")
    run(RIGHTS)
