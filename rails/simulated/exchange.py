"""Exchange at the simulated bank: money of one currency leaves, money of another comes.

What a fill moves is on the rail's own log at once, so that books and bank can be compared. Nothing
is told by a notice: who fills knows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from rails.model import RailAccount
from rails.simulated import store, store_exchange
from rails.simulated.service import SimulatedRail


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """So much is sold from an account, so much bought comes into the custody bank; minor units."""

    id: UUID
    account: RailAccount
    sold: str
    sold_minor: int
    bought: str
    bought_minor: int


def fill(rail: SimulatedRail, fills: Sequence[Fill], *, at: datetime) -> set[UUID]:
    """Make the fills that their accounts can pay, in their order; which are made by now.

    The same fill moves once, whenever it is asked for. Both amounts are above zero, and of two
    currencies.
    """
    assert all(min(each.sold_minor, each.bought_minor) > 0 for each in fills)
    assert all(each.sold != each.bought for each in fills)
    if not fills:
        return set()
    with rail.engine.begin() as connection:
        store.lock_platform(connection, rail.platform)
        made = store_exchange.list_made(connection, rail.platform, [each.id for each in fills])
        payers = sorted({each.account for each in fills} | {RailAccount.CUSTODY_BANK})
        purse = store.list_spendable(connection, rail.platform, payers, at)
        fresh: list[Fill] = []
        for each in fills:
            if each.id in made or purse.get((each.account, each.sold), 0) < each.sold_minor:
                continue
            purse[each.account, each.sold] -= each.sold_minor
            came = (RailAccount.CUSTODY_BANK, each.bought)
            purse[came] = purse.get(came, 0) + each.bought_minor
            fresh.append(each)
        store_exchange.add_movements(
            connection,
            rail.platform,
            [
                movement
                for each in fresh
                for movement in (
                    (each.id, each.account.value, each.sold, -each.sold_minor),
                    (each.id, RailAccount.CUSTODY_BANK.value, each.bought, each.bought_minor),
                )
            ],
            at=at,
        )
    return made | {each.id for each in fresh}
