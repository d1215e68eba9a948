"""Statements of banks and rails, their lines, and what matches the books.

Revision ID: 0038
"""

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
