"""Views of auditors on payouts, rails, statements and breaks.

Revision ID: 0040
"""

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
