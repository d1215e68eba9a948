"""The rails' own statements: every line of our accounts there, taken in page by page, once."""

from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import Connection, Engine

from kernel.database import Tenant, transaction
from kernel.errors import RailTrouble
from rails import service, store_events, store_transactions
from rails.port import Rail, StatementRail

_PAGE: Final = 500
_MOST_PAGES: Final = 20

_log = structlog.get_logger(__name__)


def take(
    engine: Engine, tenant: Tenant, rail: Rail, *, at: datetime, every: timedelta = timedelta()
) -> int:
    """Read a rail's statement on from where it was read to; how many lines are new.

    Args:
        engine: logs in as the app; no transaction is open while the rail is asked.
        tenant: whose accounts.
        rail: one without a statement has nothing to say.
        at: the tenant's clock.
        every: real time within which the rail is asked once.
    """
    if not isinstance(rail, StatementRail):
        return 0
    name, found = f"{rail.name}/transactions", 0
    with transaction(engine, tenant) as connection:
        position = store_events.claim_asking(connection, name, every)
    if position is None:
        return 0
    for _ in range(_MOST_PAGES):
        try:
            page = rail.transactions(after=position, limit=_PAGE, at=at)
        except RailTrouble as trouble:
            _log.warning("rail.statement_failed", rail=rail.name, trouble=str(trouble))
            break
        with transaction(engine, tenant) as connection:
            if page.transactions:
                found += store_transactions.add_transactions(connection, page.transactions, at)
            service.save_position(connection, rail=name, position=page.position)
        if page.is_last or page.position == position:
            break
        position = page.position
    return found


def has_work(connection: Connection, rail: str, at: datetime) -> bool:
    """Whether a line of a rail's statement may have to be booked by now."""
    return store_transactions.has_work(connection, rail, at)
