"""Nothing yet: the number is kept for the piece named in decision 0004.

Revision ID: 0013
"""

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing."""
