"""Events of rails as they came, and the lines of their statements.

Revision ID: 0036
"""

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
