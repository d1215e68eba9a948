"""All SQL of the policy of payouts: versions, and what counts at a time."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from payouts.model_policy import InForce, Limits, Policy

_COLUMNS: Final = """id, currency, valid_from, cooling_days, needs_verifying, approval_above_minor,
    minimum_minor, reason, prepared_by, prepared_at, approved_by, approved_at"""

_IN_FORCE: Final = f"""
SELECT DISTINCT ON (currency) {_COLUMNS} FROM payout_policy
WHERE valid_from <= %(at)s AND approved_at <= %(at)s
ORDER BY currency, greatest(valid_from, approved_at) DESC, prepared_at DESC, id DESC
"""

_LIST: Final = f"""
SELECT {_COLUMNS} FROM payout_policy ORDER BY prepared_at DESC, id DESC LIMIT %(limit)s
"""

_FIND: Final = f"SELECT {_COLUMNS} FROM payout_policy WHERE id = ANY (%(ids)s::uuid[])"

_LOCK: Final = f"{_FIND} ORDER BY id FOR NO KEY UPDATE"

_ADD: Final = f"""
INSERT INTO payout_policy ({_COLUMNS})
VALUES (%(id)s, %(currency)s, %(valid_from)s, %(cooling_days)s, %(needs_verifying)s,
        %(approval_above_minor)s, %(minimum_minor)s, %(reason)s, %(prepared_by)s,
        %(prepared_at)s, %(approved_by)s, %(approved_at)s)
"""

_SAVE_APPROVED: Final = """
UPDATE payout_policy SET approved_by = %(by)s, approved_at = %(at)s WHERE id = %(id)s
"""


def find_in_force(connection: Connection, at: datetime) -> InForce:
    """What counts at a time; three days of cooling and verification where nothing was said."""
    rows = [_policy(row) for row in connection.exec_driver_sql(_IN_FORCE, {"at": at}).mappings()]
    limits = {
        row.currency: Limits(
            approval_above_minor=row.approval_above_minor, minimum_minor=row.minimum_minor or 0
        )
        for row in rows
        if row.currency is not None
    }
    for row in rows:
        if row.cooling_days is not None and row.needs_verifying is not None:
            return InForce(
                cooling_days=row.cooling_days, needs_verifying=row.needs_verifying, limits=limits
            )
    return InForce(limits=limits)


def list_policies(connection: Connection, *, limit: int) -> list[Policy]:
    """All versions, the newest first."""
    rows = connection.exec_driver_sql(_LIST, {"limit": limit}).mappings()
    return [_policy(row) for row in rows]


def find_policies(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Policy]:
    """Versions by id; an unknown id is missing."""
    rows = connection.exec_driver_sql(_FIND, {"ids": list(ids)}).mappings()
    return {row["id"]: _policy(row) for row in rows}


def lock_policies(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Policy]:
    """The same, locked in the order of their ids."""
    rows = connection.exec_driver_sql(_LOCK, {"ids": sorted(set(ids))}).mappings()
    return {row["id"]: _policy(row) for row in rows}


def add_policies(connection: Connection, policies: Sequence[Policy]) -> None:
    """Write versions; they are few, and one statement each."""
    for policy in policies:
        arguments = {name: getattr(policy, name) for name in Policy.__dataclass_fields__}
        connection.exec_driver_sql(_ADD, arguments)


def save_approved(connection: Connection, policies: Sequence[Policy]) -> None:
    """Note the second person's word on versions."""
    for policy in policies:
        arguments = {"id": policy.id, "by": policy.approved_by, "at": policy.approved_at}
        connection.exec_driver_sql(_SAVE_APPROVED, arguments)


def _policy(row: RowMapping) -> Policy:
    return Policy(**row)
