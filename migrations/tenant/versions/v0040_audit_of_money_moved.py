"""Auditors read money that moved: payouts and their people, rails, statements and matches.

Revision ID: 0040
"""

from migrations.audit_views import make_views

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the views, and let the tenant's auditors read them."""
    make_views("audit_payouts", "audit_rails", "audit_statements")
