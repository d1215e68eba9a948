"""Use cases of money coming in: pay for a slot, tip, cancel, expire, and what rails report."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from commissions.service_fx import QUOTE_EXPIRY
from commissions.store_fx_quotes import find_quotes, lock_quotes, save_uses
from escrow import rules_funding, rules_rail, rules_tip, store
from escrow.commands import Fund, FundingCommand, Tip
from escrow.machine import RETURNABLE
from escrow.model import Contract, Plan
from escrow.model_price import Pricing
from escrow.refusals import IdTaken, UnknownContract, UnknownFunding
from escrow.rules import Deal
from escrow.rules_funding import Payment
from escrow.rules_rail_fx import Heard
from escrow.service_batch import (
    CANCEL_HANDLER,
    get_deal,
    held_by,
    list_holds,
    lock_deals,
    once_each,
    run,
    share_people,
    unclear_of,
)
from escrow.service_chargeback import return_payment
from escrow.service_price import price_contracts, put_client_tariffs
from escrow.tables import FUNDING
from kernel import timers
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import RAIL
from rails import service as rails
from rails.model import RailOutcome, RailResult


def fund(connection: Connection, commands: Sequence[Fund], *, at: datetime) -> list[Outcome]:
    """Pay for slots, or for what an amendment added; by the client. From the wallet it is at once.

    Refuses: `escrow.party_not_clear`, `escrow.contract_not_running`, `escrow.nothing_unpaid`,
    `ledger.insufficient_funds` for a wallet that holds less.
    """

    def serve(alone: Sequence[Fund]) -> list[Outcome]:
        deals = lock_deals(connection, [command.slot_id for command in alone])
        open_fundings = store.list_open_fundings(connection, list(deals))
        taken = store.list_taken(connection, FUNDING, [c.funding_id for c in alone])

        asked = {c.quote_id for c in alone if c.quote_id is not None}
        quotes = lock_quotes(connection, asked) if asked else {}

        def decide(command: Fund) -> Plan:
            deal = get_deal(deals, command.slot_id)
            if command.funding_id in taken:
                raise IdTaken(id=str(command.funding_id))
            looked_at = Deal(
                deal.slot,
                deal.contract,
                held_by=deal.held_by,
                unclear_parties=deal.unclear_parties,
                has_open_funding=command.slot_id in open_fundings,
                pricing=deal.pricing,
            )
            quote = quotes.get(command.quote_id) if command.quote_id else None
            return rules_funding.fund(looked_at, command, at, quote=quote)

        outcomes = run(connection, alone, decide, at=at)
        _use_quotes(connection, alone, outcomes, at)
        return outcomes

    def named(command: Fund) -> tuple[UUID, ...]:
        quote = () if command.quote_id is None else (command.quote_id,)
        return (command.slot_id, command.funding_id, *quote)

    return once_each(commands, named, serve)


def _use_quotes(
    connection: Connection, commands: Sequence[Fund], outcomes: Sequence[Outcome], at: datetime
) -> None:
    uses = {
        command.quote_id: f"funding:{command.funding_id}"
        for command, outcome in zip(commands, outcomes, strict=True)
        if command.quote_id is not None and outcome.is_done
    }
    save_uses(connection, uses, at=at)
    timers.cancel(connection, [(f"fx_quote:{each}", QUOTE_EXPIRY) for each in uses])


def tip(connection: Connection, commands: Sequence[Tip], *, at: datetime) -> list[Outcome]:
    """Give the payees something on top; by the client (P25)."""

    def serve(alone: Sequence[Tip]) -> list[Outcome]:
        known = store.find_contracts(connection, [command.contract_id for command in alone])
        unclear = share_people(connection, known)
        contracts = {
            each.id: each for each in store.share_contracts(connection, [c.id for c in known])
        }
        open_holds = list_holds(connection, contracts.values(), ())
        taken = store.list_taken(connection, FUNDING, [c.funding_id for c in alone])
        pricings = _price_tips(connection, contracts.values(), at)

        def decide(command: Tip) -> Plan:
            contract = contracts.get(command.contract_id)
            if contract is None:
                raise UnknownContract(contract_id=str(command.contract_id))
            if command.funding_id in taken:
                raise IdTaken(id=str(command.funding_id))
            return rules_tip.tip(
                contract,
                unclear_parties=unclear_of(contract, unclear),
                held_by=held_by(open_holds, contract),
                pricing=pricings[contract.id],
                command=command,
                release_id=new_id(),
                at=at,
            )

        return run(connection, alone, decide, at=at)

    return once_each(commands, lambda command: (command.contract_id, command.funding_id), serve)


def _price_tips(
    connection: Connection, contracts: Iterable[Contract], at: datetime
) -> dict[UUID, Pricing]:
    known = list(contracts)
    prices = price_contracts(connection, known, at=at)
    pricings = {each.id: Pricing(prices[each.id]) for each in known}
    put_client_tariffs(connection, [(each, pricings[each.id]) for each in known])
    return pricings


def cancel_funding(
    connection: Connection, commands: Sequence[FundingCommand], *, at: datetime
) -> list[Outcome]:
    """Give up payments that are not made yet; by the client.

    What no rail was told of yet is withdrawn, and the rail is asked to call the rest off; what
    arrives all the same goes to the client's wallet (P06).
    """
    outcomes = _on_fundings(connection, commands, rules_funding.cancel_funding, at=at)
    return _call_off(connection, commands, outcomes, at)


def credit_receipt(
    connection: Connection, commands: Sequence[FundingCommand], *, at: datetime
) -> list[Outcome]:
    """Move money of another amount from suspense to the client's wallet; by an operator."""
    return _on_fundings(connection, commands, rules_funding.credit_receipt, at=at)


def expire_funding(
    connection: Connection, commands: Sequence[FundingCommand], *, at: datetime
) -> list[Outcome]:
    """Give up payments whose time is over; by the engine. As `cancel_funding`."""
    outcomes = _on_fundings(connection, commands, rules_funding.expire_funding, at=at)
    return _call_off(connection, commands, outcomes, at)


def funding_results(
    connection: Connection, results: Sequence[RailResult], *, at: datetime
) -> list[Outcome]:
    """Take in what a rail says of fundings, in the order given; one outcome each.

    A result may come twice, late or out of order: what is no news is done with
    `is_news` false and writes nothing. What a bank takes back after it was paid in is handled as
    a chargeback that is lost. Refuses `escrow.unknown_funding`.
    """
    known = store.find_fundings(connection, [each.operation_id for each in results])
    subject_of = {each.id: each.slot_id or each.id for each in known}
    outcomes: list[Outcome | None] = [None] * len(results)
    paid = {each.id for each in known if each.state in RETURNABLE}
    for i, result in enumerate(results):
        if result.operation_id in paid and result.outcome is RailOutcome.REFUSED:
            outcomes[i] = return_payment(connection, result, at=at)
    heard = [i for i, outcome in enumerate(outcomes) if outcome is None]
    named = [results[i].operation_id for i in heard]
    for numbers in rounds([subject_of.get(each, each) for each in named]):
        group = [heard[number] for number in numbers]
        some = [Heard(actor=RAIL, result=results[i]) for i in group]
        payments = lock_payments(connection, [c.result.operation_id for c in some])
        _price_tip_payments(connection, payments.values(), at)

        def decide(command: Heard, payments: Mapping[UUID, Payment] = payments) -> Plan:
            payment = _get_payment(payments, command.result.operation_id)
            return rules_rail.hear(payment, command, new_id(), at)

        for i, outcome in zip(group, run(connection, some, decide, at=at), strict=True):
            outcomes[i] = outcome
    return [outcome for outcome in outcomes if outcome is not None]


def _price_tip_payments(connection: Connection, payments: Iterable[Payment], at: datetime) -> None:
    """A tip is the payee's as soon as it is paid."""
    tips = [each for each in payments if each.slot is None]
    prices = price_contracts(connection, [each.contract for each in tips], at=at) if tips else {}
    for each in tips:
        each.pricing.put(prices[each.contract.id])


def rounds(subjects: Sequence[object]) -> list[list[int]]:
    """Positions in as few groups as hold each subject at most once, each subject in its order."""
    groups: list[list[int]] = []
    seen: dict[object, int] = {}
    for i, subject in enumerate(subjects):
        number = seen.get(subject, 0)
        seen[subject] = number + 1
        if number == len(groups):
            groups.append([])
        groups[number].append(i)
    return groups


def lock_payments(
    connection: Connection, funding_ids: Sequence[UUID], *, skip_locked: bool = False
) -> dict[UUID, Payment]:
    """Fundings with contract, slot and the holds on the contract, locked in order."""
    known = store.find_fundings(connection, funding_ids)
    contracts = _share_contracts(connection, [each.contract_id for each in known])
    slot_ids = [each.slot_id for each in known if each.slot_id]
    slots = {
        each.id: each for each in store.lock_slots(connection, slot_ids, skip_locked=skip_locked)
    }
    free = [each.id for each in known if each.slot_id is None or each.slot_id in slots]
    open_holds = list_holds(connection, contracts.values(), ())
    quoted = {each.quote_id for each in known if each.quote_id is not None}
    quotes = find_quotes(connection, quoted) if quoted else {}
    return {
        each.id: Payment(
            each,
            contracts[each.contract_id],
            slots[each.slot_id] if each.slot_id else None,
            held_by(open_holds, contracts[each.contract_id]),
            quote=quotes.get(each.quote_id) if each.quote_id else None,
        )
        for each in store.lock_fundings(connection, free)
    }


def _share_contracts(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Contract]:
    share_people(connection, store.find_contracts(connection, ids))
    return {each.id: each for each in store.share_contracts(connection, ids)}


def _get_payment(payments: Mapping[UUID, Payment], funding_id: UUID) -> Payment:
    payment = payments.get(funding_id)
    if payment is None:
        raise UnknownFunding(funding_id=str(funding_id))
    return payment


def _call_off(
    connection: Connection,
    commands: Sequence[FundingCommand],
    outcomes: list[Outcome],
    at: datetime,
) -> list[Outcome]:
    ended = zip(commands, outcomes, strict=True)
    ids = sorted(c.funding_id for c, outcome in ended if outcome.is_done)
    rails.call_off(connection, ids, handler=CANCEL_HANDLER, at=at)
    return outcomes


def _on_fundings(
    connection: Connection,
    commands: Sequence[FundingCommand],
    decide: Callable[[Payment, FundingCommand, datetime], Plan],
    *,
    at: datetime,
) -> list[Outcome]:
    def serve(alone: Sequence[FundingCommand]) -> list[Outcome]:
        outcomes: list[Outcome | None] = [None] * len(alone)
        known = store.find_fundings(connection, [command.funding_id for command in alone])
        subject_of = {each.id: each.slot_id or each.id for each in known}
        for group in rounds([subject_of.get(c.funding_id, c.funding_id) for c in alone]):
            some = [alone[i] for i in group]
            payments = lock_payments(connection, [command.funding_id for command in some])

            def choose(
                command: FundingCommand, payments: Mapping[UUID, Payment] = payments
            ) -> Plan:
                return decide(_get_payment(payments, command.funding_id), command, at)

            for i, outcome in zip(group, run(connection, some, choose, at=at), strict=True):
                outcomes[i] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    return once_each(commands, lambda command: (command.funding_id,), serve)
