"""Use cases that send money back: refunds of every kind, dormancy, and signed amendments."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_amend, rules_refund, rules_release, store, store_retainer
from escrow.commands import ProposeAmendment, SignAmendment, SlotCommand
from escrow.machine import Trigger
from escrow.model import Amendment, Contract, Funding, Plan, Refund
from escrow.refusals import IdTaken, UnknownAmendment, UnknownRefund
from escrow.rules import Deal
from escrow.rules_rail_fx import Heard
from escrow.rules_refund_fx import exchanged_back
from escrow.service_batch import get_deal, lock_deals, once_each, run
from escrow.service_funding import rounds
from escrow.service_price import price_deals
from escrow.service_refund_fx import find_came, find_cards
from escrow.tables import AMENDMENT
from kernel.commands import Command, Outcome
from kernel.ids import new_id
from kernel.principals import RAIL
from rails.model import RailResult

C = TypeVar("C", bound=Command)
Decide = Callable[[Deal, Mapping[UUID, Funding], SlotCommand], Plan]


def accept_refund(
    connection: Connection, commands: Sequence[SlotCommand], *, at: datetime
) -> list[Outcome]:
    """Agree to give back what the client asked for; by the payee (row 10)."""
    return _refund_by(connection, commands, Trigger.ACCEPT_REFUND, at=at)


def refund_unanswered(
    connection: Connection, commands: Sequence[SlotCommand], *, at: datetime
) -> list[Outcome]:
    """Grant what the payee left unanswered; by the engine (row 10)."""
    return _refund_by(connection, commands, Trigger.REFUND_UNANSWERED, at=at)


def give_back(
    connection: Connection, commands: Sequence[SlotCommand], *, at: datetime
) -> list[Outcome]:
    """Give back all that the slot holds, unasked; by the payee (row 12)."""
    return _refund_by(connection, commands, Trigger.GIVE_BACK, at=at)


def settle_dormant(
    connection: Connection, commands: Sequence[SlotCommand], *, at: datetime
) -> list[Outcome]:
    """Release a dormant slot whose work was shown, refund another (row 18).

    By an operator, or by the engine; above the contract's limit by an operator in person alone
    (`escrow.above_limit`).
    """

    def decide(deal: Deal, fundings: Mapping[UUID, Funding], command: SlotCommand) -> Plan:
        if deal.slot.submission_no:
            return rules_release.release_dormant(deal, command, at, new_id())
        return rules_refund.refund(deal, fundings, Trigger.REFUND_DORMANT, command, at, new_id)

    return _on_lots(connection, commands, decide, at=at)


def refund_results(
    connection: Connection, results: Sequence[RailResult], *, at: datetime
) -> list[Outcome]:
    """Take in what a rail says of refunds, in the order given; one outcome each.

    What is no news is done with `is_news` false and writes nothing. Refuses
    `escrow.unknown_refund`.
    """
    outcomes: list[Outcome | None] = [None] * len(results)
    for group in rounds([each.operation_id for each in results]):
        some = [Heard(actor=RAIL, result=results[i]) for i in group]
        backs, contracts = _lock_refunds(connection, [c.result.operation_id for c in some])

        def decide(
            command: Heard,
            backs: Mapping[UUID, Refund] = backs,
            contracts: Mapping[UUID, Contract] = contracts,
        ) -> Plan:
            back = backs.get(command.result.operation_id)
            if back is None:
                raise UnknownRefund(refund_id=str(command.result.operation_id))
            return rules_refund.hear_refund(back, contracts[back.slot_id], command, at)

        for i, outcome in zip(group, run(connection, some, decide, at=at), strict=True):
            outcomes[i] = outcome
    return [outcome for outcome in outcomes if outcome is not None]


def propose_amendment(
    connection: Connection, commands: Sequence[ProposeAmendment], *, at: datetime
) -> list[Outcome]:
    """Offer another price, or to roll the rest forward; by either party."""

    def serve(alone: Sequence[ProposeAmendment]) -> list[Outcome]:
        wanted = [command.slot_id for command in alone]
        targets = store.find_slots(connection, [c.to_slot_id for c in alone if c.to_slot_id])
        deals = lock_deals(connection, wanted)
        taken = store.list_taken(connection, AMENDMENT, [c.amendment_id for c in alone])
        by_id = {each.id: each for each in targets}
        drawn_from = store_retainer.list_free_periods(connection, [*wanted, *by_id])

        def decide(command: ProposeAmendment) -> Plan:
            deal = get_deal(deals, command.slot_id)
            if command.amendment_id in taken:
                raise IdTaken(id=str(command.amendment_id))
            target = by_id.get(command.to_slot_id) if command.to_slot_id else None
            return rules_amend.propose_amendment(deal, target, command, at, drawn_from=drawn_from)

        return run(connection, alone, decide, at=at)

    return once_each(commands, lambda command: (command.slot_id, command.amendment_id), serve)


def sign_amendment(
    connection: Connection, commands: Sequence[SignAmendment], *, at: datetime
) -> list[Outcome]:
    """Sign what the other side offered: a higher price, a lower one (P14), or a roll (P11)."""

    def serve(alone: Sequence[SignAmendment]) -> list[Outcome]:
        known = store.find_amendments(connection, [command.amendment_id for command in alone])
        slots_of = {each.id: [each.slot_id, each.to_slot_id] for each in known}

        def subjects(command: SignAmendment) -> list[UUID]:
            named = slots_of.get(command.amendment_id, [])
            return [each for each in named if each]

        return _in_rounds(
            connection, alone, subjects, lambda some: _sign(connection, some, slots_of, at)
        )

    return once_each(commands, lambda command: (command.amendment_id,), serve)


def _sign(
    connection: Connection,
    commands: Sequence[SignAmendment],
    slots_of: Mapping[UUID, Sequence[UUID | None]],
    at: datetime,
) -> list[Outcome]:
    slot_ids = [each for c in commands for each in slots_of.get(c.amendment_id, ()) if each]
    deals, fundings = lock_with_lots(connection, slot_ids)
    came = find_came(connection, fundings, at)
    drawn_from = store_retainer.list_free_periods(connection, slot_ids)
    offers = {
        each.id: each
        for each in store.lock_amendments(connection, [c.amendment_id for c in commands])
    }

    def decide(command: SignAmendment) -> Plan:
        offer: Amendment | None = offers.get(command.amendment_id)
        if offer is None:
            raise UnknownAmendment(amendment_id=str(command.amendment_id))
        target = deals[offer.to_slot_id] if offer.to_slot_id else None
        deal = deals[offer.slot_id]
        plan = rules_amend.sign(offer, deal, target, fundings, command, at, new_id, drawn_from)
        return exchanged_back(plan, came, at, new_id)

    return run(connection, commands, decide, at=at)


def lock_with_lots(
    connection: Connection, slot_ids: Sequence[UUID], *, skip_locked: bool = False
) -> tuple[dict[UUID, Deal], dict[UUID, Funding]]:
    """Slots with their lots, and the fundings those came from, locked in order.

    With the payment by card of money that was exchanged when it came.
    """
    deals = lock_deals(connection, slot_ids, skip_locked=skip_locked)
    lots = store.list_lots(connection, list(deals))
    paid = {lot.funding_id for some in lots.values() for lot in some}
    paid |= set(find_cards(connection, paid).values())
    fundings = {each.id: each for each in store.lock_fundings(connection, sorted(paid))}
    seen = {
        slot_id: replace(deal, lots=tuple(lots.get(slot_id, ()))) for slot_id, deal in deals.items()
    }
    return seen, fundings


def _refund_by(
    connection: Connection, commands: Sequence[SlotCommand], trigger: Trigger, *, at: datetime
) -> list[Outcome]:
    return _on_lots(
        connection,
        commands,
        lambda deal, fundings, c: rules_refund.refund(deal, fundings, trigger, c, at, new_id),
        at=at,
    )


def _on_lots(
    connection: Connection, commands: Sequence[SlotCommand], decide: Decide, *, at: datetime
) -> list[Outcome]:
    """Commands on slots that may give money back to the fundings it came from."""

    def once(some: Sequence[SlotCommand]) -> list[Outcome]:
        deals, fundings = lock_with_lots(connection, [command.slot_id for command in some])
        came = find_came(connection, fundings, at)
        price_deals(connection, deals.values(), at=at)

        def choose(command: SlotCommand) -> Plan:
            plan = decide(get_deal(deals, command.slot_id), fundings, command)
            return exchanged_back(plan, came, at, new_id)

        return run(connection, some, choose, at=at)

    def serve(alone: Sequence[SlotCommand]) -> list[Outcome]:
        return _in_rounds(connection, alone, lambda command: [command.slot_id], once)

    return once_each(commands, lambda command: (command.slot_id,), serve)


def _in_rounds(
    connection: Connection,
    commands: Sequence[C],
    slots_of: Callable[[C], Sequence[UUID]],
    serve: Callable[[Sequence[C]], list[Outcome]],
) -> list[Outcome]:
    """Serve the commands so that no two of one round give back to the same funding.

    Money rolled forward leaves two slots with lots of one funding; all slots and fundings are
    locked before the first round, in order.
    """
    named = {each for command in commands for each in slots_of(command)}
    lock_deals(connection, sorted(named))
    lots = store.list_lots(connection, sorted(named))
    paid = {lot.funding_id for some in lots.values() for lot in some}
    paid |= set(find_cards(connection, paid).values())
    store.lock_fundings(connection, sorted(paid))
    waiting = list(enumerate(commands))
    outcomes: dict[int, Outcome] = {}
    while waiting:
        used: set[UUID] = set()
        chosen: list[tuple[int, C]] = []
        later: list[tuple[int, C]] = []
        for i, command in waiting:
            touched = set(slots_of(command))
            touched |= {lot.funding_id for each in slots_of(command) for lot in lots.get(each, ())}
            (later if touched & used else chosen).append((i, command))
            used |= touched
        served = serve([command for _, command in chosen])
        outcomes.update(zip([i for i, _ in chosen], served, strict=True))
        waiting = later
    return [outcomes[i] for i in range(len(commands))]


def _lock_refunds(
    connection: Connection, refund_ids: Sequence[UUID]
) -> tuple[dict[UUID, Refund], dict[UUID, Contract]]:
    """Refunds, locked, and by slot the contract of each, which tells the rail's role."""
    backs = {each.id: each for each in store.lock_refunds(connection, refund_ids)}
    parents = store.find_parents(connection, [each.slot_id for each in backs.values()])
    known = {each.id: each for each in store.find_contracts(connection, [p[1] for p in parents])}
    return backs, {row[0]: known[row[1]] for row in parents}
