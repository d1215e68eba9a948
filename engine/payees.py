"""Reading from rails what payees' new accounts may do: after the link, and never in a transaction.

A rail tells of changes by itself. What it told before we knew the account's name is read once,
so that no order of the two loses a word.
"""

from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import Engine

from engine.handlers import hear_payees
from kernel.database import Tenant, snapshot, transaction
from kernel.errors import RailTrouble
from payouts import store_payees
from rails.port import PayeeRail, Rail

_MOST: Final = 50
"""Accounts read in one round; each is a call of its own."""

_log = structlog.get_logger(__name__)


def read_new(engine: Engine, tenant: Tenant, rail: Rail, at: datetime) -> int:
    """Read the accounts of which the rail has said nothing yet; how many were read."""
    if not isinstance(rail, PayeeRail):
        return 0
    with snapshot(engine, tenant) as connection:
        unread = store_payees.list_unread(connection, rail.name, limit=_MOST)
    read = 0
    for account in unread:
        try:
            notice = rail.payee(account.account_ref, at=at)
        except RailTrouble as trouble:
            _log.warning("payee.read_failed", account_id=str(account.id), trouble=str(trouble))
            return read
        with transaction(engine, tenant) as connection:
            hear_payees(connection, [notice], at)
        read += 1
    return read
