"""Nothing yet: the number is kept for a piece of the price of a deal (decision 0011).

Revision ID: 0027
"""

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing."""
