"""Use cases of experiments on fees: prepare, start, stop, decide, and read out.

One person prepares an experiment, another starts it and decides it. None of these touches a
contract: what a contract pinned at its acceptance stays. A running experiment is looked at each
day, and stopped when its rule says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from commissions import store_experiments as store
from commissions.experiments import Arm, BadExperiment, Experiment, Readout, check, read_out, stops
from commissions.machine_experiments import Trigger, step, who_is
from commissions.model_experiments import State, Study, UnitKind, as_json
from commissions.refusals_experiments import (
    NameTaken,
    NoPrice,
    ReasonMissing,
    SamePerson,
    UnknownArm,
    UnknownExperiment,
)
from kernel import timers
from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Broken, Refusal
from kernel.principals import SYSTEM, Actor
from kernel.timers import Arm as Timer
from kernel.timers import DueTimer
from ledger.model import Draft
from ledger.service import post

LOOK: Final = "fees.experiment_look"
LOOK_EVERY: Final = timedelta(days=1)
LONGEST_QUIET_DAYS: Final = 3_650


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareExperiment(Command):
    """Draw up an experiment; `harm_bps` and `quiet_days` as in `Experiment` and `Study`."""

    experiment_id: UUID
    name: str
    unit: UnitKind
    arms: tuple[Arm, ...]
    stop_after_units: int
    harm_bps: int = 0
    quiet_days: int = 60
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveExperiment(Command):
    """Withdraw, start, stop or decide one; `arm` is what a decision is for, None: for none."""

    experiment_id: UUID
    reason: str = ""
    arm: str | None = None


def prepare(
    connection: Connection, commands: Sequence[PrepareExperiment], *, at: datetime
) -> list[Outcome]:
    """Write experiments down for the one who starts them.

    Refuses `experiment.people_only`, `fees.bad_experiment` and `experiment.name_taken`.
    """
    outcomes: list[Outcome] = []
    for command in commands:
        study = _drawn_up(command, at)
        try:
            step(None, Trigger.PREPARE, command.actor)
            check(study.experiment)
            if not 1 <= study.quiet_days <= LONGEST_QUIET_DAYS:
                raise BadExperiment(why="quiet_days")
            if not store.add_study(connection, study):
                raise NameTaken(name=study.experiment.name)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        _tell(connection, study, "prepared", command.actor, at, reason=study.reason)
        outcomes.append(done(**as_json(study)))
    return outcomes


def withdraw(
    connection: Connection, commands: Sequence[MoveExperiment], *, at: datetime
) -> list[Outcome]:
    """Give experiments up before they start; also who prepared them may.

    Refuses `experiment.unknown`, `experiment.people_only` and `experiment.wrong_state`.
    """

    def fields(_study: Study, command: MoveExperiment) -> dict[str, Any]:
        return {"withdrawn_by": command.actor.principal_id, "withdrawn_at": at}

    return _move_all(connection, commands, Trigger.WITHDRAW, fields, at)


def start(
    connection: Connection, commands: Sequence[MoveExperiment], *, at: datetime
) -> list[Outcome]:
    """Start what another person prepared: from now on whoever accepts a contract may join.

    Refuses as `withdraw`, and `experiment.same_person`, and `experiment.no_price` where an arm has
    no approved schedule (scope `name/arm`) in force.
    """

    def fields(study: Study, command: MoveExperiment) -> dict[str, Any]:
        unpriced = store.find_unpriced(connection, study.id, at=at)
        if unpriced is not None:
            raise NoPrice(arm=f"{study.experiment.name}/{unpriced}")
        return {"started_by": command.actor.principal_id, "started_at": at}

    outcomes = _move_all(connection, commands, Trigger.START, fields, at)
    subjects = [f"experiment:{each.facts['id']}" for each in outcomes if each.is_done]
    looks = [Timer(subject, LOOK, at + LOOK_EVERY, 1) for subject in subjects]
    timers.arm(connection, looks, at=at)
    return outcomes


def stop(
    connection: Connection, commands: Sequence[MoveExperiment], *, at: datetime
) -> list[Outcome]:
    """Take nobody new on; whoever is in an arm stays in it until the experiment is decided.

    Refuses as `withdraw`, and `experiment.reason_missing`.
    """

    def fields(_study: Study, command: MoveExperiment) -> dict[str, Any]:
        return _stopped(command.actor, _reason(command), at)

    outcomes = _move_all(connection, commands, Trigger.STOP, fields, at)
    over = [f"experiment:{each.facts['id']}" for each in outcomes if each.is_done]
    timers.cancel(connection, [(subject, LOOK) for subject in over])
    return outcomes


def decide(
    connection: Connection, commands: Sequence[MoveExperiment], *, at: datetime
) -> list[Outcome]:
    """Say what was found; from now on no arm counts where a contract is accepted.

    An arm that is decided for becomes everybody's price by a fee schedule, not by this. Refuses as
    `withdraw`, and `experiment.same_person`, `experiment.reason_missing`, `experiment.unknown_arm`.
    """

    def fields(study: Study, command: MoveExperiment) -> dict[str, Any]:
        if command.arm is not None and command.arm not in dict(study.arms):
            raise UnknownArm(arm=command.arm)
        return {
            "decided_by": command.actor.principal_id,
            "decided_at": at,
            "decided_arm": command.arm,
            "decision": _reason(command),
        }

    return _move_all(connection, commands, Trigger.DECIDE, fields, at)


def readout(
    connection: Connection, study_id: UUID, *, at: datetime
) -> tuple[Study, list[Readout], str | None] | None:
    """An experiment, its arms beside the control, and why its rule would stop it; or None."""
    study = store.find_study(connection, study_id)
    if study is None:
        return None
    readouts = read_out(store.list_tallies(connection, study, at=at))
    return study, readouts, stops(study.experiment, readouts)


def look(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Read running experiments out and stop those whose rule says so; the others wait a day."""
    ids = [UUID(timer.subject.removeprefix("experiment:")) for timer in due]
    known = {
        study.subject: study
        for study in store.lock_studies(connection, ids, skips_locked=True).values()
    }
    claimed = timers.claim(connection, [timer for timer in due if timer.subject in known])
    again = []
    for timer in claimed:
        study = known[timer.subject]
        if study.state is not State.RUNNING:
            continue
        readouts = read_out(store.list_tallies(connection, study, at=at))
        why = stops(study.experiment, readouts)
        if why is None:
            again.append(Timer(timer.subject, LOOK, at + LOOK_EVERY, 1))
            continue
        over = replace(study, state=State.STOPPED, **_stopped(SYSTEM, f"rule: {why}", at))
        store.save_moved(connection, over, before=study.state)
        _tell(connection, over, "stopped", SYSTEM, at, reason=f"rule: {why}")
    timers.arm(connection, again, at=at)
    return len(claimed)


HANDLERS: Final[dict[str, Callable[[Connection, Sequence[DueTimer], datetime], int]]] = {LOOK: look}
"""By the kind of the timer."""


def _move_all(
    connection: Connection,
    commands: Sequence[MoveExperiment],
    trigger: Trigger,
    fields: Callable[[Study, MoveExperiment], dict[str, Any]],
    at: datetime,
) -> list[Outcome]:
    known = store.lock_studies(connection, [command.experiment_id for command in commands])
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            who_is(command.actor)
            study = known.get(command.experiment_id)
            if study is None:
                raise UnknownExperiment(experiment_id=str(command.experiment_id))
            row = step(study.state, trigger, command.actor)
            if row.takes_another and command.actor.principal_id == study.prepared_by:
                raise SamePerson(experiment_id=str(study.id))
            moved = replace(study, state=row.to, **fields(study, command))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        store.save_moved(connection, moved, before=study.state)
        known[study.id] = moved
        _tell(connection, moved, moved.state.value, command.actor, at, reason=command.reason)
        outcomes.append(done(**as_json(moved)))
    return outcomes


def _drawn_up(command: PrepareExperiment, at: datetime) -> Study:
    experiment = Experiment(
        command.name, command.arms, command.stop_after_units, harm_bps=command.harm_bps
    )
    return Study(
        id=command.experiment_id,
        experiment=experiment,
        unit=command.unit,
        quiet_days=command.quiet_days,
        reason=command.reason,
        prepared_by=command.actor.principal_id,
        prepared_at=at,
    )


def _reason(command: MoveExperiment) -> str:
    if not command.reason.strip():
        raise ReasonMissing
    return command.reason


def _stopped(actor: Actor, why: str, at: datetime) -> dict[str, Any]:
    return {"stopped_by": actor.principal_id, "stopped_at": at, "stop_why": why}


def _tell(
    connection: Connection, study: Study, what: str, actor: Actor, at: datetime, *, reason: str
) -> None:
    """Write an event about an experiment; it moves no money."""
    told: dict[str, Any] = {
        "name": study.experiment.name,
        "arms": dict(study.arms),
    }
    if study.decided_arm is not None:
        told["decided_arm"] = study.decided_arm
    draft = Draft(f"experiment.{what}", study.subject, actor, at, (), reason, told)
    (answer,) = post(connection, [draft])
    if isinstance(answer, Refusal):
        raise Broken("an event without entries was refused", code=answer.code)
