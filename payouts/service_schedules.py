"""Payout schedules: who is paid by itself, on which days of UTC, and the runs that follow from it.

One timer for each currency looks each day whether somebody is due. A clock that jumped over days
makes one run for all of them.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel import timers
from kernel.commands import Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.money import MAX_MINOR, TooLarge, exponent, to_json
from kernel.principals import SYSTEM, PrincipalKind
from kernel.timers import Arm, DueTimer
from ledger import parties
from ledger.model import Draft
from payouts import service_runs, store, store_runs, store_schedules
from payouts.commands_runs import (
    ApproveLimit,
    PrepareLimit,
    PrepareRun,
    RunCommand,
    SetSchedule,
)
from payouts.desk import post_facts
from payouts.model_runs import RunKind
from payouts.model_schedules import Cadence, Schedule, as_json
from payouts.refusals import OperatorOnly, UnknownMethod, UnknownPayee
from payouts.refusals_runs import (
    BadSchedule,
    RunInPerson,
    RunTakesTwo,
    ScheduleTooEarly,
    UnknownLimit,
)
from payouts.rules import role_of
from payouts.rules_schedules import check_rhythm, consequence, in_force, next_on, timeline

LOOK: Final = "payouts.run_due"
"""Kind of the timer that looks each day whose schedule is due; its subject is the currency."""

_DAY: Final = timedelta(days=1)


def set_schedules(
    connection: Connection, commands: Sequence[SetSchedule], *, at: datetime
) -> list[Outcome]:
    """Say when payees are paid; only an operator sets the default of all (payee None).

    Refuses with `payouts.unknown_payee`, `not_yours`, `operator_only`, `bad_schedule`,
    `schedule_too_early`, `unknown_method`, `money.*`.
    """
    known = parties.lock_share(connection, {c.payee_id for c in commands if c.payee_id})
    methods = store.find_methods(connection, {c.method_id for c in commands if c.method_id})
    taken = store_schedules.find_taken(connection, [c.schedule_id for c in commands])
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            if command.payee_id is not None and command.payee_id not in known:
                raise UnknownPayee(payee_id=str(command.payee_id))
            _check_setter(command)
            _check_setting(command, at.date())
            method = methods.get(command.method_id) if command.method_id else None
            if command.method_id and (method is None or method.party_id != command.payee_id):
                raise UnknownMethod(method_id=str(command.method_id))
            if command.schedule_id in taken:
                raise BadSchedule(field="schedule_id", cadence=command.rhythm.cadence.value)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        taken.add(command.schedule_id)
        outcomes.append(done(**_set(connection, command, at)))
    return outcomes


def show(connection: Connection, payee_id: UUID, *, at: datetime) -> list[dict[str, Any]]:
    """What counts for a payee in each currency, when he is next paid, and what that comes to."""
    currencies = store_schedules.find_currencies(connection, payee_id)
    return [_shown(connection, payee_id, currency, at.date()) for currency in currencies]


def look(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Prepare the scheduled runs of currencies whose day has come, and start those within limits.

    A day on which nobody is due, or whose run is open already, has none.
    """
    claimed = timers.claim(connection, due)
    for timer in claimed:
        currency = timer.subject.partition(":")[2]
        run_id = new_id()
        asked = PrepareRun(
            actor=SYSTEM,
            run_id=run_id,
            currency=currency,
            kind=RunKind.SCHEDULED,
            due_from_on=max(timer.due_at.date(), at.date() - service_runs.MOST_DAYS),
            cut_off_on=at.date(),
        )
        (outcome,) = service_runs.prepare(connection, [asked], at=at)
        if outcome.is_done:
            service_runs.start(connection, [RunCommand(actor=SYSTEM, run_id=run_id)], at=at)
    timers.arm(connection, [_tomorrow(timer.subject, at) for timer in claimed], at=at)
    return len(claimed)


HANDLERS: Final[dict[str, Callable[[Connection, Sequence[DueTimer], datetime], int]]] = {LOOK: look}
"""By the kind of the timer."""


def prepare_limits(
    connection: Connection, commands: Sequence[PrepareLimit], *, at: datetime
) -> list[Outcome]:
    """Propose up to what sum a scheduled run is paid without a person; another approves it."""
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            if not command.actor.is_operator:
                raise OperatorOnly(currency=command.currency)
            exponent(command.currency)
            if not 0 <= command.limit_minor <= MAX_MINOR:
                raise TooLarge(amount_minor=command.limit_minor)
            is_new = store_runs.add_limit(
                connection,
                command.limit_id,
                currency=command.currency,
                minor=command.limit_minor,
                by=command.actor.principal_id,
                at=at,
            )
            if not is_new:
                raise UnknownLimit(limit_id=str(command.limit_id))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        facts = _limit(command.limit_id, command.currency, command.limit_minor)
        draft = Draft("payout_run_limit.prepared", "", command.actor, at, detail=facts)
        post_facts(connection, [draft])
        outcomes.append(done(**facts))
    return outcomes


def approve_limits(
    connection: Connection, commands: Sequence[ApproveLimit], *, at: datetime
) -> list[Outcome]:
    """Let limits count from now on; refuses who prepared them, and programs."""
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            if not command.actor.is_operator:
                raise OperatorOnly
            if command.actor.kind is not PrincipalKind.PERSON:
                raise RunInPerson
            found = store_runs.lock_limit(connection, command.limit_id)
            if found is None:
                raise UnknownLimit(limit_id=str(command.limit_id))
            currency, limit_minor, prepared_by = found
            if prepared_by == command.actor.principal_id:
                raise RunTakesTwo(limit_id=str(command.limit_id))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        facts = _limit(command.limit_id, currency, limit_minor)
        draft = Draft("payout_run_limit.approved", "", command.actor, at, detail=facts)
        post_facts(connection, [draft])
        by = command.actor.principal_id
        store_runs.save_limit(connection, command.limit_id, by=by, at=at)
        outcomes.append(done(**facts))
    return outcomes


def _limit(limit_id: UUID, currency: str, limit_minor: int) -> dict[str, Any]:
    limit = to_json(limit_minor, currency)
    return {"limit_id": str(limit_id), "currency": currency, "limit": limit}


def _check_setter(command: SetSchedule) -> None:
    if command.payee_id is not None:
        role_of(command.actor, command.payee_id)
    elif not command.actor.is_operator:
        raise OperatorOnly(currency=command.currency)


def _check_setting(command: SetSchedule, today: date) -> None:
    exponent(command.currency)
    check_rhythm(command.rhythm)
    if not 0 <= command.minimum_minor <= MAX_MINOR:
        raise TooLarge(amount_minor=command.minimum_minor)
    if command.valid_from_on < today:
        raise ScheduleTooEarly(valid_from_on=command.valid_from_on.isoformat())


def _set(connection: Connection, command: SetSchedule, at: datetime) -> dict[str, Any]:
    """Write a setting, tell of it, and see to it that somebody looks each day."""
    schedule = Schedule(
        id=command.schedule_id,
        party_id=command.payee_id,
        currency=command.currency,
        valid_from_on=command.valid_from_on,
        rhythm=command.rhythm,
        minimum_minor=command.minimum_minor,
        method_id=command.method_id,
        set_by=command.actor.principal_id,
        set_at=at,
    )
    told = as_json(schedule)
    subject = f"party:{command.payee_id}" if command.payee_id else ""
    detail = {name: value for name, value in told.items() if value is not None}
    post_facts(
        connection, [Draft("payout_schedule.set", subject, command.actor, at, detail=detail)]
    )
    store_schedules.add_schedules(connection, [schedule])
    watched = f"payout_schedules:{command.currency}"
    is_watched = any(each.kind == LOOK for each in timers.list_of(connection, [watched]))
    if command.rhythm.cadence is not Cadence.MANUAL and not is_watched:
        timers.arm(connection, [_tomorrow(watched, at)], at=at)
    return told


def _tomorrow(subject: str, at: datetime) -> Arm:
    midnight = datetime(at.year, at.month, at.day, tzinfo=UTC) + _DAY
    return Arm(subject, LOOK, midnight, 1)


def _shown(connection: Connection, payee_id: UUID, currency: str, today: date) -> dict[str, Any]:
    settings = store_schedules.list_for(connection, [payee_id], currency=currency)
    line = timeline(own=settings.get(payee_id, []), default=settings.get(None, []))
    money = store_runs.list_money(connection, currency=currency, party_id=payee_id)
    amount_minor = sum(minor for _, minor, _ in money)
    on = next_on(line, today)
    there = in_force(line, on or today)
    minimum_minor = there.minimum_minor if there else 0
    return {
        "currency": currency,
        "schedule": as_json(there) if there else None,
        "next_run_on": on.isoformat() if on else None,
        "available": to_json(amount_minor, currency),
        "consequence": consequence(
            on, amount_minor=amount_minor, minimum_minor=minimum_minor, currency=currency
        ),
    }
