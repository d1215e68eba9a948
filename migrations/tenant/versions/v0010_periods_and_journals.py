"""Nothing yet: the number is kept for the piece named in decision 0004.

Revision ID: 0010
"""

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing."""
