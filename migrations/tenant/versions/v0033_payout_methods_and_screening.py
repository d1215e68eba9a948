"""Payout methods with their rail and cooling time, screening, second approval.

Revision ID: 0033
"""

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
