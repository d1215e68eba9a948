"""Breaks, who looks at them, and the daily certificates.

Revision ID: 0039
"""

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
