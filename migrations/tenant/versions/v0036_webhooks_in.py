"""Events of rails as they came, and the lines of their statements.

Revision ID: 0036
"""

from migrations.guards import not_deleted
from migrations.statements import run

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

TIMEOUTS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""

# `leased_until` is real time, as leases are; `retry_at` is the tenant's time, as notices have it.
EVENT = """
CREATE TABLE rail_event (
    event_no bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT rail_event_is_counted UNIQUE,
    rail text NOT NULL CONSTRAINT rail_event_rail_is_named CHECK (rail ~ '^[a-z][a-z0-9_]{0,31}$'),
    account text NOT NULL,
    event_id text NOT NULL CONSTRAINT rail_event_has_an_id CHECK (event_id <> ''),
    kind text NOT NULL,
    object_ref text NOT NULL,
    authentic text NOT NULL CONSTRAINT rail_event_authentic_is_known
        CHECK (authentic IN ('signature', 'api', 'none')),
    is_live boolean NOT NULL,
    body bytea NOT NULL CONSTRAINT rail_event_body_is_bounded
        CHECK (octet_length(body) <= 1048576),
    occurred_at timestamptz,
    received_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'new' CONSTRAINT rail_event_state_is_known
        CHECK (state IN ('new', 'processed', 'parked', 'exception')),
    tries integer NOT NULL DEFAULT 0 CONSTRAINT rail_event_tries_are_counted CHECK (tries >= 0),
    failures integer NOT NULL DEFAULT 0
        CONSTRAINT rail_event_failures_are_counted CHECK (failures >= 0),
    trouble text NOT NULL DEFAULT '',
    retry_at timestamptz,
    leased_until timestamptz,
    processed_at timestamptz,
    CONSTRAINT rail_event_is_kept_once PRIMARY KEY (rail, account, event_id),
    CONSTRAINT rail_event_parked_is_tried_again CHECK ((state = 'parked') = (retry_at IS NOT NULL)),
    CONSTRAINT rail_event_processed_has_a_time
        CHECK ((state = 'processed') = (processed_at IS NOT NULL)),
    CONSTRAINT rail_event_trouble_has_words
        CHECK (state NOT IN ('parked', 'exception') OR trouble <> '')
);
CREATE INDEX rail_event_to_work ON rail_event (rail, event_no)
    WHERE state IN ('new', 'parked');
CREATE INDEX rail_event_exception ON rail_event (event_no) WHERE state = 'exception';
"""

# The conditions stand in WHEN, so that a good move costs no call.
EVENT_GUARDS = """
CREATE FUNCTION refuse_other_rail_event() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'what rail % said in event % stays as it came', OLD.rail, OLD.event_id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'rail_event_stays_as_it_came';
END $$;
CREATE TRIGGER rail_event_stays_as_it_came BEFORE UPDATE ON rail_event
FOR EACH ROW WHEN (
    (OLD.event_no, OLD.rail, OLD.account, OLD.event_id, OLD.kind, OLD.object_ref, OLD.authentic,
     OLD.is_live, OLD.body, OLD.occurred_at, OLD.received_at)
    IS DISTINCT FROM
    (NEW.event_no, NEW.rail, NEW.account, NEW.event_id, NEW.kind, NEW.object_ref, NEW.authentic,
     NEW.is_live, NEW.body, NEW.occurred_at, NEW.received_at)
) EXECUTE FUNCTION refuse_other_rail_event();

CREATE FUNCTION refuse_backward_rail_event() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'event % may not move from % to %', OLD.event_id, OLD.state, NEW.state
        USING ERRCODE = 'check_violation', CONSTRAINT = 'rail_event_moves_forward';
END $$;
CREATE TRIGGER rail_event_moves_forward BEFORE UPDATE ON rail_event
FOR EACH ROW WHEN (
    OLD.state = 'processed'
    OR (OLD.state <> 'new' AND NEW.state = 'new')
) EXECUTE FUNCTION refuse_backward_rail_event();
"""

TRANSACTION = """
CREATE TABLE rail_transaction (
    seen_no bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT rail_transaction_is_counted UNIQUE,
    rail text NOT NULL
        CONSTRAINT rail_transaction_rail_is_named CHECK (rail ~ '^[a-z][a-z0-9_]{0,31}$'),
    account text NOT NULL,
    transaction_ref text NOT NULL
        CONSTRAINT rail_transaction_has_a_name CHECK (transaction_ref <> ''),
    kind text NOT NULL CONSTRAINT rail_transaction_kind_is_known CHECK (kind IN (
        'funding', 'funding_back', 'refund', 'refund_back', 'transfer', 'transfer_back', 'payout',
        'payout_back', 'top_up', 'fee', 'chargeback', 'chargeback_back', 'reserve', 'reserve_back',
        'other'
    )),
    rail_kind text NOT NULL,
    category text NOT NULL,
    amount_minor bigint NOT NULL,
    fee_minor bigint NOT NULL,
    currency char(3) NOT NULL
        CONSTRAINT rail_transaction_currency_is_known REFERENCES currency (code),
    source_ref text NOT NULL,
    operation_id uuid,
    occurred_at timestamptz NOT NULL,
    available_at timestamptz NOT NULL,
    rate_text text NOT NULL,
    facts jsonb NOT NULL DEFAULT '{}',
    received_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'open' CONSTRAINT rail_transaction_state_is_known
        CHECK (state IN ('open', 'booked', 'explained')),
    explained_by text NOT NULL DEFAULT '',
    event_id bigint,
    pending_event_id bigint,
    available_event_id bigint,
    became_available_at timestamptz,
    CONSTRAINT rail_transaction_is_kept_once PRIMARY KEY (rail, account, transaction_ref),
    CONSTRAINT rail_transaction_booked_by_an_event
        CHECK (state <> 'booked' OR event_id IS NOT NULL),
    CONSTRAINT rail_transaction_explained_by_something
        CHECK ((state = 'explained') = (explained_by <> '')),
    CONSTRAINT rail_transaction_open_moves_nothing CHECK (
        state <> 'open' OR (event_id IS NULL AND pending_event_id IS NULL
            AND available_event_id IS NULL AND became_available_at IS NULL)
    ),
    CONSTRAINT rail_transaction_available_in_its_time
        CHECK (became_available_at IS NULL OR became_available_at >= available_at)
);
COMMENT ON TABLE rail_transaction IS
    'The rails'' statements of our accounts there, line by line, and what each is in the books.';
CREATE INDEX rail_transaction_open ON rail_transaction (rail, seen_no) WHERE state = 'open';
CREATE INDEX rail_transaction_not_available ON rail_transaction (rail, available_at, seen_no)
    WHERE state <> 'open' AND became_available_at IS NULL;
CREATE INDEX rail_transaction_by_time ON rail_transaction (rail, account, occurred_at, seen_no);
CREATE INDEX rail_operation_by_rail_ref ON rail_operation (rail, rail_ref) WHERE rail_ref <> '';
CREATE INDEX notice_of_funds ON notice (rail, (facts ->> 'movement'))
    WHERE kind = 'chargeback_funds';
"""

TRANSACTION_GUARDS = """
CREATE FUNCTION refuse_other_transaction() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'transaction % of rail % stays as it came, and is booked once',
        OLD.transaction_ref, OLD.rail
        USING ERRCODE = 'check_violation', CONSTRAINT = 'rail_transaction_is_booked_once';
END $$;
CREATE TRIGGER rail_transaction_is_booked_once BEFORE UPDATE ON rail_transaction
FOR EACH ROW WHEN (
    (OLD.seen_no, OLD.rail, OLD.account, OLD.transaction_ref, OLD.kind, OLD.rail_kind,
     OLD.category, OLD.amount_minor, OLD.fee_minor, OLD.currency, OLD.source_ref,
     OLD.operation_id, OLD.occurred_at, OLD.available_at, OLD.rate_text, OLD.facts,
     OLD.received_at)
    IS DISTINCT FROM
    (NEW.seen_no, NEW.rail, NEW.account, NEW.transaction_ref, NEW.kind, NEW.rail_kind,
     NEW.category, NEW.amount_minor, NEW.fee_minor, NEW.currency, NEW.source_ref,
     NEW.operation_id, NEW.occurred_at, NEW.available_at, NEW.rate_text, NEW.facts,
     NEW.received_at)
    OR (OLD.state <> 'open' AND (NEW.state, NEW.explained_by) IS DISTINCT FROM
                                (OLD.state, OLD.explained_by))
    OR (OLD.event_id IS NOT NULL AND NEW.event_id IS DISTINCT FROM OLD.event_id)
    OR (OLD.pending_event_id IS NOT NULL
        AND NEW.pending_event_id IS DISTINCT FROM OLD.pending_event_id)
    OR (OLD.became_available_at IS NOT NULL
        AND (NEW.became_available_at, NEW.available_event_id)
            IS DISTINCT FROM (OLD.became_available_at, OLD.available_event_id))
) EXECUTE FUNCTION refuse_other_transaction();
"""

# `asked_at` is real time: how often a rail is asked does not hang on a sandbox's clock.
CURSOR = """
ALTER TABLE rail_cursor ADD COLUMN asked_at timestamptz;
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON rail_event, rail_transaction TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, tries, failures, trouble, retry_at, leased_until,'
                   ' processed_at) ON rail_event TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, explained_by, event_id, pending_event_id,'
                   ' available_event_id, became_available_at) ON rail_transaction TO %I',
                   tenant_role);
END $$;
"""


def upgrade() -> None:
    """Create the tables of events and transactions with their guards and rights."""
    for statement in (TIMEOUTS, EVENT, EVENT_GUARDS, TRANSACTION, TRANSACTION_GUARDS, CURSOR):
        run(statement)
    not_deleted("rail_event", "rail_transaction")
    run(RIGHTS)
