"""Nothing yet: the number is kept for the piece named in decision 0005.

Revision ID: 0020
"""

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing."""
