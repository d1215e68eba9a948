"""How steps of retainers run: cases locked in order, all decided, posted once, saved together."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from escrow import store, store_retainer
from escrow.machine_slot import WORKING
from escrow.model import Contract, Plan
from escrow.model_retainer import Moves
from escrow.refusals_retainer import UnknownPeriod
from escrow.rules_retainer import Case
from escrow.service_batch import run, share_people
from escrow.service_refund import lock_with_lots
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


def lock_cases(connection: Connection, period_ids: Iterable[UUID]) -> dict[UUID, Case]:
    """Periods with their money and their neighbours, locked in order.

    Refuses `retainer.unknown_period`. No two may belong to one contract, unless they are only
    looked at.
    """
    wanted = list(dict.fromkeys(period_ids))
    found = {each.id: each for each in store_retainer.find_periods(connection, wanted)}
    for period_id in wanted:
        if period_id not in found:
            raise UnknownPeriod(period_id=str(period_id))
    contracts = lock_contracts(connection, {each.contract_id for each in found.values()})
    retainer_ids = sorted({each.retainer_id for each in found.values()})
    retainers = {each.id: each for each in store_retainer.lock_retainers(connection, retainer_ids)}
    numbers = {
        (each.retainer_id, each.number): each.id
        for each in store_retainer.list_all_periods(connection, retainer_ids)
    }
    near = {
        numbers[place]
        for each in found.values()
        for number in (each.number - 1, each.number, each.number + 1)
        if (place := (each.retainer_id, number)) in numbers
    }
    deals, fundings = lock_with_lots(connection, sorted(near))
    periods = {
        (each.retainer_id, each.number): each
        for each in store_retainer.lock_periods(connection, sorted(near))
    }
    drawdowns = store_retainer.list_all_drawdowns(connection, wanted)
    carried = store_retainer.list_all_carried(connection, wanted)
    cases = {}
    for period_id, known in found.items():
        place = (known.retainer_id, known.number)
        after = periods.get((known.retainer_id, known.number + 1))
        target = deals[after.id] if after else None
        cases[period_id] = Case(
            retainers[known.retainer_id],
            contracts[known.contract_id],
            periods[place],
            deals[period_id],
            fundings,
            drawdowns=tuple(drawdowns.get(period_id, ())),
            carried=tuple(carried.get(period_id, ())),
            before=periods.get((known.retainer_id, known.number - 1)),
            after=after,
            target=target if target and target.slot.state in WORKING else None,
        )
    return cases


def lock_contracts(connection: Connection, contract_ids: Iterable[UUID]) -> dict[UUID, Contract]:
    """Contracts, locked after their parties."""
    wanted = sorted(contract_ids)
    share_people(connection, store.find_contracts(connection, wanted))
    return {each.id: each for each in store.lock_contracts(connection, wanted)}
