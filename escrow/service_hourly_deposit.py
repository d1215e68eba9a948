"""Use cases of weeks that are paid ahead: their deposits are asked for, raised, and billed from."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from escrow import rules_hourly_prefund as prefund
from escrow import service_hourly, store, store_hourly
from escrow.commands import Fund
from escrow.commands_hourly import ChangeHours, WeekCommand
from escrow.machine import Timer
from escrow.machine_slot import WORKING
from escrow.maths_hourly import week_of
from escrow.model import Contract, ContractState, SlotState
from escrow.model_hourly import Collect, HourlyTerm, Judged, Unused, Week, WeekState
from escrow.refusals import FundingOpen
from escrow.rules_hourly import new_week
from escrow.rules_hourly_prefund import AGAIN, Deposit
from escrow.rules_hourly_weeks import Ledger
from escrow.service_batch import lock_deals, share_people
from escrow.service_funding import fund as pay
from escrow.service_hourly import run_hours
from escrow.service_hourly_look import look_surplus
from escrow.service_refund import lock_with_lots
from kernel import timers
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import SYSTEM
from kernel.timers import Arm, DueTimer

SOON: Final = timedelta(hours=1)
"""When an invoice is looked at again that waits for a payment on its way."""


def change_hours(
    connection: Connection, commands: Sequence[ChangeHours], *, at: datetime
) -> list[Outcome]:
    """As `service_hourly.change_hours`; a higher limit or rate asks for a higher deposit."""
    ids = [command.term_id for command in commands]
    weeks = [week for week in store_hourly.list_open(connection, ids) if week.slot_id]
    lock_deals(connection, [week.slot_id for week in weeks if week.slot_id])
    outcomes = service_hourly.change_hours(connection, commands, at=at)
    changed = {UUID(each.facts["term_id"]) for each in outcomes if each.is_done}
    for week in weeks:
        if week.term_id in changed:
            _raise(connection, week.id, at)
    return outcomes


def week_ahead(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Three days before the next week: it is opened, and its deposit asked for."""
    known = store_hourly.find_weeks(connection, [_id(each) for each in due])
    contracts = {
        each.id: each
        for each in store.share_contracts(connection, [week.contract_id for week in known])
    }
    terms = {t.term_id: t for t in store_hourly.lock_terms(connection, [w.term_id for w in known])}
    claimed = timers.claim(connection, due)
    starts = store_hourly.list_starts(connection, list(terms))
    weeks = {week.id: week for week in known}
    for timer in claimed:
        week = weeks[_id(timer)]
        term, contract = terms[week.term_id], contracts[week.contract_id]
        bounds = week_of(week.ends_at, ZoneInfo(term.week_zone))
        rests = term.paused_at is not None or term.ended_at is not None
        if rests or contract.state is not ContractState.ACTIVE:
            continue
        if bounds.starts_at in starts[term.term_id]:
            continue
        following = new_week(term, bounds, new_id())
        run_hours(
            connection,
            [WeekCommand(actor=SYSTEM, week_id=week.id)],
            lambda c, w=week, f=following, t=term: prefund.open_following(w, f, t, c, at),  # type: ignore[misc]
            at=at,
        )
    return len(claimed)


def week_deposit(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Ask for a week's deposit, and again each day of the week until it is made."""
    known = store_hourly.find_weeks(connection, [_id(each) for each in due])
    share_people(connection, store.find_contracts(connection, [w.contract_id for w in known]))
    contracts = {
        each.id: each
        for each in store.lock_contracts(connection, [week.contract_id for week in known])
    }
    lock_deals(connection, [week.slot_id for week in known if week.slot_id])
    terms = {t.term_id: t for t in store_hourly.lock_terms(connection, [w.term_id for w in known])}
    weeks = {week.id: week for week in store_hourly.lock_weeks(connection, [w.id for w in known])}
    claimed = timers.claim(connection, due)
    for timer in claimed:
        week = weeks[_id(timer)]
        if week.state is not WeekState.OPEN or at >= week.ends_at:
            continue
        if not _ask(connection, week, terms[week.term_id], contracts[week.contract_id], at):
            timers.arm(connection, [Arm(timer.subject, timer.kind, at + AGAIN, 0)])
    return len(claimed)


DEPOSIT_HANDLERS: Final = MappingProxyType(
    {f"escrow.{Timer.WEEK_AHEAD}": week_ahead, f"escrow.{Timer.WEEK_DEPOSIT}": week_deposit}
)
"""The clocks of deposits, for the table of timers."""


def bill(
    connection: Connection,
    weeks: Sequence[Week],
    terms: Mapping[UUID, HourlyTerm],
    contracts: Mapping[UUID, Contract],
    judged: Mapping[UUID, Sequence[Judged]],
    *,
    at: datetime,
) -> list[Outcome]:
    """Invoice weeks that were paid ahead, one after the other: one rolls into the next."""
    outcomes = []
    for week in sorted(weeks, key=lambda each: each.starts_at):
        term = terms[week.term_id]
        book = Ledger(
            week=week,
            term=term,
            contract=contracts[week.contract_id],
            judged=tuple(judged[week.id]),
        )
        command = WeekCommand(actor=SYSTEM, week_id=week.id)
        outcomes += run_hours(
            connection,
            [command],
            lambda c, b=book: prefund.bill_deposit(  # type: ignore[misc]
                b, _deposit(connection, b.week, b.term), c, at, new_id
            ),
            at=at,
        )
    return outcomes


def following_of(connection: Connection, weeks: Sequence[Week]) -> list[Week]:
    """The weeks that come right after these, where they are there already."""
    starts = store_hourly.list_starts(connection, {week.term_id for week in weeks})
    found = (starts.get(week.term_id, {}).get(week.ends_at) for week in weeks)
    return [week for week in found if week is not None]


def _deposit(connection: Connection, week: Week, term: HourlyTerm) -> Deposit:
    """The week's slot with its money; and that of the next week, where the rest rolls on."""
    assert week.slot_id is not None
    nexts = following_of(connection, [week]) if term.unused is Unused.ROLL else []
    target = nexts[0] if nexts and nexts[0].state is WeekState.OPEN else None
    if target is not None and (term.ended_at is not None or term.paused_at is not None):
        target = None
    if target is not None and target.slot_id is None:
        raise FundingOpen(week_id=str(target.id))
    ids = [week.slot_id, *([target.slot_id] if target and target.slot_id else [])]
    deals, fundings = lock_with_lots(connection, ids)
    into = deals[target.slot_id] if target and target.slot_id else None
    if into is not None and into.slot.state is SlotState.FUNDING:
        raise FundingOpen(slot_id=str(into.slot.id))
    if into is not None and into.slot.state not in {SlotState.AWAITING_FUNDING, *WORKING}:
        into = None
    return Deposit(deal=deals[week.slot_id], target=into, fundings=fundings)


def _ask(
    connection: Connection, week: Week, term: HourlyTerm, contract: Contract, at: datetime
) -> bool:
    """Make the week's slot, and pay what it lacks; whether nothing is left to ask for."""
    runs = contract.state in {ContractState.ACTIVE, ContractState.PAUSED}
    if term.collect is Collect.ARREARS or term.ended_at is not None or not runs:
        return True
    slot_id = week.slot_id
    if slot_id is None:
        slot_id = new_id()
        if not _open_slot(connection, week, term, contract, slot_id, at).is_done:
            return False
    (slot,) = store.find_slots(connection, [slot_id])
    if slot.unpaid_minor and slot.state in {SlotState.AWAITING_FUNDING, *WORKING}:
        command = Fund(
            actor=SYSTEM,
            slot_id=slot_id,
            funding_id=new_id(),
            method=term.method,
            method_token=term.method_token,
            rail_account=term.rail_account,
        )
        pay(connection, [command], at=at)
        (slot,) = store.find_slots(connection, [slot_id])
    return not slot.unpaid_minor


def _open_slot(
    connection: Connection,
    week: Week,
    term: HourlyTerm,
    contract: Contract,
    slot_id: UUID,
    at: datetime,
) -> Outcome:
    rates = store_hourly.list_rates(connection, [term.term_id])[term.term_id]
    spare = look_surplus(connection, week, term)
    needed = max(0, prefund.full_minor(week, rates) - spare)
    seq = store_hourly.count_slots(connection, [contract.id])[contract.id] + 1
    command = WeekCommand(actor=SYSTEM, week_id=week.id)
    return run_hours(
        connection,
        [command],
        lambda c: prefund.ask_deposit(
            week, contract, needed, seq=seq, slot_id=slot_id, command=c, at=at
        ),
        at=at,
    )[0]


def _raise(connection: Connection, week_id: UUID, at: datetime) -> None:
    (week,) = store_hourly.lock_weeks(connection, [week_id])
    assert week.slot_id is not None
    deal = lock_deals(connection, [week.slot_id])[week.slot_id]
    rates = store_hourly.list_rates(connection, [week.term_id])[week.term_id]
    needed = prefund.full_minor(week, rates)
    may = deal.slot.state in {SlotState.AWAITING_FUNDING, *WORKING}
    if week.state is not WeekState.OPEN or not may or needed <= deal.slot.amount_minor:
        return
    command = WeekCommand(actor=SYSTEM, week_id=week.id)
    run_hours(
        connection,
        [command],
        lambda c: prefund.raise_deposit(week, deal, needed, c, at),
        at=at,
    )


def _id(timer: DueTimer) -> UUID:
    return UUID(timer.subject.partition(":")[2])
