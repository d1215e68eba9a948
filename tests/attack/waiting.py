"""How a race waits for the moment in which the other side is stuck behind its lock."""

import threading
from typing import Final

from sqlalchemy import Engine

_BLOCKED: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def wait_until_blocked(engine: Engine) -> None:
    """Return once some transaction of this database waits for another's lock."""
    for _ in range(12_000):
        with engine.connect() as connection:
            if connection.exec_driver_sql(_BLOCKED).scalar_one():
                return
        threading.Event().wait(0.01)
    raise AssertionError("nobody waits for a lock")
