"""Tenants, the API keys that lead to them, and the hint which tenant has due work.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TENANT = """
CREATE TABLE tenant (
    name text PRIMARY KEY CONSTRAINT tenant_name_is_plain CHECK (name ~ '^[a-z][a-z0-9_]{0,30}$'),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

API_KEY = """
CREATE TABLE api_key (
    key_hash bytea PRIMARY KEY CONSTRAINT api_key_hash_is_sha256 CHECK (length(key_hash) = 32),
    key_prefix text NOT NULL,
    tenant text NOT NULL REFERENCES tenant (name),
    principal_id uuid NOT NULL,
    principal_kind text NOT NULL
        CONSTRAINT api_key_is_a_key_or_a_person CHECK (principal_kind IN ('key', 'person')),
    party_id uuid,
    is_operator boolean NOT NULL DEFAULT false,
    scopes text[] NOT NULL,
    label text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz
)
"""

TENANT_DUE = """
CREATE TABLE tenant_due (
    tenant text PRIMARY KEY REFERENCES tenant (name),
    due_at timestamptz NOT NULL
)
"""

RIGHTS = (
    "GRANT SELECT ON tenant TO holdfast_app",
    "GRANT SELECT, INSERT, UPDATE ON api_key TO holdfast_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_due TO holdfast_app",
    "GRANT SELECT ON alembic_version TO holdfast_app",
)


def upgrade() -> None:
    """Create the three shared tables and the program's rights on them."""
    for statement in (TENANT, API_KEY, TENANT_DUE, *RIGHTS):
        op.execute(statement)
