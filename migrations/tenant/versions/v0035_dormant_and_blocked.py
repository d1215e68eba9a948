"""Dormant and blocked money, withdrawals from wallets, treasury.

Revision ID: 0035
"""

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
