"""Operations that we ask of rails, the notices that rails send, and how far we have read them.

Revision ID: 0003
"""

from migrations.statements import run

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIMEOUTS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""

RAIL_OPERATION = """
CREATE TABLE rail_operation (
    id uuid CONSTRAINT rail_operation_is_written_once PRIMARY KEY,
    intent_no bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL CONSTRAINT rail_operation_kind_is_known
        CHECK (kind IN ('fund', 'refund', 'payout', 'bank_transfer', 'top_up')),
    handler text NOT NULL CONSTRAINT rail_operation_has_a_handler CHECK (handler <> ''),
    subject text NOT NULL CONSTRAINT rail_operation_has_a_subject CHECK (subject <> ''),
    amount_minor bigint NOT NULL
        CONSTRAINT rail_operation_amount_is_positive CHECK (amount_minor > 0),
    currency char(3) NOT NULL REFERENCES currency (code),
    method text NOT NULL,
    facts jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'created' CONSTRAINT rail_operation_state_is_known
        CHECK (state IN (
            'created', 'withdrawn', 'sent', 'unknown', 'pending', 'done', 'refused'
        )),
    attempts integer NOT NULL DEFAULT 0
        CONSTRAINT rail_operation_attempts_are_counted CHECK (attempts >= 0),
    fee_minor bigint NOT NULL DEFAULT 0
        CONSTRAINT rail_operation_fee_is_within_amount CHECK (fee_minor BETWEEN 0 AND amount_minor),
    rail_ref text NOT NULL DEFAULT '',
    code text NOT NULL DEFAULT '',
    cleared boolean NOT NULL DEFAULT false CONSTRAINT rail_operation_clears_when_done
        CHECK (NOT cleared OR state IN ('done', 'refused')),
    created_at timestamptz NOT NULL,
    sent_at timestamptz,
    occurred_at timestamptz,
    leased_at timestamptz,
    CONSTRAINT rail_operation_is_sent_before_it_has_an_outcome CHECK (
        state IN ('created', 'withdrawn')
        OR (sent_at IS NOT NULL AND leased_at IS NOT NULL AND attempts > 0)
    ),
    CONSTRAINT rail_operation_outcome_has_a_time
        CHECK (state NOT IN ('pending', 'done', 'refused') OR occurred_at IS NOT NULL)
)
"""

INDEXES = """
CREATE INDEX rail_operation_to_send ON rail_operation (intent_no) WHERE state = 'created';
CREATE INDEX rail_operation_unresolved ON rail_operation (leased_at, intent_no)
    WHERE state IN ('sent', 'unknown', 'pending');
CREATE INDEX rail_operation_by_subject ON rail_operation (subject);
CREATE INDEX notice_parked ON notice (retry_at) WHERE state = 'parked';
CREATE INDEX notice_exception ON notice (received_at) WHERE state = 'exception';
"""

# The condition stands in WHEN, so that a good move costs no call.
MOVES_FORWARD = """
CREATE FUNCTION refuse_backward_operation() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'rail operation % may not move from % to %', OLD.id, OLD.state, NEW.state
        USING ERRCODE = 'check_violation', CONSTRAINT = 'rail_operation_moves_forward';
END $$;
CREATE TRIGGER rail_operation_moves_forward BEFORE UPDATE ON rail_operation
FOR EACH ROW WHEN (
    (OLD.state = 'created' AND NEW.state NOT IN ('created', 'withdrawn', 'sent'))
    OR (OLD.state = 'withdrawn' AND NEW.state <> 'withdrawn')
    OR (OLD.state = 'unknown' AND NEW.state = 'sent')
    OR (OLD.state = 'pending' AND NEW.state NOT IN ('pending', 'done', 'refused'))
    OR (OLD.state = 'done' AND NEW.state NOT IN ('done', 'refused'))
    OR (OLD.state = 'refused' AND NEW.state <> 'refused')
    OR (OLD.cleared AND NOT NEW.cleared)
) EXECUTE FUNCTION refuse_backward_operation();
"""

NOTICE = """
CREATE TABLE notice (
    rail text NOT NULL,
    notice_id text NOT NULL,
    kind text NOT NULL,
    rail_ref text NOT NULL,
    operation_id uuid,
    outcome text CONSTRAINT notice_outcome_is_known
        CHECK (outcome IN ('done', 'pending', 'refused', 'unknown')),
    amount_minor bigint NOT NULL,
    currency char(3) NOT NULL REFERENCES currency (code),
    fee_minor bigint NOT NULL,
    code text NOT NULL,
    cleared boolean NOT NULL,
    occurred_at timestamptz NOT NULL,
    state text NOT NULL CONSTRAINT notice_state_is_known
        CHECK (state IN ('applied', 'parked', 'exception')),
    tries integer NOT NULL CONSTRAINT notice_tries_are_counted CHECK (tries >= 1),
    trouble text NOT NULL DEFAULT '',
    received_at timestamptz NOT NULL,
    retry_at timestamptz,
    CONSTRAINT notice_is_heard_once PRIMARY KEY (rail, notice_id),
    CONSTRAINT notice_parked_is_tried_again CHECK ((state = 'parked') = (retry_at IS NOT NULL)),
    CONSTRAINT notice_trouble_has_words CHECK ((state = 'applied') = (trouble = ''))
)
"""

RAIL_CURSOR = """
CREATE TABLE rail_cursor (
    rail text PRIMARY KEY,
    position text NOT NULL
)
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON rail_operation, notice TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, attempts, fee_minor, rail_ref, code, cleared, sent_at,'
                   ' occurred_at, leased_at) ON rail_operation TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, tries, trouble, retry_at) ON notice TO %I', tenant_role);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON rail_cursor TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Create the tables of operations, notices and cursors, and the tenant's rights on them."""
    for statement in (
        TIMEOUTS,
        RAIL_OPERATION,
        NOTICE,
        RAIL_CURSOR,
        INDEXES,
        MOVES_FORWARD,
        RIGHTS,
    ):
        run(statement)
