"""Payout schedules, runs, instant payouts and bank orders.

Revision ID: 0034
"""

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
