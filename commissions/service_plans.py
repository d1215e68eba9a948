"""Which subscription a party has: what fee schedules ask when a deal is accepted or quoted."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection


def plans_of(
    connection: Connection, party_ids: Collection[UUID], at: datetime
) -> Mapping[UUID, str | None]:
    """The plan of each party at an instant (`free`, `pro`, ...); None: he has none."""
    assert connection is not None
    assert at.tzinfo is not None
    return dict.fromkeys(party_ids)
