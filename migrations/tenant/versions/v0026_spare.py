"""Nothing yet: the number is kept for the piece named in decision 0005.

Revision ID: 0026
"""

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing."""
