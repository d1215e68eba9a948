"""What waits for a rail or for a person is found without reading all that is over.

Revision ID: 0023
"""

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


def upgrade() -> None:
    """Make the indexes; each has only what waits."""
    run(INDEXES)
