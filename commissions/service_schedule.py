"""Use cases of fee schedules: prepare, approve, withdraw, end earlier. Two people for each change.

Who adds to what holds has the book's row, so that of two who save schedules that cannot stand
beside each other the second is refused. Nothing here commits.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from psycopg.errors import ExclusionViolation
from sqlalchemy import Connection

from commissions import rules_schedule as rules
from commissions import store
from commissions.commands import DecideEnding, DecideSchedule, PrepareEnding, PrepareSchedule
from commissions.model import Schedule
from commissions.model_schedule import Ending, ScheduleState, Version, as_json, ending_json
from commissions.refusals_schedule import (
    NameTaken,
    UnknownEnding,
    UnknownInScope,
    UnknownSchedule,
)
from commissions.rules import Overlap, check_beside
from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Broken, Refusal
from kernel.ids import new_id
from ledger.model import Draft
from ledger.service import post


def prepare(
    connection: Connection, commands: Sequence[PrepareSchedule], *, at: datetime
) -> list[Outcome]:
    """Write schedules down for their approver.

    Refuses `fees.finance_only`, `fees.bad_schedule`, `fees.above_amount`, `fees.overlap`,
    `fees.tie`, `fees.changes_the_past`, `fees.not_replaceable`, `fees.unknown_in_scope`,
    `fees.id_taken`. What waits for its approver stands in the way as what is approved does.
    """
    store.lock_book(connection)
    standing = store.list_standing(connection, {command.side for command in commands})
    known = {each.id: each for each in standing}
    numbers = store.newest_versions(connection, {command.name for command in commands})
    taken = store.list_taken(connection, [command.schedule_id for command in commands])
    outcomes: list[Outcome] = []
    for command in commands:
        version = _drawn_up(command, numbers.get(command.name, 0) + 1, at)
        try:
            rules.check_person(command.actor)
            rules.check_version(version)
            rules.check_first_day(version, at)
            if version.id in taken:
                raise NameTaken(id=str(version.id))
            _check_scope(connection, version)
            if version.replaces is not None:
                rules.check_replaced(version, known.get(version.replaces))
            check_beside(version.schedule, rules.standing_beside(version, standing))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        numbers[command.name] = version.schedule.version
        standing.append(version)
        taken.add(version.id)
        store.add_versions(connection, [version])
        detail = as_json(version)
        _tell(connection, version.subject, "fee_schedule.prepared", command, at, detail=detail)
        outcomes.append(done(**detail))
    return outcomes


def approve(
    connection: Connection, commands: Sequence[DecideSchedule], *, at: datetime
) -> list[Outcome]:
    """Let schedules hold that another person prepared.

    Refuses `fees.finance_only`, `fees.unknown_schedule`, `fees.wrong_state`, `fees.same_person`,
    `fees.changes_the_past`, `fees.not_replaceable`, `fees.overlap`, `fees.tie`.
    """
    store.lock_book(connection)
    waiting = store.lock_versions(connection, [command.schedule_id for command in commands])
    outcomes = [_approve(connection, command, waiting, at) for command in commands]
    if any(outcome.is_done for outcome in outcomes):
        store.turn_page(connection)
    return outcomes


def withdraw(
    connection: Connection, commands: Sequence[DecideSchedule], *, at: datetime
) -> list[Outcome]:
    """Give schedules up that nobody approved; also their preparer may."""
    waiting = store.lock_versions(connection, [command.schedule_id for command in commands])
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            version = _waiting(waiting, command)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        version = replace(
            version,
            state=ScheduleState.WITHDRAWN,
            decided_by=command.actor.principal_id,
            decided_at=at,
        )
        waiting[version.id] = version
        store.save_decided(connection, version)
        _tell(connection, version.subject, "fee_schedule.withdrawn", command, at)
        outcomes.append(done(**as_json(version)))
    return outcomes


def prepare_ending(
    connection: Connection, commands: Sequence[PrepareEnding], *, at: datetime
) -> list[Outcome]:
    """Propose that schedules end earlier than planned."""
    found = store.lock_versions(connection, [command.schedule_id for command in commands])
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            rules.check_person(command.actor)
            rules.check_reason(command.reason)
            version = found.get(command.schedule_id)
            if version is None:
                raise UnknownSchedule(schedule_id=str(command.schedule_id))
            rules.check_end(version, ends_at=command.ends_at, at=at)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        ending = Ending(
            id=command.ending_id,
            schedule_id=version.id,
            ends_at=command.ends_at,
            reason=command.reason,
            state=ScheduleState.PREPARED,
            prepared_by=command.actor.principal_id,
            prepared_at=at,
        )
        store.add_ending(connection, ending)
        detail = ending_json(ending)
        kind = "fee_schedule.ending_prepared"
        _tell(connection, version.subject, kind, command, at, detail=detail)
        outcomes.append(done(**detail))
    return outcomes


def approve_ending(
    connection: Connection, commands: Sequence[DecideEnding], *, at: datetime
) -> list[Outcome]:
    """Let schedules end that another person proposed to end; the past stays as it was."""
    store.lock_book(connection)
    return _decide_endings(connection, commands, ScheduleState.APPROVED, at)


def withdraw_ending(
    connection: Connection, commands: Sequence[DecideEnding], *, at: datetime
) -> list[Outcome]:
    """Let proposed ends go."""
    return _decide_endings(connection, commands, ScheduleState.WITHDRAWN, at)


def _approve(
    connection: Connection,
    command: DecideSchedule,
    waiting: dict[Any, Version],
    at: datetime,
) -> Outcome:
    try:
        version = rules.begun(_waiting(waiting, command), at)
        rules.check_approver(version.prepared_by, command.actor)
        rules.check_first_day(version, at)
        rules.check_version(version)
        _, holding = store.read_book(connection)
        elder = next((each for each in holding if each.id == version.replaces), None)
        if version.replaces is not None:
            rules.check_replaced(version, elder)
        check_beside(version.schedule, rules.standing_beside(version, holding))
        approved = replace(
            version,
            state=ScheduleState.APPROVED,
            approved_by=command.actor.principal_id,
            decided_by=command.actor.principal_id,
            decided_at=at,
        )
        _save_approved(connection, approved, elder)
    except Refusal as refusal:
        return refused(refusal)
    waiting[approved.id] = approved
    detail = as_json(approved)
    _tell(connection, approved.subject, "fee_schedule.approved", command, at, detail=detail)
    return done(**detail)


def _save_approved(connection: Connection, approved: Version, elder: Version | None) -> None:
    """Write it, and the end of its elder; what the database still refuses is told as an overlap."""
    point = connection.begin_nested()
    try:
        if elder is not None and approved.decided_at is not None:
            ending = Ending(
                id=new_id(),
                schedule_id=elder.id,
                ends_at=approved.schedule.valid_from,
                reason=approved.reason,
                state=ScheduleState.APPROVED,
                prepared_by=approved.prepared_by,
                prepared_at=approved.schedule.recorded_at,
                approved_by=approved.approved_by,
                decided_by=approved.decided_by,
                decided_at=approved.decided_at,
            )
            store.add_ending(connection, ending)
            store.save_end(connection, elder.id, ending.ends_at)
        store.save_decided(connection, approved)
    except ExclusionViolation:
        point.rollback()
        raise Overlap(other="") from None
    point.commit()


def _decide_endings(
    connection: Connection, commands: Sequence[DecideEnding], state: ScheduleState, at: datetime
) -> list[Outcome]:
    endings = store.lock_endings(connection, [command.ending_id for command in commands])
    ids = [each.schedule_id for each in endings.values()]
    versions = store.lock_versions(connection, ids)
    approves = state is ScheduleState.APPROVED
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            rules.check_person(command.actor)
            ending = endings.get(command.ending_id)
            if ending is None:
                raise UnknownEnding(ending_id=str(command.ending_id))
            rules.check_waiting(ending)
            version = versions[ending.schedule_id]
            if approves:
                rules.check_approver(ending.prepared_by, command.actor)
                rules.check_end(version, ends_at=ending.ends_at, at=at)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        who = command.actor.principal_id
        ending = replace(ending, state=state, decided_by=who, decided_at=at)
        if approves:
            ending = replace(ending, approved_by=who)
        endings[ending.id] = ending
        store.save_ending(connection, ending)
        if approves:
            store.save_end(connection, version.id, ending.ends_at)
            ended = replace(version.schedule, valid_to=ending.ends_at)
            versions[version.id] = replace(version, schedule=ended)
            store.turn_page(connection)
        detail = ending_json(ending)
        kind = f"fee_schedule.ending_{state.value}"
        _tell(connection, version.subject, kind, command, at, detail=detail)
        outcomes.append(done(**detail))
    return outcomes


def _drawn_up(command: PrepareSchedule, number: int, at: datetime) -> Version:
    return Version(
        schedule=Schedule(
            id=command.schedule_id,
            name=command.name,
            version=number,
            side=command.side,
            mode=command.mode,
            scope=command.scope,
            priority=command.priority,
            tariffs=tuple(sorted(command.tariffs, key=lambda tariff: tariff.currency)),
            valid_from=command.valid_from or at,
            valid_to=command.valid_to,
            recorded_at=at,
            tax_code=command.tax_code,
        ),
        state=ScheduleState.PREPARED,
        reason=command.reason,
        prepared_by=command.actor.principal_id,
        begins_when_approved=command.valid_from is None,
        replaces=command.replaces,
        promotion=command.promotion,
    )


def _check_scope(connection: Connection, version: Version) -> None:
    scope = version.schedule.scope
    unknown = store.list_unknown(
        connection,
        contract_ids=[scope.contract_id] if scope.contract_id else [],
        client_ids=[scope.client_id] if scope.client_id else [],
    )
    if unknown:
        raise UnknownInScope(id=min(unknown))


def _waiting(known: dict[Any, Version], command: DecideSchedule) -> Version:
    rules.check_person(command.actor)
    version = known.get(command.schedule_id)
    if version is None:
        raise UnknownSchedule(schedule_id=str(command.schedule_id))
    rules.check_waiting(version)
    return version


def _tell(
    connection: Connection,
    subject: str,
    kind: str,
    command: Command,
    at: datetime,
    *,
    detail: dict[str, Any] | None = None,
) -> None:
    """Write an event about a schedule; it moves nothing."""
    reason = getattr(command, "reason", "")
    draft = Draft(kind, subject, command.actor, at, (), reason, detail or {})
    (answer,) = post(connection, [draft])
    if isinstance(answer, Refusal):
        raise Broken("an event without entries was refused", code=answer.code)
