"""How steps of retainers run: cases locked in order, all decided, posted once, saved together."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from escrow import store_hybrid, store_retainer
from escrow.machine_slot import WORKING
from escrow.model import Plan
from escrow.model_hybrid import Price
from escrow.model_retainer import Moves, Period
from escrow.refusals_retainer import UnknownPeriod
from escrow.rules_retainer import Case, neighbours, priced
from escrow.service_batch import run
from escrow.service_price import price_deals
from escrow.service_refund import lock_with_lots
from escrow.service_retainer_locks import lock_contracts
from kernel.commands import Command, Outcome
from kernel.principals import SYSTEM

Decide = Callable[[], Moves]
"""One step of one case, decided when its turn comes; raises a Refusal where it may not be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn(Command):
    """The place of a step in its list."""

    number: int


def act_all(connection: Connection, steps: Sequence[Decide], *, at: datetime) -> list[Outcome]:
    """Decide steps of different contracts, post once, save the rows of deals and retainers."""
    moves: dict[int, Moves] = {}

    def plan(turn: _Turn) -> Plan:
        decided = steps[turn.number]()
        moves[turn.number] = decided
        return decided.plan

    turns = [_Turn(actor=SYSTEM, number=number) for number in range(len(steps))]
    outcomes = run(connection, turns, plan, at=at)
    accepted = [moves[number] for number, each in enumerate(outcomes) if each.is_done]
    store_retainer.save_all(connection, accepted)
    return outcomes


def lock_cases(
    connection: Connection, period_ids: Iterable[UUID], *, priced_at: datetime | None = None
) -> dict[UUID, Case]:
    """Periods with their money and their neighbours, locked in order.

    Refuses `retainer.unknown_period`. No two may belong to one contract, unless they are only
    looked at. `priced_at`: a step may pay the payee, so the price of a release is looked up.
    """
    wanted = list(dict.fromkeys(period_ids))
    found = {each.id: each for each in store_retainer.find_periods(connection, wanted)}
    for period_id in wanted:
        if period_id not in found:
            raise UnknownPeriod(period_id=str(period_id))
    contracts = lock_contracts(connection, {each.contract_id for each in found.values()})
    retainer_ids = sorted({each.retainer_id for each in found.values()})
    retainers = {each.id: each for each in store_retainer.lock_retainers(connection, retainer_ids)}
    near = _neighbours(connection, found.values())
    wide = sorted({each for three in near.values() for each in three if each is not None})
    deals, fundings = lock_with_lots(connection, wide)
    periods = {each.id: each for each in store_retainer.lock_periods(connection, wide)}
    prices = list_prices(connection, retainer_ids)
    twice = store_hybrid.list_billing_hours_twice(connection, list(contracts))
    drawdowns = store_retainer.list_all_drawdowns(connection, wanted)
    carried = store_retainer.list_all_carried(connection, wanted)
    if priced_at is not None:
        price_deals(connection, deals.values(), at=priced_at)
    cases = {}
    for period_id, known in found.items():
        before_id, _, after_id = near[period_id]
        target = deals[after_id] if after_id else None
        mine = retainers[known.retainer_id]
        cases[period_id] = Case(
            priced(mine, prices.get(mine.id, ()), known.number),
            contracts[known.contract_id],
            periods[period_id],
            deals[period_id],
            fundings,
            drawdowns=tuple(drawdowns.get(period_id, ())),
            carried=tuple(carried.get(period_id, ())),
            before=periods[before_id] if before_id else None,
            after=periods[after_id] if after_id else None,
            target=target if target and target.slot.state in WORKING else None,
            bills_hours_beside=known.contract_id in twice,
        )
    return cases


def list_prices(
    connection: Connection, retainer_ids: Sequence[UUID]
) -> dict[UUID, list[tuple[int, Price]]]:
    """By retainer (first period, price) of every signed change, as they count."""
    found: dict[UUID, list[tuple[int, Price]]] = {}
    for each in store_hybrid.list_changes(connection, retainer_ids):
        price = Price(each.amount_minor or 0, each.hourly_minor or 0, each.quota or 0)
        found.setdefault(each.term_id, []).append((each.from_no or 1, price))
    return found


def _neighbours(
    connection: Connection, periods: Iterable[Period]
) -> dict[UUID, tuple[UUID | None, UUID, UUID | None]]:
    """By period the one before, itself, and the one after."""
    known = list(periods)
    by_retainer: dict[UUID, list[Period]] = {}
    ids = sorted({each.retainer_id for each in known})
    for each in store_retainer.list_all_periods(connection, ids):
        by_retainer.setdefault(each.retainer_id, []).append(each)
    found = {}
    for each in known:
        before, after = neighbours(by_retainer[each.retainer_id], each)
        found[each.id] = (before.id if before else None, each.id, after.id if after else None)
    return found
