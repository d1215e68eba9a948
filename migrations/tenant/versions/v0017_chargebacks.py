"""Nothing yet: the number is kept for the piece named in decision 0005.

Revision ID: 0017
"""

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing."""
