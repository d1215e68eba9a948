"""Nothing yet: the number is kept for the piece named in decision 0005.

Revision ID: 0024
"""

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing."""
