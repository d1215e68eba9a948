"""Running the plain SQL of a migration."""

from alembic import op

from kernel.database import driver


def run(sql: str) -> None:
    """Run one or more statements as they are written: a percent sign is no placeholder."""
    driver(op.get_bind()).execute(sql.encode())
