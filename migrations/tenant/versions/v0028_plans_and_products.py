"""Plans and products: their versions, who subscribes, and what was paid for a time.

A version is prepared by one person and approved by another, and never changed; prices stand in
it. What was paid is earned in parts that only grow, and no day of a subscription is paid twice.

Revision ID: 0028
"""

from commissions.machine_plans import MACHINES
from migrations.guards import learn_steps, moves_by_its_machine, not_deleted
from migrations.statements import run

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

CHART = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

-- A new database has the kind from its first migration, which writes the whole chart.
INSERT INTO account_kind (kind, book, nature, subject, lowest_minor, highest_minor, mirror)
SELECT 'platform.revenue.product', book, nature, subject, lowest_minor, highest_minor, mirror
FROM account_kind WHERE kind = 'platform.revenue.subscription'
ON CONFLICT DO NOTHING;
INSERT INTO account_words (kind, name, meaning) VALUES
('platform.revenue.product', 'Products', 'Promoted profiles, featured jobs and the like.')
ON CONFLICT DO NOTHING;
"""

OFFERING = """
CREATE TABLE offering (
    id uuid PRIMARY KEY,
    kind text NOT NULL CONSTRAINT offering_kind_is_known CHECK (kind IN ('plan', 'product')),
    name text NOT NULL
        CONSTRAINT offering_name_is_a_word CHECK (name ~ '^[a-z][a-z0-9_-]{0,39}$'),
    version integer NOT NULL CONSTRAINT offering_version_counts CHECK (version >= 1),
    side text NOT NULL CONSTRAINT offering_side_is_known CHECK (side IN ('payee', 'client')),
    refund text NOT NULL
        CONSTRAINT offering_refund_is_known CHECK (refund IN ('keeps', 'pro_rata')),
    prices jsonb NOT NULL
        CONSTRAINT offering_prices_are_a_list CHECK (jsonb_typeof(prices) = 'array'),
    days integer CONSTRAINT offering_days_in_range CHECK (days BETWEEN 1 AND 3660),
    reason text NOT NULL
        CONSTRAINT offering_has_a_reason CHECK (length(reason) BETWEEN 1 AND 2000),
    wanted_from timestamptz,
    prepared_by uuid NOT NULL,
    prepared_at timestamptz NOT NULL,
    state text NOT NULL CONSTRAINT offering_state_is_known
        CHECK (state IN ('prepared', 'approved', 'rejected')),
    decided_by uuid,
    decided_at timestamptz,
    valid_from timestamptz,
    CONSTRAINT offering_version_once UNIQUE (kind, name, version),
    CONSTRAINT offering_one_at_a_time UNIQUE (kind, name, valid_from),
    CONSTRAINT offering_product_has_days CHECK ((kind = 'product') = (days IS NOT NULL)),
    CONSTRAINT offering_approver_is_not_preparer
        CHECK (state <> 'approved' OR decided_by <> prepared_by),
    CONSTRAINT offering_decided_whole CHECK (
        (state = 'prepared') = (decided_by IS NULL)
        AND (state = 'prepared') = (decided_at IS NULL)
        AND (state = 'approved') = (valid_from IS NOT NULL)),
    CONSTRAINT offering_not_backdated CHECK (valid_from >= decided_at)
);
COMMENT ON TABLE offering IS
    'Versions of plans and products; one is sold from valid_from until the next of its name.';
"""

SUBSCRIPTION = """
CREATE TABLE subscription (
    id uuid PRIMARY KEY,
    party_id uuid NOT NULL CONSTRAINT subscription_party_is_known REFERENCES party (id),
    offering_id uuid NOT NULL
        CONSTRAINT subscription_offering_is_known REFERENCES offering (id),
    plan text NOT NULL,
    side text NOT NULL CONSTRAINT subscription_side_is_known CHECK (side IN ('payee', 'client')),
    refund text NOT NULL
        CONSTRAINT subscription_refund_is_known CHECK (refund IN ('keeps', 'pro_rata')),
    currency char(3) NOT NULL
        CONSTRAINT subscription_currency_is_known REFERENCES currency (code),
    every text NOT NULL CONSTRAINT subscription_every_is_known CHECK (every IN ('month', 'year')),
    price_minor bigint NOT NULL
        CONSTRAINT subscription_price_not_negative CHECK (price_minor >= 0),
    anchor_at timestamptz NOT NULL,
    period_no integer NOT NULL CONSTRAINT subscription_period_counts CHECK (period_no >= 1),
    period_from timestamptz NOT NULL,
    period_to timestamptz NOT NULL,
    failures smallint NOT NULL
        CONSTRAINT subscription_failures_in_range CHECK (failures BETWEEN 0 AND 4),
    state text NOT NULL CONSTRAINT subscription_state_is_known
        CHECK (state IN ('active', 'past_due', 'ending', 'lapsed', 'cancelled')),
    version integer NOT NULL CONSTRAINT subscription_version_counts CHECK (version >= 1),
    ended_at timestamptz,
    CONSTRAINT subscription_period_runs_forward CHECK (period_from < period_to),
    CONSTRAINT subscription_past_due_failed CHECK (state <> 'past_due' OR failures > 0),
    CONSTRAINT subscription_over_has_a_time
        CHECK ((state IN ('lapsed', 'cancelled')) = (ended_at IS NOT NULL))
);
CREATE UNIQUE INDEX subscription_one_of_a_party ON subscription (party_id)
    WHERE state IN ('active', 'past_due', 'ending');
CREATE INDEX subscription_by_party ON subscription (party_id, id);
COMMENT ON TABLE subscription IS
    'A party''s plan: a version and its price are pinned, periods are counted from the anchor.';
"""

PURCHASE = """
CREATE TABLE purchase (
    id uuid PRIMARY KEY,
    kind text NOT NULL CONSTRAINT purchase_kind_is_known CHECK (kind IN ('plan', 'product')),
    name text NOT NULL,
    party_id uuid NOT NULL CONSTRAINT purchase_party_is_known REFERENCES party (id),
    offering_id uuid NOT NULL CONSTRAINT purchase_offering_is_known REFERENCES offering (id),
    subscription_id uuid
        CONSTRAINT purchase_subscription_is_known REFERENCES subscription (id),
    about text NOT NULL
        CONSTRAINT purchase_about_is_a_name CHECK (about ~ '^[A-Za-z0-9_.:-]{0,80}$'),
    side text NOT NULL CONSTRAINT purchase_side_is_known CHECK (side IN ('payee', 'client')),
    refund text NOT NULL
        CONSTRAINT purchase_refund_is_known CHECK (refund IN ('keeps', 'pro_rata')),
    currency char(3) NOT NULL CONSTRAINT purchase_currency_is_known REFERENCES currency (code),
    net_minor bigint NOT NULL CONSTRAINT purchase_price_is_positive CHECK (net_minor > 0),
    tax_minor bigint NOT NULL CONSTRAINT purchase_tax_not_negative CHECK (tax_minor >= 0),
    tax_rate_bps integer NOT NULL
        CONSTRAINT purchase_tax_rate_in_range CHECK (tax_rate_bps BETWEEN 0 AND 10000),
    tax_country text,
    treatment text,
    note text,
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL,
    bought_at timestamptz NOT NULL,
    earned_minor bigint NOT NULL,
    refunded_minor bigint NOT NULL
        CONSTRAINT purchase_refund_not_negative CHECK (refunded_minor >= 0),
    refunded_tax_minor bigint NOT NULL CONSTRAINT purchase_tax_refunded_within_tax
        CHECK (refunded_tax_minor BETWEEN 0 AND tax_minor),
    state text NOT NULL CONSTRAINT purchase_state_is_known
        CHECK (state IN ('earning', 'earned', 'refunded')),
    version integer NOT NULL CONSTRAINT purchase_version_counts CHECK (version >= 1),
    CONSTRAINT purchase_lasts_a_day CHECK (to_at >= from_at + interval '1 day'),
    CONSTRAINT purchase_plan_has_a_subscription
        CHECK ((kind = 'plan') = (subscription_id IS NOT NULL)),
    CONSTRAINT purchase_tax_has_a_country CHECK (tax_minor = 0 OR tax_country IS NOT NULL),
    CONSTRAINT purchase_earned_within_price CHECK (earned_minor BETWEEN 0 AND net_minor),
    CONSTRAINT purchase_over_is_shared_out CHECK (
        CASE state
            WHEN 'earning' THEN refunded_minor + refunded_tax_minor = 0
            WHEN 'earned' THEN earned_minor = net_minor
                AND refunded_minor + refunded_tax_minor = 0
            ELSE earned_minor + refunded_minor = net_minor AND refunded_minor > 0
        END),
    CONSTRAINT purchase_no_day_of_a_plan_twice EXCLUDE USING gist (
        uuid_range(subscription_id, subscription_id, '[]') WITH &&,
        tstzrange(from_at, to_at) WITH &&
    ) WHERE (subscription_id IS NOT NULL AND state <> 'refunded'),
    CONSTRAINT purchase_no_day_of_a_product_twice EXCLUDE USING gist (
        uuid_range(party_id, party_id, '[]') WITH &&,
        text_range(name || '|' || about, name || '|' || about, '[]') WITH &&,
        tstzrange(from_at, to_at) WITH &&
    ) WHERE (subscription_id IS NULL AND state <> 'refunded')
);
CREATE INDEX purchase_by_party ON purchase (party_id, id);
CREATE INDEX purchase_by_subscription ON purchase (subscription_id, id);
CREATE INDEX purchase_earning ON purchase (currency) WHERE state = 'earning';
COMMENT ON TABLE purchase IS
    'What was paid for a time: deferred when it is charged, earned day by day.';
"""

GUARDS = """
CREATE TRIGGER offering_keeps_what_was_prepared
    BEFORE UPDATE OF id, kind, name, version, side, refund, prices, days, reason, wanted_from,
        prepared_by, prepared_at ON offering
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER subscription_keeps_what_was_agreed
    BEFORE UPDATE OF id, party_id, offering_id, plan, side, refund, currency, every, price_minor,
        anchor_at ON subscription
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER purchase_keeps_what_was_paid
    BEFORE UPDATE OF id, kind, name, party_id, offering_id, subscription_id, about, side, refund,
        currency, net_minor, tax_minor, tax_rate_bps, tax_country, treatment, note, from_at,
        to_at, bought_at ON purchase
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION check_new_offering() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.state <> 'prepared' THEN
        RAISE EXCEPTION 'a version of % is prepared before it is approved', NEW.name
            USING ERRCODE = 'check_violation', CONSTRAINT = 'offering_begins_prepared';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER offering_begins_prepared BEFORE INSERT ON offering
    FOR EACH ROW EXECUTE FUNCTION check_new_offering();

CREATE FUNCTION check_decided_offering() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF OLD.state <> 'prepared' THEN
        RAISE EXCEPTION 'a version of % is decided once', OLD.name
            USING ERRCODE = 'check_violation', CONSTRAINT = 'offering_is_decided_once';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER offering_is_decided_once BEFORE UPDATE ON offering
    FOR EACH ROW EXECUTE FUNCTION check_decided_offering();

CREATE FUNCTION check_subscribed_version() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM offering WHERE id = NEW.offering_id AND state = 'approved'
    ) THEN
        RAISE EXCEPTION 'version % was never approved', NEW.offering_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'offering_is_approved';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER subscription_is_of_an_approved_version BEFORE INSERT ON subscription
    FOR EACH ROW EXECUTE FUNCTION check_subscribed_version();
CREATE TRIGGER purchase_is_of_an_approved_version BEFORE INSERT ON purchase
    FOR EACH ROW EXECUTE FUNCTION check_subscribed_version();

CREATE FUNCTION check_earning() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF OLD.state <> 'earning' OR NEW.earned_minor < OLD.earned_minor THEN
        RAISE EXCEPTION 'purchase % earns more, or goes back, until it is over', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'purchase_earns_forward';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER purchase_earns_forward BEFORE UPDATE ON purchase
    FOR EACH ROW EXECUTE FUNCTION check_earning();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON offering, subscription, purchase TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, decided_by, decided_at, valid_from) ON offering TO %I',
                   tenant_role);
    EXECUTE format('GRANT UPDATE (state, version, period_no, period_from, period_to, failures,'
                   ' ended_at) ON subscription TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, version, earned_minor, refunded_minor,'
                   ' refunded_tax_minor) ON purchase TO %I', tenant_role);
END $$;
"""

STEPS = frozenset(
    (table, str(start), str(row.to))
    for table, machine in MACHINES.items()
    for (start, _), row in machine.items()
    if start is not None and row.to != start
)


def upgrade() -> None:
    """Write the tables, their guards, and the steps of their machines."""
    for statements in (CHART, OFFERING, SUBSCRIPTION, PURCHASE, GUARDS, RIGHTS):
        run(statements)
    learn_steps({}, more=STEPS)
    moves_by_its_machine(*MACHINES)
    not_deleted(*MACHINES)
