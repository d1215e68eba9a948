"""The auditor's door: views with words behind every column, and the role that may read them.

A later change of a column that a view reads drops and makes the view again.

Revision ID: 0012
"""

from migrations.audit_views import make_views

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the views, and let the tenant's auditors read them."""
    make_views("audit_words", "audit_log", "audit_deals", "audit_house")
