"""Use cases of moving running contracts to another fee schedule: look, prepare, approve, run.

Nobody's fee rises: a contract moves only where the new schedule never charges more than the one
that it pinned. An approved move runs in steps, each a transaction of its own, by a timer or by
whoever waits for it; it goes on where it was after a crash.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from commissions import store as schedules_store
from commissions import store_choice
from commissions.choosing import Chosen, Picked
from commissions.downwards import dearer_by
from commissions.model import Schedule, Side
from commissions.model_schedule import ScheduleState, Version
from commissions.refusals_schedule import FeesDecided, UnknownMove, UnknownSchedule
from commissions.rules import BadSchedule
from commissions.rules_schedule import check_approver, check_person, check_reason
from commissions.service import choose_for, find_schedules
from escrow import store, store_fee_move
from escrow.model import Contract, Plan
from escrow.model_fee_move import (
    MOST_NAMED,
    DecideMove,
    FeeMove,
    MoveState,
    PrepareMove,
    Verdict,
    Which,
    as_json,
)
from escrow.rules_price import flat
from escrow.service_batch import run
from escrow.service_pins import asks_for, bare_of
from kernel import timers
from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Broken, Refusal
from kernel.principals import SYSTEM
from kernel.timers import Arm, DueTimer
from ledger.model import Draft
from ledger.service import post

TIMER: Final = "fees.move"
STEP: Final = 500
"""Contracts that one transaction looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moved(Command):
    """One contract on its way."""

    contract: Contract
    schedule: Schedule
    move_id: UUID


def prepare_move(
    connection: Connection, commands: Sequence[PrepareMove], *, at: datetime
) -> list[Outcome]:
    """Propose moves; nothing moves yet.

    Refuses `fees.finance_only`, `fees.unknown_schedule`, `fees.wrong_state` for a schedule that is
    not approved, `fees.bad_schedule` for a promotion.
    """
    found = schedules_store.find_versions(connection, [c.schedule_id for c in commands])
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            check_person(command.actor)
            check_reason(command.reason)
            _check_target(found.get(command.schedule_id), command)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        named = command.contract_ids
        move = FeeMove(
            id=command.move_id,
            schedule_id=command.schedule_id,
            which=command.which,
            accepted_before=command.accepted_before if named is None else None,
            contract_ids=None if named is None else sorted(set(named)),
            reason=command.reason,
            state=MoveState.PREPARED,
            prepared_by=command.actor.principal_id,
            prepared_at=at,
        )
        store_fee_move.add_move(connection, move)
        _tell(connection, move, command, at)
        outcomes.append(done(**as_json(move)))
    return outcomes


def approve_move(
    connection: Connection, commands: Sequence[DecideMove], *, at: datetime
) -> list[Outcome]:
    """Let moves begin that another person prepared; they run by themselves from now on."""
    return _decide(connection, commands, MoveState.APPROVED, at)


def withdraw_move(
    connection: Connection, commands: Sequence[DecideMove], *, at: datetime
) -> list[Outcome]:
    """Let proposed moves go."""
    return _decide(connection, commands, MoveState.WITHDRAWN, at)


def look(
    connection: Connection, move: FeeMove, at: datetime, *, after: UUID | None, limit: int
) -> tuple[list[Verdict], UUID | None]:
    """What would become of the next contracts, and behind which the list goes on (None: its end).

    Nothing is locked or written. Of a move of all that would get the schedule now, a page may
    have fewer than were looked at.
    """
    ids = store_fee_move.list_next(connection, move, after=after, limit=limit)
    schedule = find_schedules(connection, [move.schedule_id])[move.schedule_id]
    contracts = store.find_contracts(connection, ids)
    verdicts = _judge(connection, move, schedule, contracts, at)
    return verdicts, ids[-1] if len(ids) == limit else None


def run_step(
    connection: Connection, move_id: UUID, *, at: datetime, limit: int = STEP
) -> FeeMove | None:
    """Look at the next contracts of an approved move and move those that may; None: unknown.

    The same as `look` under the contracts' locks. Moves that are not approved, or done, stay.
    """
    move = store_fee_move.lock_moves(connection, [move_id]).get(move_id)
    if move is None or move.state is not MoveState.APPROVED:
        return move
    ids = store_fee_move.list_next(connection, move, after=move.looked_to, limit=limit)
    schedule = find_schedules(connection, [move.schedule_id])[move.schedule_id]
    contracts = {each.id: each for each in store.lock_contracts(connection, ids)}
    verdicts = _judge(connection, move, schedule, list(contracts.values()), at)
    going = [each for each in verdicts if each.why_not is None]
    commands = [
        _Moved(
            actor=SYSTEM,
            contract=contracts[each.contract_id],
            schedule=schedule,
            move_id=move.id,
        )
        for each in going
    ]
    outcomes = run(connection, commands, lambda command: _plan(command, at), at=at)
    for outcome in outcomes:
        if not outcome.is_done:
            raise Broken("a contract's move was refused by the books", code=outcome.code)
    _keep(connection, commands, at)
    after = replace(
        move,
        state=MoveState.APPROVED if len(ids) == limit else MoveState.DONE,
        looked_to=ids[-1] if ids else move.looked_to,
        moved_count=move.moved_count + len(going),
        skipped_count=move.skipped_count + len(verdicts) - len(going),
    )
    store_fee_move.save_move(connection, move, after=after)
    if after.state is MoveState.DONE:
        _tell(connection, after, Command(actor=SYSTEM), at)
    return after


def fire(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """A step of each move that is due; what is not done is due again at once."""
    ids = [UUID(timer.subject.removeprefix("fee_move:")) for timer in due]
    store_fee_move.lock_moves(connection, ids)
    claimed = timers.claim(connection, due)
    for timer in claimed:
        move = run_step(connection, UUID(timer.subject.removeprefix("fee_move:")), at=at)
        if move is not None and move.state is MoveState.APPROVED:
            timers.arm(connection, [Arm(move.subject, TIMER, at, 1)])
    return len(claimed)


HANDLERS: Final[Mapping[str, Callable[[Connection, Sequence[DueTimer], datetime], int]]] = {
    TIMER: fire
}
"""By the kind of the timer."""


def _judge(
    connection: Connection,
    move: FeeMove,
    schedule: Schedule,
    contracts: Sequence[Contract],
    at: datetime,
) -> list[Verdict]:
    """What becomes of contracts; of a move of all, those that would not get it are left out."""
    if move.which is Which.ALL:
        asks = asks_for(connection, bare_of(connection, contracts), at)
        chosen = choose_for(connection, asks, at)
        contracts = [
            contract
            for contract, each in zip(contracts, chosen, strict=True)
            if _gets(each, schedule)
        ]
    pinned = {_pinned(contract, schedule.side) for contract in contracts} - {None}
    known = find_schedules(connection, [each for each in pinned if each is not None])
    return [
        Verdict(
            contract.id,
            _pinned(contract, schedule.side),
            _why_not(contract, schedule, known),
        )
        for contract in contracts
    ]


def _why_not(contract: Contract, schedule: Schedule, known: Mapping[UUID, Schedule]) -> str | None:
    new = schedule.tariff(contract.currency)
    if new is None:
        return "no prices in its currency"
    pinned = _pinned(contract, schedule.side)
    if pinned == schedule.id:
        return "has it already"
    terms = contract.terms
    rate = terms.commission_bps if schedule.side is Side.PAYEE else terms.client_fee_bps
    old = known[pinned].tariff(contract.currency) if pinned else flat(contract.currency, rate)
    if old is None:
        raise Broken("a pinned schedule has no such currency", contract_id=str(contract.id))
    part = dearer_by(new, than=old)
    return None if part is None else f"would be dearer: {part}"


def _plan(command: _Moved, at: datetime) -> Plan:
    contract, schedule = command.contract, command.schedule
    pinned = _pinned(contract, schedule.side)
    if schedule.side is Side.PAYEE:
        pins = replace(contract.pins, payee_schedule_id=schedule.id)
    else:
        pins = replace(contract.pins, client_schedule_id=schedule.id)
    after = replace(contract, version=contract.version + 1, pins=pins)
    detail: dict[str, Any] = {
        "move_id": str(command.move_id),
        f"{schedule.side.value}_schedule_id": str(schedule.id),
        "was": None if pinned is None else str(pinned),
    }
    subject = f"contract:{contract.id}"
    draft = Draft("contract.fees_moved", subject, command.actor, at, detail=detail)
    return Plan(drafts=(draft,), moved_contracts=((contract, after),))


def _keep(connection: Connection, commands: Sequence[_Moved], at: datetime) -> None:
    """The new choices, beside the old ones."""
    pinned = {_pinned(each.contract, each.schedule.side) for each in commands} - {None}
    known = find_schedules(connection, [each for each in pinned if each is not None])
    choices = []
    for command in commands:
        schedule = command.schedule
        old = _pinned(command.contract, schedule.side)
        steps = [_step(schedule, "won")]
        if old is not None:
            steps.append(_step(known[old], "moved"))
        choices.append(
            Picked(
                contract_id=command.contract.id,
                side=schedule.side,
                is_promotion=False,
                schedule_id=schedule.id,
                promotion_until=None,
                why="migration",
                chosen_at=at,
                trace=steps,
                move_id=command.move_id,
            )
        )
    if choices:
        store_choice.add_choices(connection, choices)


def _step(schedule: Schedule, result: str) -> dict[str, Any]:
    return {
        "schedule_id": str(schedule.id),
        "level": schedule.scope.level.value,
        "dimensions": list(schedule.scope.named),
        "priority": schedule.priority,
        "valid_from": schedule.valid_from.isoformat(),
        "result": result,
    }


def _gets(chosen: Chosen, schedule: Schedule) -> bool:
    choice = chosen.payee if schedule.side is Side.PAYEE else chosen.client
    return choice is not None and choice.schedule.id == schedule.id


def _pinned(contract: Contract, side: Side) -> UUID | None:
    pins = contract.pins
    return pins.payee_schedule_id if side is Side.PAYEE else pins.client_schedule_id


def _check_target(version: Version | None, command: PrepareMove) -> None:
    if version is None:
        raise UnknownSchedule(schedule_id=str(command.schedule_id))
    if version.state is not ScheduleState.APPROVED:
        raise FeesDecided(id=str(version.id), state=version.state.value)
    if version.promotion is not None:
        raise BadSchedule(why="a promotion is not moved to")
    if command.contract_ids is not None and not 1 <= len(command.contract_ids) <= MOST_NAMED:
        raise BadSchedule(why="contracts")


def _decide(
    connection: Connection, commands: Sequence[DecideMove], state: MoveState, at: datetime
) -> list[Outcome]:
    found = store_fee_move.lock_moves(connection, [command.move_id for command in commands])
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            check_person(command.actor)
            move = found.get(command.move_id)
            if move is None:
                raise UnknownMove(move_id=str(command.move_id))
            if move.state is not MoveState.PREPARED:
                raise FeesDecided(id=str(move.id), state=move.state.value)
            if state is MoveState.APPROVED:
                check_approver(move.prepared_by, command.actor)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        who = command.actor.principal_id
        after = replace(move, state=state, decided_by=who, decided_at=at)
        if state is MoveState.APPROVED:
            after = replace(after, approved_by=who)
        found[move.id] = after
        store_fee_move.save_move(connection, move, after=after)
        if state is MoveState.APPROVED:
            timers.arm(connection, [Arm(move.subject, TIMER, at, 1)])
        _tell(connection, after, command, at)
        outcomes.append(done(**as_json(after)))
    return outcomes


def _tell(connection: Connection, move: FeeMove, command: Command, at: datetime) -> None:
    reason = getattr(command, "reason", "")
    kind = f"fee_move.{move.state.value}"
    told = as_json(move)
    (answer,) = post(connection, [Draft(kind, move.subject, command.actor, at, (), reason, told)])
    if isinstance(answer, Refusal):
        raise Broken("an event without entries was refused", code=answer.code)
