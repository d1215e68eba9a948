"""All SQL of instant payouts: their fees, and which methods may be paid at once."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.database import driver
from payouts.model_instant import InstantFee

_FEE: Final = """currency, valid_from, rate_bps, fixed_minor, smallest_minor, largest_minor,
    is_on_top"""

_ADD: Final = f"""
INSERT INTO payout_instant_fee ({_FEE}) VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT ON CONSTRAINT payout_instant_fee_is_dated DO NOTHING
"""

_FIND: Final = f"""
SELECT DISTINCT ON (currency) {_FEE} FROM payout_instant_fee
WHERE currency = ANY (%s::text[]) AND valid_from <= %s ORDER BY currency, valid_from DESC
"""

_FIND_ABLE: Final = """
SELECT id FROM payout_method WHERE id = ANY (%s::uuid[]) AND may_be_instant
"""

_ALLOW: Final = "UPDATE payout_method SET may_be_instant = %s WHERE id = ANY (%s::uuid[])"


def add_fee(connection: Connection, fee: InstantFee) -> bool:
    """Write a dated fee; False if one counts from that time already."""
    given = (
        *(fee.currency, fee.valid_from, fee.rate_bps, fee.fixed_minor, fee.smallest_minor),
        *(fee.largest_minor, fee.is_on_top),
    )
    return driver(connection).execute(_ADD.encode(), given).rowcount == 1


def find_fees(
    connection: Connection, currencies: Iterable[str], at: datetime
) -> dict[str, InstantFee]:
    """What an instant payout costs at a time, by currency; one without a fee is missing."""
    rows = driver(connection).execute(_FIND.encode(), (sorted(set(currencies)), at))
    return {
        row[0]: InstantFee(
            currency=row[0],
            valid_from=row[1],
            rate_bps=row[2],
            fixed_minor=row[3],
            smallest_minor=row[4],
            largest_minor=row[5],
            is_on_top=row[6],
        )
        for row in rows
    }


def find_able(connection: Connection, method_ids: Iterable[UUID]) -> set[UUID]:
    """Those of the methods that may be paid at once."""
    return {row[0] for row in driver(connection).execute(_FIND_ABLE, (list(method_ids),))}


def allow(connection: Connection, method_ids: Sequence[UUID], *, allowed: bool) -> None:
    """Say whether methods may be paid at once."""
    driver(connection).execute(_ALLOW, (allowed, list(method_ids)))
