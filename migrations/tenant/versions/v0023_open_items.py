"""What waits is found without reading all that is over; empty deliveries are flagged once.

Revision ID: 0023
"""

from migrations.guards import append_only
from migrations.statements import run

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

INDEXES = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

CREATE INDEX refund_waiting ON refund (created_at, id)
    WHERE state IN ('approved', 'submitted', 'unknown');
CREATE INDEX funding_unmatched ON funding (created_at, id) WHERE state = 'mismatch';
CREATE INDEX client_claim_open ON client_claim (made_at, week_id) WHERE state = 'open';
"""

FLAGS = """
CREATE TABLE submission_flag (
    slot_id uuid NOT NULL,
    submission_no integer NOT NULL,
    flagged_by uuid NOT NULL,
    reason text NOT NULL
        CONSTRAINT submission_flag_has_a_reason CHECK (length(reason) BETWEEN 1 AND 2000),
    flagged_at timestamptz NOT NULL,
    CONSTRAINT submission_flag_once PRIMARY KEY (slot_id, submission_no),
    CONSTRAINT submission_flag_submission_is_known
        FOREIGN KEY (slot_id, submission_no) REFERENCES submission (slot_id, submission_no)
);
COMMENT ON TABLE submission_flag IS
    'Submissions that the client called empty; each gives its review a day, once.';
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON submission_flag TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Make the indexes and the list of flags."""
    run(INDEXES)
    run(FLAGS)
    append_only("submission_flag")
    run(RIGHTS)
