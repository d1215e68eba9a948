"""What the clocks and the client's money do to worked weeks: close, invoice, charge, release."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from escrow import rules_hourly_weeks, store, store_hourly, store_hourly_lines
from escrow.commands_hourly import WeekCommand
from escrow.machine_hourly import AWAITING_MONEY
from escrow.maths_hourly import judge, week_of
from escrow.model import ContractState, SlotState
from escrow.model_hourly import HourlyTerm, Judged, Step, TimeEntry, Week, WeekState
from escrow.refusals import FundingOpen, Held, NotCleared, WrongState
from escrow.rules import Deal
from escrow.rules_hourly import new_week
from escrow.rules_hourly_weeks import PAUSE, Ledger
from escrow.service_batch import lock_deals, share_people
from escrow.service_hourly import run_hours
from escrow.service_hourly_deposit import SOON, bill, following_of
from escrow.service_hourly_look import look_covers
from escrow.service_hourly_money import charge, follow, lock_terms, slot_of
from escrow.service_hourly_run import cut_runs, lock_at_work
from escrow.service_price import price_deals
from escrow.service_refund import lock_with_lots
from kernel import timers
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import SYSTEM
from kernel.timers import Arm, DueTimer

Serve = Callable[..., list[Outcome]]


def week_close(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Monday 00:00: entries are locked with their flags, and the next week opens."""
    known = store_hourly.find_weeks(connection, [_id(each) for each in due])
    lock_at_work(connection, contract_ids={week.contract_id for week in known})
    contracts = _share(connection, known)
    terms = lock_terms(connection, known)
    cut_runs(connection, list(terms.values()), at)
    weeks, claimed = _claim(connection, due)
    judged = _judge(connection, weeks, terms)
    since = min((week.ends_at for week in weeks.values()), default=at)
    there = store_hourly.list_starts(connection, {w.term_id for w in weeks.values()}, since=since)

    def decide(command: WeekCommand) -> Step:
        week = weeks[command.week_id]
        term, contract = terms[week.term_id], contracts[week.contract_id]
        book = Ledger(week=week, term=term, contract=contract, judged=judged[week.id])
        bounds = week_of(week.ends_at, ZoneInfo(term.week_zone))
        is_there = bounds.starts_at in there.get(term.term_id, {})
        rests = term.paused_at is not None or term.ended_at is not None
        opens = contract.state is ContractState.ACTIVE and not is_there and not rests
        following = new_week(term, bounds, new_id()) if opens else None
        return rules_hourly_weeks.close_week(book, following, command, at)

    run_hours(connection, _commands(claimed), decide, at=at)
    return len(claimed)


def week_invoice(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Monday noon: the week is invoiced and the client's means of payment is charged."""
    known = _first_deposits(store_hourly.find_weeks(connection, [_id(each) for each in due]))
    due = [each for each in due if _id(each) in {week.id for week in known}]
    lock_at_work(connection, contract_ids={week.contract_id for week in known})
    share_people(connection, store.find_contracts(connection, [w.contract_id for w in known]))
    contracts = {
        each.id: each
        for each in store.lock_contracts(connection, [week.contract_id for week in known])
    }
    ahead = [week for week in known if week.is_prefunded]
    mine = (*ahead, *following_of(connection, ahead))
    lock_with_lots(connection, [week.slot_id for week in mine if week.slot_id])
    terms = lock_terms(connection, known)
    weeks, claimed = _claim(connection, due)
    judged = _judge(connection, weeks, terms)
    late = _late(connection, weeks, terms)
    used = store_hourly.count_slots(connection, contracts)

    def decide(command: WeekCommand) -> Step:
        week = weeks[command.week_id]
        contract = contracts[week.contract_id]
        used[contract.id] += 1
        everything = (*judged[week.id], *late.pop(week.term_id, ()))
        book = Ledger(week=week, term=terms[week.term_id], contract=contract, judged=everything)
        return rules_hourly_weeks.invoice(
            book, seq=used[contract.id], slot_id=new_id(), command=command, at=at
        )

    deposited = [each for each in claimed if weeks[_id(each)].is_prefunded]
    others = [each for each in claimed if each not in deposited]
    outcomes = run_hours(connection, _commands(others), decide, at=at)
    whole = {
        _id(each): (*judged[_id(each)], *late.pop(weeks[_id(each)].term_id, ()))
        for each in deposited
    }
    some = [weeks[_id(each)] for each in deposited]
    billed = bill(connection, some, terms, contracts, whole, at=at)
    _bill_again(connection, deposited, some, billed, at)
    invoiced = [o.facts for o in (*outcomes, *billed) if o.facts.get("state") == WeekState.INVOICED]
    charge(connection, [UUID(each["week_id"]) for each in invoiced], at)
    return len(claimed)


def week_charge(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """A day after a charge failed, and later again: charge once more, or see what came."""
    known = store_hourly.find_weeks(connection, [_id(each) for each in due])
    lock_at_work(connection, contract_ids={week.contract_id for week in known})
    deals, weeks, claimed = _claim_with_slots(connection, due)
    again = []
    for each in claimed:
        week = weeks[_id(each)]
        deal = deals[slot_of(week)]
        is_unpaid = deal.slot.state is SlotState.AWAITING_FUNDING
        if is_unpaid and week.state in AWAITING_MONEY and week.state is not WeekState.INVOICED:
            again.append(each)

    def decide(command: WeekCommand) -> Step:
        week = weeks[command.week_id]
        contract = deals[slot_of(week)].contract
        return rules_hourly_weeks.try_again(week, contract, command, at)

    run_hours(connection, _commands(again), decide, at=at)
    charge(connection, [_id(each) for each in again], at)
    others = [slot_of(weeks[_id(each)]) for each in claimed if each not in again]
    follow(connection, others, at=at)
    return len(claimed)


def week_review_end(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Friday night: release, advance, or say that nobody paid; a held week waits a day."""
    deals, weeks, claimed = _claim_with_slots(connection, due)
    running = [
        each
        for each in claimed
        if weeks[_id(each)].state
        in {WeekState.IN_REVIEW, WeekState.INVOICED, WeekState.CHARGE_FAILED}
    ]

    frozen = store_hourly_lines.sum_frozen(connection, list(deals))
    price_deals(connection, deals.values(), at=at)

    def decide(command: WeekCommand) -> Step:
        week = weeks[command.week_id]
        return rules_hourly_weeks.end_review(
            week,
            deals[slot_of(week)],
            command,
            at,
            new_id(),
            frozen_minor=frozen.get(slot_of(week), 0),
        )

    outcomes = run_hours(connection, _commands(running), decide, at=at)
    waits = {Held.code, NotCleared.code, WrongState.code}
    timers.arm(
        connection,
        [
            Arm(each.subject, each.kind, at + PAUSE, 0)
            for each, outcome in zip(running, outcomes, strict=True)
            if outcome.code in waits
        ],
    )
    return len(claimed)


def _first_deposits(weeks: Sequence[Week]) -> list[Week]:
    """Of weeks that were paid ahead the first of each term: what it leaves rolls into the next."""
    first: dict[UUID, Week] = {}
    for week in sorted(weeks, key=lambda each: each.starts_at):
        if week.is_prefunded:
            first.setdefault(week.term_id, week)
    return [w for w in weeks if not w.is_prefunded or first[w.term_id].id == w.id]


def _bill_again(
    connection: Connection,
    deposited: Sequence[DueTimer],
    weeks: Sequence[Week],
    outcomes: Sequence[Outcome],
    at: datetime,
) -> None:
    """What waits for a payment is looked at in an hour, what else is in the way in a day."""
    order = sorted(weeks, key=lambda each: each.starts_at)
    codes = {week.id: o.code for week, o in zip(order, outcomes, strict=True) if not o.is_done}
    timers.arm(
        connection,
        [
            Arm(each.subject, each.kind, at + (SOON if code == FundingOpen.code else PAUSE), 0)
            for each in deposited
            if (code := codes.get(_id(each)))
        ],
    )


HANDLERS: Final = MappingProxyType(
    {
        "escrow.week_close": week_close,
        "escrow.week_invoice": week_invoice,
        "escrow.week_charge": week_charge,
        "escrow.week_review_end": week_review_end,
    }
)
"""The clocks of a worked week, for the table of timers."""


def _judge(
    connection: Connection, weeks: Mapping[UUID, Week], terms: Mapping[UUID, HourlyTerm]
) -> dict[UUID, tuple[Judged, ...]]:
    """The weeks' own entries as they would be billed."""
    entries: dict[UUID, list[TimeEntry]] = {week_id: [] for week_id in weeks}
    for entry in store_hourly.list_entries(connection, list(weeks)):
        if entry.week_id is not None:
            entries[entry.week_id].append(entry)
    covers = look_covers(connection, list(weeks.values()), terms)
    return {
        week.id: tuple(
            judge(
                entries[week.id],
                limit_minutes=week.limit_minutes,
                used_minutes=0,
                activity_floor=terms[week.term_id].activity_floor,
                cover_minor=covers.get(week.id),
            )
        )
        for week in weeks.values()
    }


def _late(
    connection: Connection, weeks: Mapping[UUID, Week], terms: Mapping[UUID, HourlyTerm]
) -> dict[UUID, list[Judged]]:
    """Approved late entries by term, within what was left of the limit of their own week."""
    found: dict[UUID, list[Judged]] = {}
    term_ids = sorted({week.term_id for week in weeks.values()})
    approved = store_hourly.lock_late(connection, term_ids)
    starts = store_hourly.list_starts(connection, term_ids)
    for key in sorted({(each.term_id, each.week_starts_at) for each in approved}):
        term_id, starts_at = key
        some = [e for e in approved if (e.term_id, e.week_starts_at) == key]
        own = starts.get(term_id, {}).get(starts_at)
        limit = own.limit_minutes if own else terms[term_id].limit_minutes
        found.setdefault(term_id, []).extend(
            judge(
                some,
                limit_minutes=limit,
                used_minutes=store_hourly.sum_billed(connection, term_id, starts_at),
                activity_floor=terms[term_id].activity_floor,
            )
        )
    return found


def _share(connection: Connection, weeks: Sequence[Week]) -> dict[UUID, Any]:
    ids = [week.contract_id for week in weeks]
    return {each.id: each for each in store.share_contracts(connection, ids)}


def _claim(
    connection: Connection, due: Sequence[DueTimer]
) -> tuple[dict[UUID, Week], list[DueTimer]]:
    """The weeks of due timers, locked unless another transaction holds them, and their timers."""
    locked = store_hourly.lock_weeks(connection, [_id(each) for each in due], skip_locked=True)
    weeks = {each.id: each for each in locked}
    claimed = timers.claim(connection, [each for each in due if _id(each) in weeks])
    return {_id(each): weeks[_id(each)] for each in claimed}, claimed


def _claim_with_slots(
    connection: Connection, due: Sequence[DueTimer]
) -> tuple[dict[UUID, Deal], dict[UUID, Week], list[DueTimer]]:
    known = store_hourly.find_weeks(connection, [_id(each) for each in due])
    slot_ids = [week.slot_id for week in known if week.slot_id]
    deals = lock_deals(connection, slot_ids, skip_locked=True)
    free = {week.id for week in known if week.slot_id in deals}
    weeks, claimed = _claim(connection, [each for each in due if _id(each) in free])
    return deals, weeks, claimed


def _commands(claimed: Sequence[DueTimer]) -> list[WeekCommand]:
    return [WeekCommand(actor=SYSTEM, week_id=_id(each)) for each in claimed]


def _id(timer: DueTimer) -> UUID:
    return UUID(timer.subject.partition(":")[2])
