"""Nothing yet: the number is kept for the piece named in decision 0005.

Revision ID: 0015
"""

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing."""
