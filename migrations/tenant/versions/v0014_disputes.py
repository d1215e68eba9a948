"""Nothing yet: the number is kept for the piece named in decision 0005.

Revision ID: 0014
"""

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing."""
