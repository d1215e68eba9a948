"""Endpoints of receivers, their secrets, deliveries, and what could not be delivered.

Revision ID: 0037
"""

from migrations.guards import not_deleted
from migrations.statements import run

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

TIMEOUTS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""

ENDPOINT = """
CREATE TABLE webhook_endpoint (
    id uuid CONSTRAINT webhook_endpoint_is_made_once PRIMARY KEY,
    url text NOT NULL CONSTRAINT webhook_endpoint_url_is_bounded
        CHECK (url ~ '^https?://[!-~]+$' AND length(url) <= 2000),
    kinds text[] NOT NULL DEFAULT '{}'
        CONSTRAINT webhook_endpoint_kinds_are_few CHECK (cardinality(kinds) <= 100),
    label text NOT NULL DEFAULT ''
        CONSTRAINT webhook_endpoint_label_is_short CHECK (length(label) <= 200),
    state text NOT NULL DEFAULT 'active' CONSTRAINT webhook_endpoint_state_is_known
        CHECK (state IN ('active', 'disabled')),
    reason text NOT NULL DEFAULT '',
    planned_to bigint NOT NULL CONSTRAINT webhook_endpoint_plans_from_the_start
        CHECK (planned_to >= 0),
    round_no integer NOT NULL DEFAULT 0
        CONSTRAINT webhook_endpoint_rounds_are_counted CHECK (round_no >= 0),
    made_at timestamptz NOT NULL,
    failing_since timestamptz,
    disabled_at timestamptz,
    CONSTRAINT webhook_endpoint_disabled_whole CHECK (
        (state = 'disabled') = (disabled_at IS NOT NULL) AND (state = 'disabled') = (reason <> '')
    )
);
COMMENT ON COLUMN webhook_endpoint.planned_to IS
    'Up to which number of the journal deliveries are written; a replay sets it back.';

CREATE TABLE webhook_key (
    endpoint_id uuid CONSTRAINT webhook_key_is_made_once PRIMARY KEY
        CONSTRAINT webhook_key_endpoint_is_known REFERENCES webhook_endpoint (id),
    id uuid NOT NULL CONSTRAINT webhook_key_is_named_once UNIQUE,
    secret bytea NOT NULL CONSTRAINT webhook_key_has_256_bits CHECK (octet_length(secret) = 32),
    made_at timestamptz NOT NULL
);

CREATE TABLE webhook_secret (
    endpoint_id uuid NOT NULL
        CONSTRAINT webhook_secret_has_a_key REFERENCES webhook_key (endpoint_id),
    secret_no integer NOT NULL CONSTRAINT webhook_secrets_are_counted CHECK (secret_no >= 1),
    sealed bytea NOT NULL,
    made_at timestamptz NOT NULL,
    ends_at timestamptz,
    CONSTRAINT webhook_secret_is_made_once PRIMARY KEY (endpoint_id, secret_no)
);
COMMENT ON COLUMN webhook_secret.ends_at IS
    'Real time until which deliveries are signed with it as well; none: until it is rotated.';
"""

# `next_at`, `made_at` and what follows are real time: receivers live by no sandbox's clock.
DELIVERY = """
CREATE TABLE webhook_delivery (
    delivery_no bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT webhook_delivery_is_counted
        PRIMARY KEY,
    endpoint_id uuid NOT NULL
        CONSTRAINT webhook_delivery_endpoint_is_known REFERENCES webhook_endpoint (id),
    journal_no bigint CONSTRAINT webhook_delivery_of_a_sealed_event CHECK (journal_no >= 1),
    round_no integer NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CONSTRAINT webhook_delivery_state_is_known
        CHECK (state IN ('waiting', 'delivered', 'dead')),
    tries integer NOT NULL DEFAULT 0
        CONSTRAINT webhook_delivery_tries_are_counted CHECK (tries >= 0),
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_at timestamptz,
    tried_at timestamptz,
    ended_at timestamptz,
    status integer,
    trouble text NOT NULL DEFAULT '',
    CONSTRAINT webhook_delivery_once_a_round UNIQUE (endpoint_id, round_no, journal_no),
    CONSTRAINT webhook_delivery_waits_for_a_time
        CHECK ((state = 'waiting') = (next_at IS NOT NULL)),
    CONSTRAINT webhook_delivery_ends_at_a_time CHECK ((state = 'waiting') = (ended_at IS NULL)),
    CONSTRAINT webhook_delivery_dead_has_trouble CHECK (state <> 'dead' OR trouble <> '')
);
COMMENT ON COLUMN webhook_delivery.journal_no IS
    'The event that is told; none: a test that somebody asked for.';
CREATE INDEX webhook_delivery_due ON webhook_delivery (next_at, delivery_no)
    WHERE state = 'waiting';
CREATE INDEX webhook_delivery_by_state ON webhook_delivery (state, delivery_no);
"""

# The conditions stand in WHEN, so that a good move costs no call.
DELIVERY_GUARDS = """
CREATE FUNCTION refuse_other_delivery() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'delivery % is over, or would be another one', OLD.delivery_no
        USING ERRCODE = 'check_violation', CONSTRAINT = 'webhook_delivery_ends_once';
END $$;
CREATE TRIGGER webhook_delivery_ends_once BEFORE UPDATE ON webhook_delivery
FOR EACH ROW WHEN (
    OLD.state = 'delivered'
    OR (OLD.delivery_no, OLD.endpoint_id, OLD.journal_no, OLD.round_no, OLD.made_at)
    IS DISTINCT FROM
    (NEW.delivery_no, NEW.endpoint_id, NEW.journal_no, NEW.round_no, NEW.made_at)
) EXECUTE FUNCTION refuse_other_delivery();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON webhook_endpoint, webhook_key, webhook_secret,'
                   ' webhook_delivery TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, reason, planned_to, round_no, failing_since, disabled_at)'
                   ' ON webhook_endpoint TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (ends_at) ON webhook_secret TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, tries, next_at, tried_at, ended_at, status, trouble)'
                   ' ON webhook_delivery TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Create the tables of webhooks out with their guards and rights."""
    for statement in (TIMEOUTS, ENDPOINT, DELIVERY, DELIVERY_GUARDS):
        run(statement)
    not_deleted("webhook_endpoint", "webhook_key", "webhook_secret", "webhook_delivery")
    run(RIGHTS)
