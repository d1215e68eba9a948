"""Operations name their rail, keep the keys that were spent on them, and wait where they must.

Also payees' accounts at rails and what a processor keeps in reserve: a kind of account of its own.

Revision ID: 0032
"""

from migrations.statements import run

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

TIMEOUTS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""

OPERATION = """
ALTER TABLE rail_operation
    ADD COLUMN rail text NOT NULL DEFAULT 'simulated'
        CONSTRAINT rail_operation_rail_is_named CHECK (rail ~ '^[a-z][a-z0-9_]{0,31}$'),
    ADD COLUMN key_no integer NOT NULL DEFAULT 0
        CONSTRAINT rail_operation_keys_are_counted CHECK (key_no >= 0),
    ADD COLUMN key_at timestamptz,
    ADD COLUMN retry_at timestamptz,
    ADD COLUMN has_left boolean NOT NULL DEFAULT false,
    ADD COLUMN transaction_ref text NOT NULL DEFAULT '',
    DROP CONSTRAINT rail_operation_kind_is_known,
    ADD CONSTRAINT rail_operation_kind_is_known CHECK (kind IN (
        'fund', 'refund', 'payout', 'bank_transfer', 'top_up', 'evidence',
        'transfer', 'transfer_back', 'capture', 'cancel', 'payee'
    )),
    DROP CONSTRAINT rail_operation_amount_is_positive,
    ADD CONSTRAINT rail_operation_amount_is_positive
        CHECK (amount_minor > 0 OR (kind IN ('payee', 'cancel') AND amount_minor = 0)),
    ADD CONSTRAINT rail_operation_waits_before_it_is_sent
        CHECK (retry_at IS NULL OR state = 'created'),
    ADD CONSTRAINT rail_operation_only_a_payout_leaves_early
        CHECK (NOT has_left OR kind IN ('payout', 'bank_transfer'));
UPDATE rail_operation SET key_at = sent_at WHERE sent_at IS NOT NULL;
ALTER TABLE rail_operation
    ADD CONSTRAINT rail_operation_key_is_used_when_sent
        CHECK (state IN ('created', 'withdrawn') OR key_at IS NOT NULL);
CREATE UNIQUE INDEX rail_operation_moved_once ON rail_operation (rail, transaction_ref)
    WHERE transaction_ref <> '';
DROP INDEX rail_operation_to_send;
CREATE INDEX rail_operation_to_send ON rail_operation (rail, intent_no) WHERE state = 'created';
DROP INDEX rail_operation_unresolved;
CREATE INDEX rail_operation_unresolved ON rail_operation (rail, leased_at, intent_no)
    WHERE state IN ('sent', 'unknown', 'pending');
"""

# An unknown operation that must wait goes back to be sent, as one does that the rail never saw.
MOVES_FORWARD = """
CREATE FUNCTION refuse_lost_key() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'rail operation % may not take back a key that was spent', OLD.id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'rail_operation_keys_are_spent_once';
END $$;
CREATE TRIGGER rail_operation_keys_are_spent_once BEFORE UPDATE ON rail_operation
FOR EACH ROW WHEN (
    NEW.key_no NOT IN (OLD.key_no, OLD.key_no + 1)
    OR (NEW.key_no = OLD.key_no AND OLD.key_at IS NOT NULL
        AND NEW.key_at IS DISTINCT FROM OLD.key_at)
    OR (OLD.transaction_ref <> '' AND NEW.transaction_ref <> OLD.transaction_ref
        AND NEW.state <> 'refused')
) EXECUTE FUNCTION refuse_lost_key();
"""

NOTICE = """
ALTER TABLE notice
    ADD COLUMN has_left boolean NOT NULL DEFAULT false,
    ADD COLUMN transaction_ref text NOT NULL DEFAULT '';
"""

# A tenant that is made anew has the kind from the chart already.
CHART = """
INSERT INTO account_kind (kind, book, nature, subject, lowest_minor, highest_minor, mirror)
VALUES ('custody.processor_reserved', 'custody', 'asset', 'rail_account',
        -4611686018427387904, 4611686018427387904, 0)
ON CONFLICT (kind) DO NOTHING;
INSERT INTO account_words (kind, name, meaning) VALUES
('custody.processor_reserved', 'Processor, reserved',
 'Client money that the processor keeps back.');
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT UPDATE (key_no, key_at, retry_at, has_left, transaction_ref)'
                   ' ON rail_operation TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Add what several rails need to operations, notices and the chart."""
    for statement in (TIMEOUTS, OPERATION, MOVES_FORWARD, NOTICE, CHART, RIGHTS):
        run(statement)
