"""Nothing yet: the number is kept for the piece named in decision 0005.

Revision ID: 0018
"""

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing."""
