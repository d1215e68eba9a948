"""Which subscription a party has: what fee schedules ask when a deal is accepted or quoted."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from commissions import store_plans


def plans_of(
    connection: Connection, party_ids: Collection[UUID], at: datetime
) -> Mapping[UUID, str | None]:
    """The plan of each party at an instant (`pro`, ...); None: he has none.

    One that is past due counts until it lapses, one that was ended until its paid days are over.
    """
    if not party_ids:
        return {}
    return dict.fromkeys(party_ids) | store_plans.find_plans(connection, party_ids, at)
