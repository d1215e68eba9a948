"""Nothing yet: the number is kept for the piece named in decision 0005.

Revision ID: 0022
"""

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing."""
