"""Nothing yet: the number is kept for the piece named in decision 0005.

Revision ID: 0021
"""

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing."""
