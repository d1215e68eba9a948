"""Nothing yet: the number is kept for the piece named in decision 0005.

Revision ID: 0023
"""

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing."""
