"""Nothing yet: the number is kept for a piece of the price of a deal (decision 0011).

Revision ID: 0030
"""

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing."""
