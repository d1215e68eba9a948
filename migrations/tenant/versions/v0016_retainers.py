"""Nothing yet: the number is kept for the piece named in decision 0005.

Revision ID: 0016
"""

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing."""
