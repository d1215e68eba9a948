"""What client money falls short by is funded the same day, and people are told."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from kernel.money import to_json
from kernel.principals import SYSTEM
from ledger.model import Draft
from payouts import settlement
from payouts.desk import post_facts
from payouts.model_settlement import Settlement


def fund_shortfalls(
    connection: Connection, shortfalls: Mapping[str, int], *, at: datetime, bank_rail: str
) -> list[Settlement]:
    """Tell what client money lacks, by currency in minor units, and settle at once.

    The settlement brings what the platform owes and its bank has; a difference between the books
    and a bank is not the platform's debt, and is for the people whom the event tells.
    """
    short = {currency: minor for currency, minor in sorted(shortfalls.items()) if minor > 0}
    if not short:
        return []
    post_facts(
        connection,
        [
            Draft(
                "safeguarding.shortfall",
                f"treasury:{currency}",
                SYSTEM,
                at,
                detail={"short_by": to_json(minor, currency)},
            )
            for currency, minor in short.items()
        ],
    )
    return settlement.settle(connection, at=at, bank_rail=bank_rail)
