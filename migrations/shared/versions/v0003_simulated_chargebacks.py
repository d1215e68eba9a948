"""The simulated rail learns chargebacks: what the client's bank claims, and what it says of it.

Revision ID: 0003
"""

from migrations.statements import run

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NOTICE = """
ALTER TABLE simulated_rail.notice
    ALTER COLUMN outcome DROP NOT NULL,
    ADD COLUMN facts jsonb NOT NULL DEFAULT '{}';
"""

CHARGEBACK = """
CREATE TABLE simulated_rail.chargeback (
    platform text NOT NULL,
    ref text NOT NULL CONSTRAINT simulated_chargeback_is_named CHECK (ref <> ''),
    operation_id uuid NOT NULL,
    currency char(3) NOT NULL,
    amount_minor bigint NOT NULL
        CONSTRAINT simulated_chargeback_is_positive CHECK (amount_minor > 0),
    opened_at timestamptz NOT NULL,
    CONSTRAINT chargeback_is_opened_once PRIMARY KEY (platform, ref),
    CONSTRAINT chargeback_is_of_an_operation FOREIGN KEY (platform, operation_id)
        REFERENCES simulated_rail.operation (platform, operation_id)
);
CREATE INDEX notice_by_operation ON simulated_rail.notice (platform, operation_id)
    WHERE kind IN ('chargeback_changed', 'chargeback_funds');
GRANT SELECT, INSERT ON simulated_rail.chargeback TO holdfast_app;
"""


def upgrade() -> None:
    """Let a notice carry facts, and keep chargebacks."""
    for statements in (NOTICE, CHARGEBACK):
        run(statements)
