"""Use cases of weeks that are paid ahead: their deposits are asked for, raised, and billed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from escrow.model import Contract, ContractState, Funding, SlotState
from escrow.model_hourly import Collect, HourlyTerm, Judged, Step, Unused, Week, WeekState
from escrow.refusals import FundingOpen
from escrow.rules import Deal
from escrow.rules_hourly import new_week
from escrow.rules_hourly_prefund import AGAIN, Deposit
from escrow.rules_hourly_weeks import Ledger
from escrow.service_batch import lock_deals, share_people
from escrow.service_funding import fund as pay
from escrow.service_hourly import run_hours
from escrow.service_hourly_look import look_surplus
from escrow.service_refund import lock_with_lots
from escrow.service_waves import in_waves, split_in_waves
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
    opening: dict[UUID, tuple[Week, HourlyTerm]] = {}
    following: dict[UUID, Week] = {}
    for timer in claimed:
        week = weeks[_id(timer)]
        term, contract = terms[week.term_id], contracts[week.contract_id]
        bounds = week_of(week.ends_at, ZoneInfo(term.week_zone))
        rests = term.paused_at is not None or term.ended_at is not None
        if rests or contract.state is not ContractState.ACTIVE:
            continue
        if bounds.starts_at in starts[term.term_id]:
            continue
        opening[week.id] = (week, term)
        following[week.id] = new_week(term, bounds, new_id())
    run_hours(
        connection,
        [WeekCommand(actor=SYSTEM, week_id=each) for each in opening],
        lambda c: prefund.open_following(
            *opening[c.week_id], c, at, following=following[c.week_id]
        ),
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
    asked = [
        week
        for each in claimed
        if (week := weeks[_id(each)]).state is WeekState.OPEN and at < week.ends_at
    ]
    unpaid: set[UUID] = set()
    for wave in split_in_waves(asked, lambda week: week.contract_id):
        unpaid |= _ask(connection, wave, terms, contracts, at)
    again = [Arm(t.subject, t.kind, at + AGAIN, 0) for t in claimed if _id(t) in unpaid]
    timers.arm(connection, again)
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
    by_id = {week.id: week for week in weeks}

    def wave(some: Sequence[WeekCommand]) -> list[Outcome]:
        money = _Money.of(connection, [by_id[c.week_id] for c in some], terms)

        def decide(command: WeekCommand) -> Step:
            week = by_id[command.week_id]
            term, contract = terms[week.term_id], contracts[week.contract_id]
            book = Ledger(week=week, term=term, contract=contract, judged=tuple(judged[week.id]))
            return prefund.bill_deposit(book, money.deposit(week, term), command, at, new_id)

        return run_hours(connection, some, decide, at=at)

    order = sorted(weeks, key=lambda each: each.starts_at)
    commands = [WeekCommand(actor=SYSTEM, week_id=week.id) for week in order]
    return in_waves(commands, lambda c: by_id[c.week_id].term_id, wave)


def following_of(connection: Connection, weeks: Sequence[Week]) -> list[Week]:
    """The weeks that come right after these, where they are there already."""
    starts = store_hourly.list_starts(connection, {week.term_id for week in weeks})
    found = (starts.get(week.term_id, {}).get(week.ends_at) for week in weeks)
    return [week for week in found if week is not None]


@dataclass(frozen=True, slots=True)
class _Money:
    """The slots of weeks with their money, and of the weeks right after them, as locked."""

    following: Mapping[tuple[UUID, datetime], Week]
    deals: Mapping[UUID, Deal]
    fundings: Mapping[UUID, Funding]

    @classmethod
    def of(
        cls, connection: Connection, weeks: Sequence[Week], terms: Mapping[UUID, HourlyTerm]
    ) -> "_Money":
        """Lock what these weeks are billed from, and what the rest may roll into."""
        rolling = [each for each in weeks if terms[each.term_id].unused is Unused.ROLL]
        nexts = {(n.term_id, n.starts_at): n for n in following_of(connection, rolling)}
        slot_ids = [each.slot_id for each in (*weeks, *nexts.values()) if each.slot_id]
        deals, fundings = lock_with_lots(connection, slot_ids)
        return cls(nexts, deals, fundings)

    def deposit(self, week: Week, term: HourlyTerm) -> Deposit:
        """The week's slot; and that of the next week, where the rest rolls on."""
        assert week.slot_id is not None
        target = self.following.get((week.term_id, week.ends_at))
        rests = term.ended_at is not None or term.paused_at is not None
        if target is not None and (target.state is not WeekState.OPEN or rests):
            target = None
        if target is not None and target.slot_id is None:
            raise FundingOpen(week_id=str(target.id))
        into = self.deals[target.slot_id] if target and target.slot_id else None
        if into is not None and into.slot.state is SlotState.FUNDING:
            raise FundingOpen(slot_id=str(into.slot.id))
        if into is not None and into.slot.state not in {SlotState.AWAITING_FUNDING, *WORKING}:
            into = None
        return Deposit(deal=self.deals[week.slot_id], target=into, fundings=self.fundings)


def _ask(
    connection: Connection,
    weeks: Sequence[Week],
    terms: Mapping[UUID, HourlyTerm],
    contracts: Mapping[UUID, Contract],
    at: datetime,
) -> set[UUID]:
    """Make the slots of weeks, each of another contract, and pay what they lack.

    Gives the weeks for which something is left to ask for.
    """
    asked = [week for week in weeks if _asks(terms[week.term_id], contracts[week.contract_id])]
    slot_of = {week.id: week.slot_id for week in asked if week.slot_id}
    fresh = [week for week in asked if week.slot_id is None]
    slot_of |= _open_slots(connection, fresh, terms, contracts, at)
    before = {slot.id: slot for slot in store.find_slots(connection, list(slot_of.values()))}
    commands = []
    for week in asked:
        slot, term = before.get(slot_of.get(week.id, week.id)), terms[week.term_id]
        if slot and slot.unpaid_minor and slot.state in {SlotState.AWAITING_FUNDING, *WORKING}:
            commands.append(
                Fund(
                    actor=SYSTEM,
                    slot_id=slot.id,
                    funding_id=new_id(),
                    method=term.method,
                    method_token=term.method_token,
                    rail_account=term.rail_account,
                )
            )
    pay(connection, commands, at=at)
    after = {slot.id: slot for slot in store.find_slots(connection, list(before))}
    unpaid = {slot_id for slot_id, slot in after.items() if slot.unpaid_minor}
    return {week.id for week in asked if slot_of.get(week.id) in {None, *unpaid}}


def _asks(term: HourlyTerm, contract: Contract) -> bool:
    runs = contract.state in {ContractState.ACTIVE, ContractState.PAUSED}
    return term.collect is Collect.PREFUND and term.ended_at is None and runs


def _open_slots(
    connection: Connection,
    weeks: Sequence[Week],
    terms: Mapping[UUID, HourlyTerm],
    contracts: Mapping[UUID, Contract],
    at: datetime,
) -> dict[UUID, UUID]:
    """Slots for the deposits of weeks that have none; those that were made, by week."""
    rates = store_hourly.list_rates(connection, {week.term_id for week in weeks})
    spare = {week.id: look_surplus(connection, week, terms[week.term_id]) for week in weeks}
    used = store_hourly.count_slots(connection, {week.contract_id for week in weeks})
    by_id = {week.id: week for week in weeks}
    slot_ids = {week.id: new_id() for week in weeks}

    def decide(command: WeekCommand) -> Step:
        week = by_id[command.week_id]
        needed = max(0, prefund.full_minor(week, rates[week.term_id]) - spare[week.id])
        return prefund.ask_deposit(
            week,
            contracts[week.contract_id],
            needed,
            seq=used[week.contract_id] + 1,
            slot_id=slot_ids[week.id],
            command=command,
            at=at,
        )

    commands = [WeekCommand(actor=SYSTEM, week_id=week.id) for week in weeks]
    outcomes = run_hours(connection, commands, decide, at=at)
    return {
        c.week_id: slot_ids[c.week_id]
        for c, outcome in zip(commands, outcomes, strict=True)
        if outcome.is_done
    }


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
