"""Endpoints of receivers, deliveries, and what could not be delivered.

Revision ID: 0037
"""

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
