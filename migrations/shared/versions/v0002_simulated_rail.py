"""The simulated rail's own world: operations, what becomes of them, movements and notices.

It stands apart from every tenant, as a real processor would, and is keyed by platform.

Revision ID: 0002
"""

from migrations.statements import run

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = "CREATE SCHEMA simulated_rail"

PLATFORM = """
CREATE TABLE simulated_rail.platform (
    platform text CONSTRAINT platform_is_known_once PRIMARY KEY,
    notices_sent bigint NOT NULL DEFAULT 0
        CONSTRAINT platform_notices_are_counted CHECK (notices_sent >= 0)
)
"""

OPERATION = """
CREATE TABLE simulated_rail.operation (
    platform text NOT NULL,
    operation_id uuid NOT NULL,
    kind text NOT NULL,
    amount_minor bigint NOT NULL
        CONSTRAINT simulated_amount_is_positive CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    method text NOT NULL,
    rail_ref text NOT NULL,
    executed_at timestamptz NOT NULL,
    CONSTRAINT operation_takes_effect_once PRIMARY KEY (platform, operation_id)
)
"""

FACT = """
CREATE TABLE simulated_rail.fact (
    platform text NOT NULL,
    operation_id uuid NOT NULL,
    fact_no integer NOT NULL,
    effective_at timestamptz NOT NULL,
    outcome text NOT NULL CONSTRAINT fact_outcome_is_known
        CHECK (outcome IN ('done', 'pending', 'refused')),
    fee_minor bigint NOT NULL CONSTRAINT fact_fee_is_not_negative CHECK (fee_minor >= 0),
    code text NOT NULL,
    cleared boolean NOT NULL,
    CONSTRAINT fact_is_told_once PRIMARY KEY (platform, operation_id, fact_no)
)
"""

MOVEMENT = """
CREATE TABLE simulated_rail.movement (
    line_no bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT movement_has_a_number PRIMARY KEY,
    platform text NOT NULL,
    account text NOT NULL CONSTRAINT movement_account_is_known CHECK (
        account IN ('processor_pending', 'processor_available', 'custody_bank', 'platform_bank')),
    currency char(3) NOT NULL,
    amount_minor bigint NOT NULL
        CONSTRAINT movement_moves_something CHECK (amount_minor <> 0),
    kind text NOT NULL,
    operation_id uuid NOT NULL,
    effective_at timestamptz NOT NULL
)
"""

NOTICE = """
CREATE TABLE simulated_rail.notice (
    platform text NOT NULL,
    notice_id text NOT NULL,
    copy_no integer NOT NULL,
    sent_no bigint,
    kind text NOT NULL,
    operation_id uuid,
    outcome text NOT NULL,
    amount_minor bigint NOT NULL,
    currency char(3) NOT NULL,
    fee_minor bigint NOT NULL,
    code text NOT NULL,
    cleared boolean NOT NULL,
    rail_ref text NOT NULL,
    occurred_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    ordinal integer NOT NULL,
    CONSTRAINT notice_copy_is_written_once PRIMARY KEY (platform, notice_id, copy_no),
    CONSTRAINT notice_is_sent_in_order UNIQUE (platform, sent_no)
)
"""

INDEXES = (
    """CREATE INDEX movement_by_account ON simulated_rail.movement
       (platform, account, currency) INCLUDE (amount_minor, effective_at)""",
    "CREATE INDEX movement_by_line ON simulated_rail.movement (platform, line_no)",
    """CREATE INDEX notice_to_send ON simulated_rail.notice (platform, due_at)
       WHERE sent_no IS NULL""",
)

RIGHTS = (
    "GRANT USAGE ON SCHEMA simulated_rail TO holdfast_app",
    "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA simulated_rail TO holdfast_app",
    "GRANT UPDATE (notices_sent) ON simulated_rail.platform TO holdfast_app",
    "GRANT UPDATE (sent_no) ON simulated_rail.notice TO holdfast_app",
)


def upgrade() -> None:
    """Create the schema, its tables and the program's rights: it may add, never change."""
    for statement in (SCHEMA, PLATFORM, OPERATION, FACT, MOVEMENT, NOTICE, *INDEXES, *RIGHTS):
        run(statement)
