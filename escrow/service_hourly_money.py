"""What the client's money does to worked weeks: charged or not, settled at last, written off."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_hourly_advance, rules_hourly_weeks, rules_release, store, store_hourly
from escrow.commands import Fund, SlotCommand
from escrow.commands_hourly import WeekCommand
from escrow.machine import Trigger
from escrow.machine_slot import WORKING
from escrow.model import Plan
from escrow.model_hourly import ClientClaim, HourlyTerm, Step, Week, WeekState
from escrow.refusals import Held, NotCleared, UnknownSlot
from escrow.refusals_hourly import UnknownWeek
from escrow.rules import Deal
from escrow.rules_hourly_step import week_step
from escrow.rules_hourly_weeks import PAUSE
from escrow.service_batch import TIMER_ROOM, lock_deals, once_each, run
from escrow.service_funding import cancel_funding as cancel_payment
from escrow.service_funding import expire_funding as expire_payment
from escrow.service_funding import fund as pay
from escrow.service_funding import funding_results as hear
from escrow.service_hourly import run_hours
from escrow.service_hourly_run import lock_at_work, stop_runs
from escrow.service_price import price_deals
from escrow.service_waves import in_waves
from kernel import timers
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import SYSTEM
from kernel.timers import Arm

_NO_NEWS = Outcome("week.no_news")


def write_off(
    connection: Connection, commands: Sequence[WeekCommand], *, at: datetime
) -> list[Outcome]:
    """Give up what a client owes for advanced hours (P30); by two operators, in turn."""

    def serve(alone: Sequence[WeekCommand]) -> list[Outcome]:
        known = store_hourly.find_weeks(connection, [c.week_id for c in alone])
        deals = lock_deals(connection, [w.slot_id for w in known if w.slot_id])
        weeks = {w.id: w for w in store_hourly.lock_weeks(connection, [w.id for w in known])}
        claims = _claims(connection, weeks)
        price_deals(connection, deals.values(), at=at, with_lines=True)

        def decide(command: WeekCommand) -> Step:
            week = weeks.get(command.week_id)
            if week is None:
                raise UnknownWeek(week_id=str(command.week_id))
            (contract,) = store.find_contracts(connection, [week.contract_id])
            week_step(week, contract, Trigger.WRITE_OFF, command)
            claim = claims[week.id]
            assert week.slot_id is not None
            return rules_hourly_advance.write_off(week, deals[week.slot_id], claim, command, at)

        return run_hours(connection, alone, decide, at=at)

    return once_each(commands, lambda c: (c.week_id,), serve)


def fund(connection: Connection, commands: Sequence[Fund], *, at: datetime) -> list[Outcome]:
    """As `service_funding.fund`; a week whose slot was paid for moves on."""
    return _then_follow(connection, pay(connection, commands, at=at), at)


def cancel_funding(
    connection: Connection, commands: Sequence[Any], *, at: datetime
) -> list[Outcome]:
    """As `service_funding.cancel_funding`; a week whose charge ended is told."""
    lock_at_work(connection, funding_ids=[command.funding_id for command in commands])
    return _then_follow(connection, cancel_payment(connection, commands, at=at), at)


def expire_funding(
    connection: Connection, commands: Sequence[Any], *, at: datetime
) -> list[Outcome]:
    """As `service_funding.expire_funding`; a week whose charge ended is told."""
    lock_at_work(connection, funding_ids=[command.funding_id for command in commands])
    return _then_follow(connection, expire_payment(connection, commands, at=at), at)


def funding_results(
    connection: Connection, results: Sequence[Any], *, at: datetime
) -> list[Outcome]:
    """As `service_funding.funding_results`; weeks whose slots were paid for, or not, move on."""
    lock_at_work(connection, funding_ids=[result.operation_id for result in results])
    return _then_follow(connection, hear(connection, results, at=at), at)


def follow(
    connection: Connection,
    slot_ids: Sequence[UUID],
    *,
    at: datetime,
    funding_ids: Sequence[UUID] = (),
    codes: Mapping[UUID, str] = MappingProxyType({}),
) -> None:
    """Let weeks follow their slots: charged, not charged, or paid after all (P29, P07).

    `codes` says by slot why a charge was refused at once.
    """
    waiting = store_hourly.find_waiting_weeks(
        connection, slot_ids=slot_ids, funding_ids=funding_ids
    )
    if not waiting:
        return
    deals = lock_deals(connection, [slot_of(week) for week in waiting])
    lock_terms(connection, waiting)
    weeks = {w.id: w for w in store_hourly.lock_weeks(connection, [w.id for w in waiting])}
    claims = _claims(connection, weeks)
    price_deals(connection, deals.values(), at=at)

    def wave(some: Sequence[WeekCommand]) -> list[Outcome]:
        known = store_hourly.find_terms(connection, {weeks[c.week_id].term_id for c in some})
        terms = {each.term_id: each for each in known}
        steps: dict[UUID, Callable[[], Step]] = {}
        for command in some:
            week = weeks[command.week_id]
            code = codes.get(slot_of(week), "")
            step = _follow_one(
                week,
                deals[slot_of(week)],
                terms[week.term_id],
                claims.get(week.id),
                code,
                command,
                at,
            )
            if step is not None:
                steps[week.id] = step
        able = [command for command in some if command.week_id in steps]
        done = iter(run_hours(connection, able, lambda c: steps[c.week_id](), at=at))
        return [next(done) if c.week_id in steps else _NO_NEWS for c in some]

    commands = [WeekCommand(actor=SYSTEM, week_id=week_id) for week_id in sorted(weeks)]
    # weeks of one term change its good standing one after the other
    outcomes = in_waves(commands, lambda c: weeks[c.week_id].term_id, wave)
    _after_following(connection, [weeks[c.week_id] for c in commands], outcomes, at)


def _after_following(
    connection: Connection, weeks: Sequence[Week], outcomes: Sequence[Outcome], at: datetime
) -> None:
    """Try again what waits, release what was paid beyond an advance, stop what runs unpaid."""
    for week, outcome in zip(weeks, outcomes, strict=True):
        if outcome.code in {Held.code, NotCleared.code}:
            kind = f"{TIMER_ROOM}week_charge"
            timers.arm(connection, [Arm(f"week:{week.id}", kind, at + PAUSE, 0)])
        elif outcome.is_done and week.state is WeekState.ADVANCED:
            _release_rest(connection, slot_of(week), at)
    failed = [o for o in outcomes if o.facts.get("state") == WeekState.CHARGE_FAILED]
    resting = store_hourly.find_terms(connection, {UUID(o.facts["term_id"]) for o in failed})
    stop_runs(connection, resting, at)


def _follow_one(
    week: Week,
    deal: Deal,
    term: HourlyTerm,
    claim: ClientClaim | None,
    code: str,
    command: WeekCommand,
    at: datetime,
) -> Callable[[], Step] | None:
    """What this week's money asks for; None if there is nothing to do."""
    if week.state in {WeekState.INVOICED, WeekState.CHARGE_FAILED}:
        heard = rules_hourly_weeks.hear_charge(week, deal, term, code, command, at)
        return None if heard is None else lambda: heard
    if deal.slot.state not in WORKING:
        return None
    if week.state is WeekState.ADVANCED and claim is not None:
        return lambda: _in_good_standing(
            rules_hourly_advance.settle_advance(week, deal, claim, command, at), term
        )
    return lambda: _in_good_standing(
        rules_hourly_weeks.end_review(week, deal, command, at, new_id()), term
    )


def _in_good_standing(step: Step, term: HourlyTerm) -> Step:
    """A charge that succeeded: hours are logged, and may be protected again."""
    if not term.method_failed:
        return step
    signed = replace(term, method_failed=False, paused_at=None, version=term.version + 1)
    return Step(step.plan, replace(step.worked, moved_terms=((term, signed),)))


def _release_rest(connection: Connection, slot_id: UUID, at: datetime) -> None:
    """What of a late payment was not advanced goes to the payee: its review is long over."""
    deals = lock_deals(connection, [slot_id])
    if deals[slot_id].slot.state not in WORKING:
        return
    price_deals(connection, deals.values(), at=at)

    def decide(command: SlotCommand) -> Plan:
        return rules_release.release_earned(deals[slot_id], command, at, new_id())

    run(connection, [SlotCommand(actor=SYSTEM, slot_id=slot_id)], decide, at=at)


def charge(connection: Connection, week_ids: Sequence[UUID], at: datetime) -> None:
    """Ask for the weeks' money by the means that the contract pinned; refusals are the week's."""
    weeks = store_hourly.find_weeks(connection, week_ids)
    terms = {t.term_id: t for t in store_hourly.find_terms(connection, [w.term_id for w in weeks])}
    commands = [
        Fund(
            actor=SYSTEM,
            slot_id=slot_of(week),
            funding_id=new_id(),
            method=terms[week.term_id].method,
            method_token=terms[week.term_id].method_token,
            rail_account=terms[week.term_id].rail_account,
        )
        for week in weeks
    ]
    outcomes = pay(connection, commands, at=at)
    codes = {
        command.slot_id: outcome.code
        for command, outcome in zip(commands, outcomes, strict=True)
        if not outcome.is_done
    }
    follow(connection, [command.slot_id for command in commands], at=at, codes=codes)


def _then_follow(connection: Connection, outcomes: list[Outcome], at: datetime) -> list[Outcome]:
    """Slots and fundings that the outcomes name may belong to weeks that wait for them."""
    facts = [each.facts for each in outcomes if each.is_done and each.facts.get("is_news", True)]
    slot_ids = [UUID(each["slot_id"]) for each in facts if each.get("slot_id")]
    funding_ids = [UUID(each["funding_id"]) for each in facts if each.get("funding_id")]
    if facts:
        follow(connection, slot_ids, at=at, funding_ids=funding_ids)
    return outcomes


def lock_terms(connection: Connection, weeks: Sequence[Week]) -> dict[UUID, HourlyTerm]:
    """The terms of weeks, locked."""
    ids = [week.term_id for week in weeks]
    return {each.term_id: each for each in store_hourly.lock_terms(connection, ids)}


def _claims(connection: Connection, week_ids: Mapping[UUID, Week]) -> dict[UUID, ClientClaim]:
    return {c.week_id: c for c in store_hourly.lock_claims(connection, list(week_ids))}


def slot_of(week: Week) -> UUID:
    """The slot that holds the week's money."""
    if week.slot_id is None:
        raise UnknownSlot(week_id=str(week.id))
    return week.slot_id
