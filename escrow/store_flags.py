"""The SQL of submissions that a client called empty: once for each, kept for ever."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from escrow.commands import SlotCommand
from kernel.database import driver

_LIST: Final = """
SELECT slot.id FROM slot
JOIN submission_flag f ON f.slot_id = slot.id AND f.submission_no = slot.submission_no
WHERE slot.id = ANY (%s)
"""

_ADD: Final = """
INSERT INTO submission_flag (slot_id, submission_no, flagged_by, reason, flagged_at)
SELECT slot.id, slot.submission_no, n.flagged_by, n.reason, %s
FROM unnest(%s::uuid[], %s::uuid[], %s::text[]) AS n (slot_id, flagged_by, reason)
JOIN slot ON slot.id = n.slot_id
"""


def list_flagged(connection: Connection, slot_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the slots whose present submission was called empty."""
    rows = driver(connection).execute(_LIST, (list(slot_ids),))
    return {slot_id for (slot_id,) in rows}


def add_flags(connection: Connection, commands: Sequence[SlotCommand], at: datetime) -> None:
    """Note that the submissions that lie before these clients were called empty."""
    if not commands:
        return
    driver(connection).execute(
        _ADD,
        (
            at,
            [command.slot_id for command in commands],
            [command.actor.principal_id for command in commands],
            [command.reason for command in commands],
        ),
    )
