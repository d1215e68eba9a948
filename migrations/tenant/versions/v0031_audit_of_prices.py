"""Auditors read prices: pins, fees with their tax, schedules, documents, exchange, what is sold.

What a release left to its payee is told less the tax that he bore.

Revision ID: 0031
"""

from migrations.audit_views import make_views

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the views, and let the tenant's auditors read them."""
    make_views("audit_prices")
